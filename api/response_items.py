"""The items of a response's output: reasoning, a message, calls of functions; and the events with which each is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import ReasoningDelta, TextDelta, ToolCallDelta

from .writing import new_id, token_scores

Event = Callable[..., bytes]        # the name of an event and its fields
Delta = TextDelta | ReasoningDelta | ToolCallDelta


class Item:
    """One item, as far as it is written. `number`: its place in the output."""

    def __init__(self, number: int, first: Delta) -> None:
        self.number = number
        self._first = first
        self._text = ""
        self._scores: list[dict[str, Any]] = []
        self.id = new_id("fc_" if self._is_call else "rs_" if self._is_thought else "msg_")

    @property
    def _is_call(self) -> bool:
        return isinstance(self._first, ToolCallDelta)

    @property
    def _is_thought(self) -> bool:
        return isinstance(self._first, ReasoningDelta)

    def takes(self, delta: Delta) -> bool:
        """Whether a piece belongs to this item."""
        if isinstance(delta, ToolCallDelta) and isinstance(self._first, ToolCallDelta):
            return delta.index == self._first.index
        return type(delta) is type(self._first)

    def add(self, delta: Delta, event: Event) -> bytes:
        if isinstance(delta, ToolCallDelta):
            self._text += delta.arguments
            return event("response.function_call_arguments.delta", **self._here, delta=delta.arguments) if delta.arguments else b""
        self._text += delta.text
        if self._is_thought:
            return event("response.reasoning_text.delta", **self._place, delta=delta.text)
        scores = token_scores(delta.tokens)
        self._scores += scores
        return event("response.output_text.delta", **self._place, delta=delta.text, logprobs=scores)

    def open(self, event: Event) -> bytes:
        added = event("response.output_item.added", output_index=self.number, item=self.shown("in_progress", is_empty=True))
        return added if self._is_call else added + event("response.content_part.added", **self._place, part=self._part(is_empty=True))

    def close(self, status: str, event: Event) -> bytes:
        if isinstance(self._first, ToolCallDelta):
            done = event("response.function_call_arguments.done", **self._here, name=self._first.name, arguments=self._text)
        elif self._is_thought:
            done = event("response.reasoning_text.done", **self._place, text=self._text)
        else:
            done = event("response.output_text.done", **self._place, text=self._text, logprobs=self._scores)
        if not self._is_call:
            done += event("response.content_part.done", **self._place, part=self._part())
        return done + event("response.output_item.done", output_index=self.number, item=self.shown(status))

    def shown(self, status: str, *, is_empty: bool = False) -> dict[str, Any]:
        if isinstance(self._first, ToolCallDelta):
            return {"id": self.id, "type": "function_call", "call_id": self._first.id, "name": self._first.name,
                    "arguments": "" if is_empty else self._text, "status": status}
        content = [] if is_empty else [self._part()]
        if self._is_thought:
            return {"id": self.id, "type": "reasoning", "summary": [], "content": content, "status": status}
        return {"id": self.id, "type": "message", "role": "assistant", "status": status, "content": content}

    @property
    def _here(self) -> dict[str, Any]:
        return {"item_id": self.id, "output_index": self.number}

    @property
    def _place(self) -> dict[str, Any]:
        return {**self._here, "content_index": 0}

    def _part(self, *, is_empty: bool = False) -> dict[str, Any]:
        text = "" if is_empty else self._text
        if self._is_thought:
            return {"type": "reasoning_text", "text": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": [] if is_empty else self._scores}
