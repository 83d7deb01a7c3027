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

import torch

SUDDENLY = 2.0          # a step that takes this many times the usual: neighbours have come
FIRST_TRY_S, LONGEST_PAUSE_S = 1.0, 30.0        # of computing, between two tries of another number
REMEMBERED = 5          # steps of each number and size
PROBE_SIZE = 512


@contextmanager
def fastest_now(most: int) -> Iterator[None]:
    """Compute the block with as many threads as multiply small matrices fastest at this moment: for work done once, such as the proof."""
    before = torch.get_num_threads()
    counts = (1, most) if most > 1 else (most,)
    torch.set_num_threads(min(counts, key=_product_s))
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
        self.count = most
        self._times: dict[int, dict[int, deque[float]]] = defaultdict(lambda: defaultdict(lambda: deque(maxlen=REMEMBERED)))
        self._computed_s, self._next_try_s, self._pause_s = 0.0, FIRST_TRY_S, FIRST_TRY_S
        self._trial: int | None = None

    def begin(self) -> int:
        """The number of threads for the next step."""
        return self._trial or self.count

    def end(self, tokens: int, seconds: float) -> None:
        """The step of so many tokens took so long."""
        if len(self._counts) == 1:
            return
        size = tokens.bit_length()      # steps of about the same size are compared
        used, times = self.begin(), self._times[size]
        self._computed_s += seconds
        is_sudden = len(times[used]) == REMEMBERED and seconds > SUDDENLY * statistics.median(times[used])
        if is_sudden:
            times[used].clear()
        times[used].append(seconds)
        if self._trial is not None:
            self._judge(times)
        elif is_sudden and used > 1:
            self._trial = self._counts[self._counts.index(used) - 1]
        elif self._computed_s >= self._next_try_s and len(times[used]) == REMEMBERED:
            self._trial = self._neighbour(used)

    def _judge(self, times: dict[int, deque[float]]) -> None:
        """Keep the number that was tried if it was faster."""
        tried, self._trial = self._trial, None
        assert tried is not None
        if not times[self.count] or times[tried][-1] < statistics.median(times[self.count]):
            self.count, self._pause_s = tried, FIRST_TRY_S
        else:
            self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s)
        self._next_try_s = self._computed_s + self._pause_s

    def _neighbour(self, used: int) -> int:
        """One step down and one up, in turns."""
        at = self._counts.index(used)
        near = [self._counts[place] for place in (at - 1, at + 1) if 0 <= place < len(self._counts)]
        return near[int(self._computed_s / FIRST_TRY_S) % len(near)]
