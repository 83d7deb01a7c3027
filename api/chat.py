"""The answers of /v1/chat/completions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from engine import Finished, ReasoningDelta, ToolCallDelta

from .replies import Collected, Shown, reason_of
from .tools import delta_of, written_calls
from .writing import END, event, failed, new_id, now, token_scores, usage_with_notes


class ChatWriter:
    """An answer with `count` choices. has_scores: the request asks for log probabilities. has_usage: a stream ends with the usage."""

    def __init__(self, model: str, fingerprint: str, count: int, *, has_scores: bool, has_usage: bool) -> None:
        self._count, self._has_scores, self._has_usage = count, has_scores, has_usage
        self._head = {"id": new_id("chatcmpl-"), "object": "chat.completion.chunk", "created": now(), "model": model,
                      "system_fingerprint": fingerprint}
        self._tail = {"usage": None} if has_usage else {}
        # What surrounds the text in an event is written once: an event is a few microseconds' work, and a token may be too.
        start = json.dumps(self._head)[:-1]
        self._starts = [f'data: {start}, "choices": [{{"index": {number}, "delta": {{' for number in range(count)]
        self._stop = '}, "logprobs": null, "finish_reason": null}]' + (', "usage": null' if has_usage else "") + "}\n\n"

    def whole(self, choices: Sequence[Collected]) -> dict[str, Any]:
        return {**self._head, "object": "chat.completion", "choices": [
            {"index": number, "message": _message(choice),
             "logprobs": {"content": token_scores(choice.tokens), "refusal": None} if self._has_scores else None,
             "finish_reason": choice.reason} for number, choice in enumerate(choices)], "usage": usage_with_notes(choices)}

    def begin(self) -> bytes:
        return b"".join(self._event(number, {"role": "assistant", "content": ""}) for number in range(self._count))

    def write(self, batch: Sequence[tuple[int, Shown]]) -> bytes:
        written = []
        for number, shown in batch:
            if isinstance(shown, Finished):
                written.append(self._event(number, {}, reason_of(shown)))
                continue
            if isinstance(shown, ToolCallDelta):
                written.append(self._event(number, {"tool_calls": [delta_of(shown)]}))
                continue
            name = "reasoning_content" if isinstance(shown, ReasoningDelta) else "content"
            if self._has_scores and name == "content":
                scores = {"content": token_scores(shown.tokens), "refusal": None}
                written.append(self._event(number, {"content": shown.text}, scores=scores))
            else:
                written.append(f'{self._starts[number]}"{name}": {json.dumps(shown.text)}{self._stop}'.encode())
        return b"".join(written)

    def end(self, choices: Sequence[Collected]) -> bytes:
        return (event({**self._head, "choices": [], "usage": usage_with_notes(choices)}) if self._has_usage else b"") + END

    def fail(self, error: Exception) -> bytes:
        return failed(error)

    def _event(self, number: int, delta: dict[str, Any], reason: str | None = None, scores: dict[str, Any] | None = None) -> bytes:
        return event({**self._head, "choices": [
            {"index": number, "delta": delta, "logprobs": scores, "finish_reason": reason}], **self._tail})


def _message(choice: Collected) -> dict[str, Any]:
    calls = written_calls(choice.calls)
    return {"role": "assistant", "content": choice.text or (None if calls else ""), "refusal": None,
            **({"tool_calls": [call.body for call in calls]} if calls else {}),
            **({"reasoning_content": choice.reasoning} if choice.reasoning else {})}
