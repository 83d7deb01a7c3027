"""How many threads compute a step, learned from how long steps take.

On a quiet machine more threads are faster. When other programs use the cores, threads wait at each barrier for one that the system has
put aside: two threads were measured up to ten times slower than one. Step times tell, so the number follows them both ways: a step
that suddenly takes long is followed by one with fewer threads, and now and then another number is tried, less often while that does
not pay.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

SUDDENLY = 2.0          # a step that takes this many times the usual: neighbours have come
FIRST_TRY_S, LONGEST_PAUSE_S = 1.0, 30.0        # of computing, between two tries of another number
REMEMBERED = 5          # steps of each number and size
PROBE_SIZE = 512


@contextmanager
def fastest_now(most: int) -> Iterator[None]:
    """Compute the block with as many threads as multiply small matrices fastest at this moment: for work done once, such as the proof."""
    before = torch.get_num_threads()
    torch.set_num_threads(fastest_number(most))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fastest_number(most: int) -> int:
    """Return how many threads multiply small matrices fastest at this moment, one or `most`. Leaves another number set."""
    return min((1, most), key=_product_s) if most > 1 else most


def _product_s(count: int) -> float:
    """The median time of a product that takes about a millisecond."""
    torch.set_num_threads(count)
    x, times = torch.ones(PROBE_SIZE, PROBE_SIZE), []
    for _ in range(REMEMBERED):
        started = time.perf_counter()
        torch.mm(x, x)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


class ThreadChoice:
    """For steps of one model. most: the largest number of threads; 1 leaves nothing to choose. Time is the sum of the steps."""

    def __init__(self, most: int) -> None:
        powers = [1 << power for power in range(most.bit_length()) if 1 << power < most]
        self._counts = [*powers, most]
        self._sizes: dict[int, _Size] = defaultdict(lambda: _Size(most))

    def begin(self, tokens: int) -> int:
        """The number of threads for the next step, of so many tokens."""
        size = self._sizes[tokens.bit_length()]
        return size.trial or size.count

    def end(self, tokens: int, seconds: float) -> None:
        """That step took so long."""
        if len(self._counts) > 1:
            self._sizes[tokens.bit_length()].end(seconds, self._counts)


@dataclass(slots=True)
class _Size:
    """Steps of about the same number of tokens. trial: the number of threads that is being tried, if one is."""

    count: int
    trial: int | None = None
    times: dict[int, deque[float]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=REMEMBERED)))
    computed_s: float = 0.0
    next_try_s: float = FIRST_TRY_S
    pause_s: float = FIRST_TRY_S

    def end(self, seconds: float, counts: list[int]) -> None:
        used = self.trial or self.count
        known = self.times[used]
        self.computed_s += seconds
        is_sudden = len(known) == REMEMBERED and seconds > SUDDENLY * statistics.median(known)
        if is_sudden:
            known.clear()
        known.append(seconds)
        if self.trial is not None:
            self._judge(seconds)
        elif is_sudden and used > 1:
            self.trial = counts[counts.index(used) - 1]
        elif self.computed_s >= self.next_try_s and len(known) == REMEMBERED:
            self.trial = self._neighbour(counts)

    def _judge(self, seconds: float) -> None:
        """Keep the number that was tried if it was faster."""
        usual, tried = self.times[self.count], self.trial
        self.trial = None
        if tried is not None and (not usual or seconds < statistics.median(usual)):
            self.count, self.pause_s = tried, FIRST_TRY_S
        else:
            self.pause_s = min(LONGEST_PAUSE_S, 2 * self.pause_s)
        self.next_try_s = self.computed_s + self.pause_s

    def _neighbour(self, counts: list[int]) -> int:
        """One step down and one up, in turns."""
        at = counts.index(self.count)
        near = [counts[place] for place in (at - 1, at + 1) if 0 <= place < len(counts)]
        return near[int(self.computed_s / FIRST_TRY_S) % len(near)]
