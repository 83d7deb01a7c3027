"""Ends the thoughts of one reply after a number of tokens: the text that the template writes after thoughts is forced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from ..messages import NO_LIMIT, GenerationOptions
from .call_wording import FINAL
from .thinking import TemplateThinking

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
        self._state: Literal["start", "opening", "thoughts", "closing", "over"] = "start"
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

    @property
    def may_answer(self) -> bool:
        """Whether the next token may belong to the answer."""
        return self._state in ("start", "over")

    @property
    def opening(self) -> int | None:
        """A token that may come next in the place of the answer, because it begins thoughts."""
        return None

    @property
    def spilled(self) -> str:
        """What the token that ended the thoughts contains of the answer."""
        return ""

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


class ThoughtsBeforeShape(ThoughtLimit):
    """Of a reply whose answer has a shape: thoughts begin, and the answer after them, as the template writes it; else the answer begins.

    opens: the ids of the text before thoughts; empty if there can be none. follows: the ids of what comes between the end mark and the
    answer. The others as ThoughtLimit.
    """

    def __init__(self, budget: int, start: str, end: str, close: Sequence[int], decode: Callable[[list[int]], str], *,
                 is_open: bool, opens: Sequence[int], follows: Sequence[int]) -> None:
        super().__init__(budget, start, end, close, decode, is_open=is_open)
        self._opens, self._follows, self._spilled = list(opens), list(follows), ""

    @property
    def required(self) -> int | None:
        return self._opens[0] if self._state == "opening" else super().required

    @property
    def opening(self) -> int | None:
        return self._opens[0] if self._state == "start" and self._opens else None

    @property
    def spilled(self) -> str:
        return self._spilled

    def add(self, token: int) -> None:
        state, self._spilled = self._state, ""
        if state == "opening" or (state == "start" and token == self.opening):
            del self._opens[0]
            self._state = "opening"
            if not self._opens:
                self._think()
        elif state == "start":
            self._state = "over"
        else:
            super().add(token)
            if (state, self._state) == ("thoughts", "over"):
                self._ended(self._decode(self._written).partition(self._end)[2])

    def _ended(self, rest: str) -> None:
        """The model ended its thoughts by itself, with a token that has this text after the mark."""
        self._spilled = rest.lstrip()
        if not rest and self._follows:
            self._close, self._state = self._follows, "closing"


def limit_of(thinking: TemplateThinking, options: GenerationOptions, encode: Callable[[str], list[int]],
             decode: Callable[[list[int]], str], *, is_open: bool, may_open: bool) -> ThoughtLimit | None:
    """None without thoughts, and without a budget, a shape or tools.

    is_open: whether the prompt opens thoughts. may_open: whether a reply may.
    """
    budget = options.reasoning_budget
    has_grammar = options.shape is not None or bool(options.callable_tools)
    if not thinking.end or (budget is None and not has_grammar):
        return None
    after = thinking.after.removesuffix(FINAL) if options.callable_tools else thinking.after     # a call has a channel of its own
    marks = thinking.start, thinking.end, encode(after), decode
    if not has_grammar:
        return ThoughtLimit(budget or 0, *marks, is_open=is_open)
    opens = encode(thinking.before) if may_open and options.reasoning_effort != "none" else ()
    return ThoughtsBeforeShape(NO_LIMIT if budget is None else budget, *marks, is_open=is_open, opens=opens,
                               follows=encode(after.partition(thinking.end)[2]))
