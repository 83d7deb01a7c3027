"""Chooses what the next step processes: one token of every reply that is being generated, and a bounded slice of new prompts.

A reply begins when the cache has room for its prompt. If the cache is full while replies grow, the latest one of the visitor with most
gives its blocks back and is computed again later. Visitors take turns: whoever has fewer replies running goes first, then whoever had
no turn for longest, however many replies each has asked for.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Hashable

from .blocks import BLOCK_TOKENS, BlockPool
from .drafts import MOST as MOST_GUESSED
from .drafts import MOST_REPLIES
from .queue_pace import QueuePace
from .sequence import Part, Sequence
from .snapshots import Snapshots

MAX_RUNNING = 256
MAX_TURNS = 4096        # visitors whose last turn is remembered
FIRST_SLICE = 128       # prompt tokens of a step while it is not known how fast this model reads
SMALLEST_SLICE = 16
IDLE_S, BUSY_S = 1.0, 0.4       # how long prompts may take in one step: bounds a cancellation, and the gap between tokens of other replies


class Scheduler:
    """Used by the generation thread only. root_of: replies share cached prefixes, and go on from their own, while it is equal.

    guesses: whether tokens that may follow are processed with the newest one. anew_after: the length after which the root of a reply
    changes by itself; a guess ends there, because what follows is computed with other positions. whole_pictures: a slice does not end
    within a picture.
    """

    def __init__(self, blocks: BlockPool, step_tokens: int, root_of: Callable[[Sequence], Hashable],
                 snapshots: Snapshots | None = None, *, guesses: bool = False, anew_after: int | None = None,
                 max_running: int = MAX_RUNNING, whole_pictures: bool = False) -> None:
        self._blocks, self._step_tokens, self._root_of, self._snapshots = blocks, step_tokens, root_of, snapshots
        self._guesses, self._anew_after, self._max_running = guesses, anew_after, max_running
        self._whole_pictures = whole_pictures
        self._prompt_rate: float | None = None      # tokens per second
        self._pace = QueuePace()
        self._turn = 0
        self._turns: dict[Hashable, int] = {}       # of each visitor, when a reply of theirs began last
        self.waiting: list[Sequence] = []
        self.running: list[Sequence] = []       # in the order of arrival

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.running

    def ahead_of(self, sequence: Sequence) -> int:
        """How many replies begin before it, if those that run go on and nobody comes."""
        active, waiting = Counter(each.visitor for each in list(self.running)), list(self.waiting)
        turns = dict(self._turns)
        for ahead in itertools.count():
            if sequence not in waiting:
                return 0
            following = _in_turn(waiting, active, turns)
            if following is sequence:
                return ahead
            waiting.remove(following)
            active[following.visitor] += 1
            turns[following.visitor] = self._turn + ahead + 1
        raise AssertionError

    def expected_s(self, ahead: int) -> float | None:
        """Seconds until a reply with so many in front of it begins; None if it is not known how fast the queue moves."""
        return self._pace.expected_s(ahead)

    def next_step(self) -> list[Part]:
        for sequence in [each for each in (*self.running, *self.waiting) if each.is_cancelled]:
            self.remove(sequence)
        for sequence in [each for each in self.running if self._root_of(each) != each.table.root]:
            self._put_back(sequence)
        parts = self._decoding()
        self._add_prompts(parts, self._slice_tokens(BUSY_S if parts else IDLE_S))
        return parts

    def took(self, parts: list[Part], seconds: float) -> None:
        """Learn from a step how fast prompts are read."""
        tokens = sum(part.last - part.first for part in parts)
        if tokens >= SMALLEST_SLICE and seconds > 0:
            rate = tokens / seconds
            self._prompt_rate = rate if self._prompt_rate is None else (self._prompt_rate + rate) / 2

    def computed(self, part: Part, confirmed: int = 0) -> None:
        """The keys and values of the part, and of so many tokens of its guess, are in the cache now."""
        sequence = part.sequence
        sequence.num_computed = part.last + confirmed
        self._blocks.register(sequence.table, sequence.ids, sequence.num_computed)
        if self._snapshots is not None:
            self._snapshots.note(sequence)

    def remove(self, sequence: Sequence) -> None:
        """The reply is over."""
        if sequence in self.running:
            self.running.remove(sequence)
        else:
            self.waiting.remove(sequence)
        self._release(sequence)

    def _slice_tokens(self, seconds: float) -> int:
        if self._prompt_rate is None:
            return min(FIRST_SLICE, self._step_tokens)
        return max(SMALLEST_SLICE, min(self._step_tokens, int(self._prompt_rate * seconds)))

    def close(self) -> None:
        """Forget all replies and what they hold, and the forward pass, which `root_of` may belong to."""
        self.waiting, self.running, self._snapshots = [], [], None
        self._root_of = lambda sequence: ""

    def _decoding(self) -> list[Part]:
        for sequence in [each for each in self.running if each.is_decoding]:
            while sequence in self.running and not self._blocks.extend(sequence.table, len(sequence.ids)):
                self._put_back(self._first_to_give_way())
        decoding = [each for each in self.running if each.is_decoding]
        most = MOST_GUESSED if self._guesses and len(decoding) <= MOST_REPLIES else 0
        return [Part(each, each.num_computed, len(each.ids), tuple(self._guess(each, most))) for each in decoding]

    def _first_to_give_way(self) -> Sequence:
        """The latest reply of the visitor with most. The earliest of all is never chosen unless it is alone, so one always goes on."""
        active = Counter(sequence.visitor for sequence in self.running)
        return max(self.running, key=lambda sequence: (active[sequence.visitor], sequence.arrival))

    def _guess(self, sequence: Sequence, most: int) -> list[int]:
        """Tokens that may follow, if there are blocks for them that nobody needs now."""
        most = min(most, sequence.options.max_new_tokens - sequence.num_new - 1)
        if self._anew_after is not None and len(sequence.ids) <= self._anew_after:
            most = min(most, self._anew_after - len(sequence.ids))
        guess = sequence.drafts.guess(sequence.ids, most) if most > 0 else []
        guess = list(itertools.takewhile(lambda token: token >= 0, guess))      # no pictures
        return guess if guess and self._blocks.extend(sequence.table, len(sequence.ids) + len(guess)) else []

    def _add_prompts(self, parts: list[Part], tokens: int) -> None:
        """Slices of so many tokens. A prompt that takes several steps leaves half of each to others, if there are others."""
        reading = [each for each in self.running if not each.is_decoding]
        long = next((each for each in reading if len(each.ids) - each.num_computed > tokens), None)
        kept = 0 if long is None else tokens - tokens // 2
        left = tokens - kept
        for sequence in reading:
            if sequence is not long:
                left = self._add_slice(parts, sequence, left)
        while left > 0 and self.waiting and len(self.running) < self._max_running:
            sequence = _in_turn(self.waiting, Counter(each.visitor for each in self.running), self._turns)
            if not self._begin(sequence):
                break
            self._took_turn(sequence.visitor)
            self._pace.began(bool(self.waiting))
            left = self._add_slice(parts, sequence, left)
        if long is not None:
            self._add_slice(parts, long, left + kept)

    def _add_slice(self, parts: list[Part], sequence: Sequence, left: int) -> int:
        """A slice of its prompt, if any is left of the step; returns what is left then."""
        if left <= 0:
            return 0
        last = min(len(sequence.ids), sequence.num_computed + left)
        if self._whole_pictures:
            last = sequence.after_picture(last)
        if self._snapshots is not None and last == len(sequence.ids) and sequence.num_computed < (last - 1) // BLOCK_TOKENS * BLOCK_TOKENS:
            last = (last - 1) // BLOCK_TOKENS * BLOCK_TOKENS     # states are kept at the end of blocks
        parts.append(Part(sequence, sequence.num_computed, last))
        return left - (last - sequence.num_computed)

    def _begin(self, sequence: Sequence) -> bool:
        """Give it the blocks of its prompt, known ones first. False if there are too few."""
        sequence.table.root = self._root_of(sequence)
        known = self._blocks.share(sequence.table, sequence.ids[:-1])      # at least one token must be processed to get the next
        if self._snapshots is not None:
            known, sequence.states = self._snapshots.find(sequence.table)
            self._blocks.shorten(sequence.table, known)
        if not self._blocks.extend(sequence.table, len(sequence.ids)):
            self._release(sequence)
            return False
        sequence.num_computed = known
        if sequence.num_new == 0:       # later it would find what it computed itself
            sequence.num_cached = known
        self.waiting.remove(sequence)
        self.running.append(sequence)
        self.running.sort(key=lambda each: each.arrival)
        return True

    def _took_turn(self, visitor: Hashable) -> None:
        self._turn += 1
        self._turns.pop(visitor, None)
        self._turns[visitor] = self._turn
        if len(self._turns) > MAX_TURNS:
            del self._turns[next(iter(self._turns))]

    def _put_back(self, sequence: Sequence) -> None:
        """Take the blocks of a running reply; it begins again when there is room."""
        self.running.remove(sequence)
        self._release(sequence)
        self.waiting.append(sequence)

    def _release(self, sequence: Sequence) -> None:
        self._blocks.release(sequence.table)
        sequence.num_computed, sequence.states = 0, None


def _in_turn(waiting: list[Sequence], active: Counter[Hashable], turns: dict[Hashable, int]) -> Sequence:
    """The reply whose visitor has fewest running, then had no turn for longest, then came first."""
    return min(waiting, key=lambda each: (active[each.visitor], turns.get(each.visitor, -1), each.arrival))
