"""Progress and speed of a download."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

REPORT_S = 0.2              # shortest time between two reports
SPEED_WINDOW_S = 5.0        # speed is the mean over this period


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """`done_bytes` includes bytes that were on disk before; the speed does not. `seconds_left`: None until the speed is known."""

    done_bytes: int
    total_bytes: int
    file: str
    bytes_per_second: float = 0.0
    seconds_left: float | None = None


OnProgress = Callable[[DownloadProgress], None]


class Meter:
    """Counts bytes, and reports their number and speed every REPORT_S."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress, self.file = on_progress, ""
        self._done = self._total = 0
        self._reported = 0.0
        self._marks: deque[tuple[float, int]] = deque()

    @property
    def missing_bytes(self) -> int:
        return self._total - self._done

    def start(self, done: int, total: int) -> None:
        self._done, self._total = done, total
        self._marks.append((time.monotonic(), done))
        self.report()

    def add(self, num_bytes: int) -> None:
        self._done += num_bytes
        if self._total and time.monotonic() - self._reported >= REPORT_S:
            self.report()

    def report(self) -> None:
        now = self._reported = time.monotonic()
        while len(self._marks) > 1 and now - self._marks[0][0] > SPEED_WINDOW_S:
            self._marks.popleft()
        since, then = self._marks[0]
        self._marks.append((now, self._done))
        speed = (self._done - then) / (now - since) if now > since else 0.0
        self._on_progress(DownloadProgress(self._done, self._total, self.file, speed, self.missing_bytes / speed if speed else None))
