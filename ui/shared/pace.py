"""How often a page is updated while a reply is generated."""

from __future__ import annotations

import time

UPDATE_S = 0.1              # the shortest time between two updates of a page; half of it slows a small model on 2 cores down a lot
LONG_UPDATE_S = 0.25        # the longest, for long replies, which the browser lays out slowly
CHARS_PER_S = 50_000        # how fast the browser lays out a reply on a small machine
SERVER_SHARE = 4            # after an update that took the server x seconds, the next one comes 4x seconds later


class Pace:
    """Decides when the next update is due. Call `began` before each update and `ended` after it."""

    def __init__(self) -> None:
        self._due = 0.0
        self._began = 0.0

    def is_due(self) -> bool:
        return time.monotonic() >= self._due

    def began(self) -> None:
        self._began = time.monotonic()

    def ended(self, num_chars: int) -> None:
        now = time.monotonic()
        pause = max(UPDATE_S, min(LONG_UPDATE_S, max(num_chars / CHARS_PER_S, SERVER_SHARE * (now - self._began))))
        self._due = max(self._began + pause, now)
