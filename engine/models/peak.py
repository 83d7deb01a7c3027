"""The most memory that a piece of work took, measured while it runs."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from ..hardware import Hardware

EVERY_S = 0.02      # a matrix of a few million weights takes longer than this to quantize


@dataclass(frozen=True, slots=True)
class MeasuredPeak:
    """What one load took at its highest, and for how much cache: `visitors` windows of `context_tokens`."""

    peak_bytes: int
    context_tokens: int
    visitors: int


class PeakWatch:
    """`with PeakWatch(hardware) as watch: load()`, then `watch.peak_bytes`: the peak above what was in use at the start.

    Counts what `Hardware.used_bytes` counts. `gives_back`: freed memory returns to the machine at every look, so that only
    memory in use is measured. The C library would keep it: 12 to 460 MB, by chance, of one 4-bit load of 110 M parameters.
    """

    def __init__(self, hardware: Hardware, *, gives_back: bool = True) -> None:
        self._used = hardware.used_bytes
        self._trim = _malloc_trim() if gives_back and hardware.kind == "cpu" else None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak", daemon=True)
        self._start = self._peak = 0

    @property
    def peak_bytes(self) -> int:
        return self._peak - self._start

    def __enter__(self) -> PeakWatch:
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
        if self._trim is not None:
            self._trim()
        self._peak = max(self._peak, self._used())


def _malloc_trim() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    try:
        trim = ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):       # another C library (musl) returns memory by itself
        return None
    return lambda: trim(0)
