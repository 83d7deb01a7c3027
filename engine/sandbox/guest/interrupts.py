"""SIGINT stops the program, never the loop around it."""

from __future__ import annotations

import signal
from types import FrameType


class Interrupts:
    """Ctrl+C for the program only: outside `running` an interrupt is forgotten."""

    def __init__(self) -> None:
        self._is_running = False

    def arm(self) -> None:
        """Before each program: the one before may have put its own handler in the place."""
        if hasattr(signal, "setitimer"):        # not in WebAssembly
            signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGINT, self._hear)

    def __enter__(self) -> None:
        self._is_running = True

    def __exit__(self, *_: object) -> None:
        self._is_running = False

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._is_running:
            raise KeyboardInterrupt
