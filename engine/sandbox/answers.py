"""What a run asks of a guest, whatever its walls, and what a guest may answer. What comes from it is data, and never trusted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol

from .base import Limits
from .folder import BoxFolder


@dataclass(frozen=True, slots=True)
class Ready:
    is_locked: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A program came to its end. `error` is empty when it was a good one; `nonce` shows which run it speaks of."""

    error: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Odd:
    """Something that no honest guest says."""


Answer = Ready | Ended | Odd


def parse_answer(line: bytes) -> Answer:
    try:
        facts = json.loads(line)
    except (ValueError, RecursionError):
        return Odd()
    match facts:
        case {"error": str(error), "nonce": str(nonce)}:
            return Ended(error.encode("utf-8", "replace").decode("utf-8"), nonce)      # JSON can hold halves of characters
        case {"ready": bool(is_locked)}:
            return Ready(is_locked, str(facts.get("reason", "")))
        case _:
            return Odd()


class Guest(Protocol):
    """An interpreter in a process of its own, waiting for a program. One thread at a time may use it."""

    num_bytes_printed: int

    @property
    def is_alive(self) -> bool: ...

    @property
    def keeps_files(self) -> bool:
        """Whether what a program wrote is in the box's folder although it was killed."""
        ...

    def start(self, code: str, nonce: bytes) -> None:
        """Hand over a program; it runs while `exchange` is called."""
        ...

    def exchange(self, timeout_s: float) -> tuple[bytes, list[Answer]]:
        """Wait until something comes: what was printed, and whole answers. After an Ended the folder holds the program's files."""
        ...

    def interrupt(self) -> None:
        """Ask the program to stop, with a KeyboardInterrupt."""
        ...

    def freeze(self) -> None:
        """Between two programs nothing of the one before goes on; `start` wakes it up."""
        ...

    def require_moderation(self, folder: BoxFolder, limits: Limits) -> None:
        """Raises TooMuch when it has passed a limit that no lock holds. Called 20 times a second."""
        ...

    def close(self) -> str:
        """Kill it if it still lives. Returns how it ended, for people."""
        ...
