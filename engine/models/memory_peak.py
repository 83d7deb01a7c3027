"""The most memory that a piece of work took, measured while it runs."""

from __future__ import annotations

import ctypes
import sys
import threading
from functools import cache
from types import TracebackType

from ..hardware import Hardware

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3     # malloc.h
EVERY_S = 0.02      # a matrix of a few million weights takes longer than this to quantize


class PeakWatch:
    """`with PeakWatch(hardware) as watch: load()`, then `watch.peak_bytes`: the peak above what was in use at the start.

    Counts what `Hardware.used_bytes` counts. On Linux, the first one also tells the C library to give freed blocks back.
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
        give_back_freed_memory()
        self._start = self._peak = self._used()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        self._peak = max(self._peak, self._used())


@cache
def give_back_freed_memory() -> None:
    """Blocks of a mebibyte and more return to the machine when they are freed, once and for all in this process.

    glibc raises that limit up to 32 MiB by itself and keeps the rest: 12 to 460 MB, by chance, of one 4-bit load of 110 M
    parameters, and 130 to 400 MB of its 8-bit replies. Other C libraries are left as they are.
    """
    if sys.platform != "linux":
        return
    try:
        limit = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):       # musl returns memory by itself
        return
    limit(M_MMAP_THRESHOLD, 2**20)
    limit(M_TRIM_THRESHOLD, 32 * 2**20)     # the end of the heap; it would be 128 KiB once the other limit is fixed
