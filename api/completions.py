"""The answers of /v1/completions: texts continued as they are, without a chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine import Finished, TextDelta
from engine.messages import TokenScore

from .errors import ApiError
from .replies import Collected, Shown
from .requests import MAX_PROMPTS, CompletionRequest
from .writing import END, event, failed, new_id, now, usage_of, usages


def prompts_of(request: CompletionRequest) -> list[str | list[int]]:
    """The prompts: texts, or token ids. Raises ApiError."""
    given = request.prompt
    several: Sequence[Any] = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else given
    if not 1 <= len(several) <= MAX_PROMPTS:
        raise ApiError(400, "invalid_value", f"prompt has {len(several)} texts, but there must be 1 to {MAX_PROMPTS}.", "prompt")
    return list(several)


class CompletionWriter:
    """An answer with `count` choices: those of the first prompt, then those of the next. `per_prompt`: how many each prompt has."""

    def __init__(self, model: str, fingerprint: str, count: int, per_prompt: int, *, has_scores: bool, has_usage: bool) -> None:
        self._head = {"id": new_id("cmpl-"), "object": "text_completion", "created": now(), "model": model,
                      "system_fingerprint": fingerprint}
        self._per_prompt, self._has_scores, self._has_usage = per_prompt, has_scores, has_usage
        self._lengths = [0] * count         # characters of each choice so far

    def whole(self, choices: Sequence[Collected]) -> dict[str, Any]:
        return {**self._head, "choices": [
            {"index": number, "text": choice.text, "logprobs": self._scores(choice.tokens, 0), "finish_reason": choice.reason}
            for number, choice in enumerate(choices)], "usage": self._usage(choices)}

    def begin(self) -> bytes:
        return b""

    def write(self, batch: Sequence[tuple[int, Shown]]) -> bytes:
        written = []
        for number, shown in batch:
            text, tokens = (shown.text, shown.tokens) if isinstance(shown, TextDelta) else ("", ())
            reason = ("length" if shown.reason == "length" else "stop") if isinstance(shown, Finished) else None
            written.append(event({**self._head, "choices": [
                {"index": number, "text": text, "logprobs": self._scores(tokens, self._lengths[number]), "finish_reason": reason}],
                **({"usage": None} if self._has_usage else {})}))
            self._lengths[number] += len(text)
        return b"".join(written)

    def end(self, choices: Sequence[Collected]) -> bytes:
        return (event({**self._head, "choices": [], "usage": self._usage(choices)}) if self._has_usage else b"") + END

    def fail(self, error: Exception) -> bytes:
        return failed(error)

    def _usage(self, choices: Sequence[Collected]) -> dict[str, Any]:
        of_prompts = [usage_of(usages(choices[at: at + self._per_prompt])) for at in range(0, len(choices), self._per_prompt)]
        total = of_prompts[0]
        for usage in of_prompts[1:]:
            total = _sum(total, usage)
        return total

    def _scores(self, tokens: Sequence[TokenScore], offset: int) -> dict[str, Any] | None:
        if not self._has_scores:
            return None
        offsets = []
        for token in tokens:
            offsets.append(offset)
            offset += len(token.text)
        return {"tokens": [token.text for token in tokens], "token_logprobs": [token.log_probability for token in tokens],
                "top_logprobs": [{text: value for text, _, value in token.likeliest} for token in tokens], "text_offset": offsets}


def _sum(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {name: _sum(value, other[name]) if isinstance(value, dict) else value + other[name] for name, value in one.items()}
