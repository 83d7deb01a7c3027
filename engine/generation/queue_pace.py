"""How fast a queue of replies moves, for the wait that a visitor is told."""

from __future__ import annotations

import time

WEIGHT = 0.3        # of the newest interval in the mean


class QueuePace:
    """Measures the intervals between the beginnings of replies, while others wait. Written by one thread, read by others."""

    def __init__(self) -> None:
        self._interval_s: float | None = None
        self._last_began: float | None = None

    def began(self, others_wait: bool) -> None:
        """A reply left the queue. `others_wait`: whether it is not empty now; without that the next interval says nothing."""
        now = time.monotonic()
        if self._last_began is not None:
            interval = now - self._last_began
            self._interval_s = interval if self._interval_s is None else (1 - WEIGHT) * self._interval_s + WEIGHT * interval
        self._last_began = now if others_wait else None

    def expected_s(self, ahead: int) -> float | None:
        """Seconds until a reply with so many in front of it begins; None before two have begun."""
        return None if self._interval_s is None else (ahead + 1) * self._interval_s
