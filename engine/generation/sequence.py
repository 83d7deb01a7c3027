"""One reply in progress: its tokens, its blocks, and what its reader waits for."""

from __future__ import annotations

import queue
import random
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ..messages import GenerationOptions
from .base import Ended, NewTokens
from .blocks import BlockTable
from .drafts import Drafts
from .shape_masks import ShapedAnswer, all_but
from .thought_limit import ThoughtLimit

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from ..compat.kv_cache import State


@dataclass(slots=True, eq=False)
class Sequence:
    """`ids`: the prompt and the tokens generated so far. The keys and values of the first `num_computed` are in the cache."""

    ids: list[int]
    num_prompt: int
    options: GenerationOptions
    end_ids: frozenset[int]
    visitor: Hashable = ""
    arrival: int = 0
    thoughts: ThoughtLimit | None = None
    answer: ShapedAnswer | None = None
    results: queue.SimpleQueue[NewTokens | Ended | Exception] = field(default_factory=queue.SimpleQueue)
    table: BlockTable = field(default_factory=BlockTable)
    num_computed: int = 0
    num_cached: int = 0                     # of the prompt: found in the cache
    is_cancelled: bool = False
    states: list[State | None] | None = None        # of layers that keep a state instead of keys
    drafts: Drafts = field(default_factory=Drafts)
    latest_snapshot: int = -1               # number of the prefix (snapshots.py)
    dice: random.Random = field(init=False)
    number: float | None = None             # drawn for the next token, until that is accepted
    seen: torch.Tensor | None = None        # (vocabulary,): the tokens so far, if a penalty needs them
    counts: torch.Tensor | None = None      # (vocabulary,): how often each was generated
    axes: torch.Tensor | None = None        # (3, tokens): positions of a prompt with pictures (picture_rows.py)
    has_pictures: bool = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.options.seed)    # without a seed: from the system
        self.has_pictures = min(self.ids, default=0) < 0

    def next_number(self) -> float:
        """From 0 to below 1, for the next token: the same until a token is accepted, so that drawing can be repeated."""
        if self.number is None:
            self.number = self.dice.random()
        return self.number

    @property
    def required(self) -> int | None:
        """The token that must come next; None if any may."""
        return self.thoughts.required if self.thoughts is not None else None

    def allowed(self, width: int) -> NDArray[np.bool_] | None:
        """(width,): for each token, whether it may come next; None if any may. Raises GenerationFailed.

        Thoughts before an answer in a shape are not the end of the reply.
        """
        if self.answer is None or self.required is not None:
            return None
        if not self._is_answering:
            return all_but(width, self.end_ids)
        allowed = self.answer.allowed(width)
        opening = self.thoughts.opening if self.thoughts is not None else None
        if opening is not None and opening < width:
            allowed = allowed.copy()
            allowed[opening] = True
        return allowed

    @property
    def _is_answering(self) -> bool:
        return self.thoughts is None or self.thoughts.may_answer

    def after_picture(self, position: int) -> int:
        """`position`, or the end of the picture that a slice up to there would cut. Ids of pictures are below zero."""
        while 0 < position < len(self.ids) and self.ids[position - 1] < 0 and self.ids[position] == self.ids[position - 1] - 1:
            position += 1
        return position

    @property
    def num_new(self) -> int:
        return len(self.ids) - self.num_prompt

    @property
    def is_decoding(self) -> bool:
        """Only the newest token is missing in the cache."""
        return self.num_computed > 0 and self.num_computed == len(self.ids) - 1

    def accept(self, token: int) -> Ended | None:
        """Add the next token; returns the end if this was the last."""
        self.ids.append(token)
        self.number = None
        if self.answer is None:
            if self.thoughts is not None:
                self.thoughts.add(token)
        elif token not in self.end_ids:
            self._follow(self.answer, token)
        if self.seen is not None:
            self.seen[token] = True
        if self.counts is not None:
            self.counts[token] += 1
        if token in self.end_ids:
            return self.ended("stop")
        return self.ended("length") if self.num_new >= self.options.max_new_tokens else None

    def ended(self, reason: Literal["stop", "length", "stopped"]) -> Ended:
        return Ended(reason, self.answer is not None and not (self._is_answering and self.answer.is_complete))

    def _follow(self, answer: ShapedAnswer, token: int) -> None:
        was_answering = self._is_answering
        if self.thoughts is not None:
            self.thoughts.add(token)
            if self.thoughts.spilled:
                answer.add_text(self.thoughts.spilled)
        if was_answering and self._is_answering:
            answer.add(token)


@dataclass(frozen=True, slots=True)
class Part:
    """The tokens `first` to `last` - 1 of a reply, to be processed in one step, and guesses of what follows them (drafts.py)."""

    sequence: Sequence
    first: int
    last: int
    guess: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        return self.last + len(self.guess)

    @property
    def ids(self) -> list[int]:
        return [*self.sequence.ids[self.first: self.last], *self.guess]

    @property
    def is_last(self) -> bool:
        """After it, the next token can be drawn."""
        return self.last == len(self.sequence.ids)

    @property
    def pictures(self) -> tuple[tuple[int, int], ...]:
        """The positions, first and last + 1, of the pictures in it, and of what precedes them."""
        ids, begin = [*self.sequence.ids[: self.last], *self.guess], self.first
        found: list[tuple[int, int]] = []
        if min(ids[begin:]) >= 0:
            return ()
        while begin > 0 and ids[begin] < 0 and ids[begin - 1] == ids[begin] + 1:
            begin -= 1
        for position in range(begin, len(ids)):
            if ids[position] < 0:
                if position > begin and ids[position] == ids[position - 1] - 1 and found:
                    found[-1] = (found[-1][0], position + 1)
                else:
                    found.append((position, position + 1))
        return tuple(found)
