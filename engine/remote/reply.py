"""One reply of another server, from the pieces of its stream to the events of a chat."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidRequest
from ..generation.text import ReasoningSplitter
from ..messages import Finished, FinishReason, ReasoningDelta, TextDelta, Usage
from ..shapes import CUT_NOTE
from ..tool_calls import MAX_ARGUMENTS_CHARS, MAX_CALLS, Tool, ToolCallDelta, calls_of, new_call_id

NO_JSON_NOTE = "The server did not keep to the shape that was asked for: its answer is not JSON."
NO_CALL_NOTE = "The server's call of a tool cannot be used: it names no tool that was offered, or its arguments are not JSON."
UNCOUNTED_NOTE = "The server did not report its tokens; the pieces of the reply were counted."


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk of a stream. `usage`: (prompt, cached, new, reasoning) tokens, in the last chunk. `calls`: as the server numbers them."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[ToolCallDelta, ...] = ()
    finish_reason: str = ""
    usage: tuple[int, int, int, int] | None = None


def piece_of(chunk: Any) -> Piece:
    """`chunk`: a ChatCompletionChunk of openai. Servers name thoughts reasoning_content or reasoning."""
    choice = chunk.choices[0] if chunk.choices else None
    delta = choice.delta if choice else None
    usage = chunk.usage
    counts = None
    if usage is not None:
        prompt, new = usage.prompt_tokens_details, usage.completion_tokens_details
        counts = (usage.prompt_tokens or 0, (prompt.cached_tokens if prompt else 0) or 0, usage.completion_tokens or 0,
                  (new.reasoning_tokens if new else 0) or 0)
    reasoning = (getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None) or "") if delta else ""
    return Piece((delta.content if delta else "") or "", reasoning if isinstance(reasoning, str) else "", _calls(delta),
                 (choice.finish_reason if choice else "") or "", counts)


def _calls(delta: Any) -> tuple[ToolCallDelta, ...]:
    """Pieces of calls; some servers leave out the number of a call, or its id."""
    found = (delta.tool_calls if delta else None) or ()
    return tuple(ToolCallDelta(
        each.index if isinstance(each.index, int) else number, each.id or "",
        (each.function.name if each.function else "") or "", (each.function.arguments if each.function else "") or "")
        for number, each in enumerate(found))


class RemoteReply:
    """Collects one reply. Times are measured here, so they include the network. `tools`: that it may call."""

    def __init__(self, tools: Sequence[Tool] = ()) -> None:
        self._tools = {tool.name for tool in tools}
        self._calls: list[ToolCallDelta] = []
        self._numbers: dict[int, int] = {}      # of calls: the server's, and ours, which have no gaps
        self._splitter = ReasoningSplitter()
        self._started = time.monotonic()
        self._first_at = self._last_at = self._thought_until = 0.0
        self._pieces = self._thought_pieces = 0
        self._usage: tuple[int, int, int, int] | None = None
        self._finish_reason = ""
        self._answer: list[str] = []

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def has_begun(self) -> bool:
        return bool(self._first_at)

    @property
    def has_calls(self) -> bool:
        return bool(self._calls)

    @property
    def is_complete(self) -> bool:
        """Whether the server said that the reply ended, which it does before it closes the connection."""
        return bool(self._finish_reason)

    def feed(self, piece: Piece) -> Iterator[TextDelta | ReasoningDelta | ToolCallDelta]:
        self._usage = piece.usage or self._usage
        self._finish_reason = piece.finish_reason or self._finish_reason
        if not (piece.text or piece.reasoning or piece.calls):
            return
        self._last_at = time.monotonic()
        self._first_at = self._first_at or self._last_at
        self._pieces += 1
        if piece.reasoning or self._splitter.is_thinking:
            self._thought_pieces, self._thought_until = self._thought_pieces + 1, self._last_at
        if piece.reasoning:
            yield ReasoningDelta(piece.reasoning)
        if piece.text:
            yield from self._kept(self._splitter.feed(piece.text))
        for call in piece.calls if self._tools else ():
            yield from self._called(call)

    def _called(self, call: ToolCallDelta) -> Iterator[ToolCallDelta]:
        is_first = call.index not in self._numbers
        if len(self._numbers) >= MAX_CALLS or sum(len(each.arguments) for each in self._calls) > MAX_ARGUMENTS_CHARS:
            return
        number = self._numbers.setdefault(call.index, len(self._numbers))
        piece = ToolCallDelta(number, call.id or new_call_id() if is_first else "", call.name if is_first else "", call.arguments)
        self._calls.append(piece)
        yield piece

    @property
    def _has_whole_calls(self) -> bool:
        try:
            calls = calls_of(self._calls)
        except InvalidRequest:
            return False
        return bool(calls) and all(call.name in self._tools for call in calls)

    def flush(self) -> Iterator[TextDelta | ReasoningDelta]:
        yield from self._kept(self._splitter.flush())

    def _kept(self, pieces: Iterator[TextDelta | ReasoningDelta]) -> Iterator[TextDelta | ReasoningDelta]:
        for piece in pieces:
            if isinstance(piece, TextDelta):
                self._answer.append(piece.text)
            yield piece

    def shape_notes(self, begun: str) -> tuple[str, ...]:
        """What to say of an answer that should be JSON, and is not. `begun`: its beginning, which was sent."""
        try:
            json.loads(begun + "".join(self._answer))
        except (ValueError, RecursionError):
            return (CUT_NOTE if self._finish_reason == "length" else NO_JSON_NOTE,)
        return ()

    def finished(self, *, is_stopped: bool, notes: tuple[str, ...], dropped_messages: int = 0) -> Finished:
        """`dropped_messages`: turns that were left out of the request."""
        if self._usage is None and self._pieces and not is_stopped:
            notes = (*notes, UNCOUNTED_NOTE)
        prompt, cached, new, reasoning = self._usage or (0, 0, self._pieces, self._thought_pieces)
        seconds = self._last_at - self._first_at
        rate = (new - 1) / seconds if seconds > 0 and new > 1 else 0.0
        thought_s = max(0.0, self._thought_until - self._first_at)
        reason: FinishReason = "stopped" if is_stopped else "length" if self._finish_reason == "length" else "stop"
        if self._calls and reason == "stop":
            reason, notes = ("tool_calls", notes) if self._has_whole_calls else ("stop", (*notes, NO_CALL_NOTE))
        ttft = (self._first_at or time.monotonic()) - self._started
        usage = Usage(prompt, cached, new, ttft, rate, dropped_messages, 0, reasoning or self._thought_pieces, thought_s)
        return Finished(reason, usage, notes)
