"""Statistics of repeated measurements: mean, spread, percentiles."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

NOISY_SPREAD = 0.05     # a larger spread is flagged
WARM_UP_LIMIT = 5
WARM_UP_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class Samples:
    """All repetitions of one measurement, in order."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values) if self.values else 0.0

    @property
    def stdev(self) -> float:
        """Sample standard deviation (n - 1 in the denominator), as in llama-bench; 0 for a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

    @property
    def spread(self) -> float:
        """Standard deviation over mean."""
        return self.stdev / self.mean if self.mean else 0.0

    @property
    def is_noisy(self) -> bool:
        return self.spread > NOISY_SPREAD


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie, interpolated linearly between neighbours; 0 if there are no values.

    NumPy's default (Hyndman and Fan 1996, definition 7).
    """
    if not values:
        return 0.0
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def warm_up(measure: Callable[[], float]) -> tuple[float, ...]:
    """Repeat until two values in a row differ by less than 5 % of the later one, at most five times; return all values."""
    values: list[float] = []
    while len(values) < WARM_UP_LIMIT:
        values.append(measure())
        if len(values) > 1 and abs(values[-1] - values[-2]) < WARM_UP_SPREAD * values[-1]:
            break
    return tuple(values)
