"""Ends the thoughts of one reply after a number of tokens: the text that the template writes after thoughts is forced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

TAIL_TOKENS = 16        # in which the end mark is looked for: where it is ordinary text, it has up to about ten tokens


class ThoughtLimit:
    """Follows the tokens of one reply. Used by the thread that generates it only. Does not limit thoughts that nothing opened.

    budget: tokens of thought, without the marks. start, end: the marks. is_open: whether the prompt opened the thoughts. close: the
    ids that end them. decode: ids to text, special tokens included.
    """

    def __init__(self, budget: int, start: str, end: str, close: Sequence[int], decode: Callable[[list[int]], str], *,
                 is_open: bool) -> None:
        self._budget, self._start, self._end, self._decode = budget, start, end, decode
        self._close = list(close)
        self._written: list[int] = []
        self._num_thoughts = 0
        self._state: Literal["start", "thoughts", "closing", "over"] = "start"
        if is_open:
            self._think()

    def __getstate__(self) -> dict[str, object]:
        """For another process, which gives it a `decode` of its own."""
        return {**self.__dict__, "_decode": None}

    def decode_with(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode

    @property
    def required(self) -> int | None:
        """The token that must come next; None if any may."""
        return self._close[0] if self._state == "closing" else None

    def add(self, token: int) -> None:
        """The reply has this next token."""
        match self._state:
            case "start":
                self._written.append(token)
                text = self._decode(self._written).lstrip()
                if text.startswith(self._start):
                    self._think()
                elif not self._start.startswith(text):
                    self._state = "over"
            case "thoughts":
                self._written = [*self._written[-TAIL_TOKENS + 1:], token]
                self._num_thoughts += 1
                if self._end in self._decode(self._written):
                    self._state = "over"
                else:
                    self._think()
            case "closing":
                del self._close[0]
                if not self._close:
                    self._state = "over"

    def _think(self) -> None:
        is_used_up = self._num_thoughts >= self._budget and bool(self._close)
        self._state = "closing" if is_used_up else "thoughts"
