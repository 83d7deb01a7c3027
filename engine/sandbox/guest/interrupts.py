"""SIGINT stops the program, never the loop around it."""

from __future__ import annotations

import signal
from types import FrameType


class Interrupts:
    """SIGINT for the program only: outside the `with` block it is ignored."""

    def __init__(self) -> None:
        self._is_running = False

    def arm(self) -> None:
        """Install the handler before each program, since the previous one may have replaced it."""
        if hasattr(signal, "setitimer"):        # not in WebAssembly
            signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGINT, self._on_interrupt)

    def __enter__(self) -> None:
        self._is_running = True

    def __exit__(self, *_: object) -> None:
        self._is_running = False

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._is_running:
            raise KeyboardInterrupt
