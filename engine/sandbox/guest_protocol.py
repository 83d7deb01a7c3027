"""The protocol between the application (the host) and a guest, the process in which programs run. Its messages are never trusted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol

from .base import Limits
from .folder import SessionFolder


@dataclass(frozen=True, slots=True)
class Ready:
    is_locked: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ProgramEnded:
    """A program has ended. `error`: "" after a clean run. `nonce`: proves to which run the message belongs."""

    error: str
    nonce: str


@dataclass(frozen=True, slots=True)
class ProtocolViolation:
    """A message that an unmodified guest never sends."""


GuestMessage = Ready | ProgramEnded | ProtocolViolation


def parse_message(line: bytes) -> GuestMessage:
    try:
        facts = json.loads(line)
    except (ValueError, RecursionError):
        return ProtocolViolation()
    match facts:
        case {"error": str(error), "nonce": str(nonce)}:
            return ProgramEnded(error.encode("utf-8", "replace").decode("utf-8"), nonce)      # JSON can contain lone surrogates
        case {"ready": bool(is_locked)}:
            return Ready(is_locked, str(facts.get("reason", "")))
        case _:
            return ProtocolViolation()


class Guest(Protocol):
    """An interpreter in a separate process that waits for programs. One thread at a time may use it."""

    num_bytes_printed: int

    @property
    def is_alive(self) -> bool: ...

    @property
    def keeps_files(self) -> bool:
        """Whether files of a killed program are in the session's folder."""
        ...

    def start(self, code: str, nonce: bytes) -> None:
        """Send a program; it runs while `exchange` is called."""
        ...

    def exchange(self, timeout_s: float) -> tuple[bytes, list[GuestMessage]]:
        """Wait for output and messages, and return what arrived. After ProgramEnded the folder contains the program's files."""
        ...

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the program."""
        ...

    def freeze(self) -> None:
        """Suspend the process between two programs, threads included; `start` resumes it."""
        ...

    def require_within_limits(self, folder: SessionFolder, limits: Limits) -> None:
        """Check limits that the kernel does not enforce; called 20 times a second. Raises LimitExceeded."""
        ...

    def close(self) -> str:
        """Kill the process if it is still alive. Returns how it ended, as text."""
        ...
