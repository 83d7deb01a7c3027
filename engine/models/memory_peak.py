"""Measures the peak memory of a piece of work while it runs."""

from __future__ import annotations

import ctypes
import sys
import threading
from functools import cache
from types import TracebackType

from ..hardware import Hardware

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3     # malloc.h
EVERY_S = 0.02      # quantizing a matrix of a few million weights takes longer


class PeakWatch:
    """`with PeakWatch(hardware) as watch: load()`, then `watch.peak_bytes`: the peak above the memory in use at the start.

    Counts what `Hardware.used_bytes` counts. On Linux, the first use also makes the C library return freed blocks.
    """

    def __init__(self, hardware: Hardware) -> None:
        self._used = hardware.used_bytes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak", daemon=True)
        self._start = self._peak = 0

    @property
    def peak_bytes(self) -> int:
        return self._peak - self._start

    def __enter__(self) -> PeakWatch:
        return_freed_memory()
        self._start = self._peak = self._used()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()

    def _watch(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._sample()

    def _sample(self) -> None:
        self._peak = max(self._peak, self._used())


@cache
def return_freed_memory() -> None:
    """Make freed blocks of 1 MiB and more return to the system at once, for the rest of this process.

    glibc raises that limit up to 32 MiB by itself and keeps smaller blocks: at random 12 to 460 MB of a 4-bit load of 110 M
    parameters, and 130 to 400 MB of its 8-bit replies. Other C libraries are not changed.
    """
    if sys.platform != "linux":
        return
    try:
        limit = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):       # musl returns memory by itself
        return
    limit(M_MMAP_THRESHOLD, 2**20)
    limit(M_TRIM_THRESHOLD, 32 * 2**20)     # of the top of the heap; setting the other limit would reset it to 128 KiB
