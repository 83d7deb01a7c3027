"""How far a download is, and how fast it goes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

REPORT_S = 0.2              # how often progress is told
SPEED_WINDOW_S = 5.0        # speed is the mean over this time


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """`done_bytes` counts what was on disk before; the speed does not. `seconds_left` is None until there is a speed."""

    done_bytes: int
    total_bytes: int
    file: str
    bytes_per_second: float = 0.0
    seconds_left: float | None = None


Report = Callable[[DownloadProgress], None]


class Meter:
    """Counts bytes, and tells how many and how fast every REPORT_S."""

    def __init__(self, report: Report) -> None:
        self._report, self.file = report, ""
        self._done = self._total = 0
        self._told = 0.0
        self._marks: deque[tuple[float, int]] = deque()

    @property
    def missing_bytes(self) -> int:
        return self._total - self._done

    def start(self, done: int, total: int) -> None:
        self._done, self._total = done, total
        self._marks.append((time.monotonic(), done))
        self.tell()

    def add(self, num_bytes: int) -> None:
        self._done += num_bytes
        if self._total and time.monotonic() - self._told >= REPORT_S:
            self.tell()

    def tell(self) -> None:
        now = self._told = time.monotonic()
        while len(self._marks) > 1 and now - self._marks[0][0] > SPEED_WINDOW_S:
            self._marks.popleft()
        since, then = self._marks[0]
        self._marks.append((now, self._done))
        speed = (self._done - then) / (now - since) if now > since else 0.0
        self._report(DownloadProgress(self._done, self._total, self.file, speed, self.missing_bytes / speed if speed else None))
