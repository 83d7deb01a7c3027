"""What an endpoint writes: the interface of its answers, the shapes that several share, and the stream of events."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import uuid4

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from engine import Usage
from engine.messages import TokenScore

from .errors import api_error, to_json
from .replies import Collected, Replies, Shown, joined

END = b"data: [DONE]\n\n"


class Writer(Protocol):
    """Writes the answer to one request: as one object, or as the events of a stream.

    `begin`: what comes before the first token. `write`: for a batch of events. `end`: after the last one. `fail`: for an error in a
    stream that has begun.
    """

    def whole(self, choices: Sequence[Collected]) -> dict[str, Any]: ...

    def begin(self) -> bytes: ...

    def write(self, batch: Sequence[tuple[int, Shown]]) -> bytes: ...

    def end(self, choices: Sequence[Collected]) -> bytes: ...

    def fail(self, error: Exception) -> bytes: ...


class EventStream(Response):
    """Server-sent events. Everything that is ready is sent at once, so a client that is slow, or many of them, cost little."""

    def __init__(self, replies: Replies, first: list[tuple[int, Shown]], writer: Writer, headers: Mapping[str, str]) -> None:
        super().__init__(headers={**headers, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}, media_type="text/event-stream")
        del self.headers["content-length"]
        self._replies, self._first, self._writer = replies, first, writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        choices = [Collected() for _ in range(self._replies.count)]
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send(_body(self._writer.begin() + self._written(self._first, choices)))
            try:
                async for batch in self._replies.batches():
                    await send(_body(self._written(batch, choices)))
                last = self._writer.end(choices)
            except Exception as error:      # the status has been sent: only an event can tell
                last = self._writer.fail(error)
            await send({"type": "http.response.body", "body": last})
        finally:
            self._replies.close()

    def _written(self, batch: list[tuple[int, Shown]], choices: Sequence[Collected]) -> bytes:
        for number, event in batch:
            choices[number].add(event)
        return self._writer.write(joined(batch) if len(batch) > 1 else batch)


def _body(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": True}


def event(data: Any, name: str = "") -> bytes:
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + to_json(data) + b"\n\n"


def failed(error: Exception) -> bytes:
    """The event that ends a stream with an error, as clients of chat completions read it."""
    return event(api_error(error).body) + END


def new_id(kind: str) -> str:
    return f"{kind}{uuid4().hex}"


def now() -> int:
    return int(time.time())


def usage_of(usages: Sequence[Usage]) -> dict[str, Any]:
    """The usage of several choices of one prompt, which counts once, or of several prompts. `dropped_*`: left out of the prompt."""
    new, prompt = sum(usage.new_tokens for usage in usages), usages[0].prompt_tokens if usages else 0
    return {"prompt_tokens": prompt, "completion_tokens": new, "total_tokens": prompt + new,
            "prompt_tokens_details": {"cached_tokens": usages[0].cached_tokens if usages else 0},
            "completion_tokens_details": {"reasoning_tokens": sum(usage.reasoning_tokens for usage in usages)},
            "dropped_messages": usages[0].dropped_messages if usages else 0, "dropped_tokens": usages[0].dropped_tokens if usages else 0}


def usage_with_notes(choices: Sequence[Collected]) -> dict[str, Any]:
    """With `notes` on what was done differently from what was asked, such as an option that another server does not know."""
    notes = dict.fromkeys(note for choice in choices if choice.finished for note in choice.finished.notes)
    return {**usage_of(usages(choices)), **({"notes": list(notes)} if notes else {})}


def usages(choices: Sequence[Collected]) -> list[Usage]:
    return [choice.finished.usage for choice in choices if choice.finished]


def token_scores(tokens: Sequence[TokenScore]) -> list[dict[str, Any]]:
    """Tokens as the OpenAI API reports them. `bytes` matter where a token is only a part of a character."""
    return [{"token": token.text, "logprob": token.log_probability, "bytes": list(token.data), "top_logprobs": [
        {"token": text, "logprob": value, "bytes": list(data)} for text, data, value in token.likeliest]} for token in tokens]
