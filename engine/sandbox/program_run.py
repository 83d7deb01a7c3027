"""Runs one program in a guest, from its start to its result: forwards its output, enforces time and limits."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from .base import Limits, ProducedFile, RunResult, SandboxEvent, StdoutPiece, StillRunning
from .folder import LimitExceeded, SessionFolder, Stamps
from .guest.setup import NONCE_BYTES
from .guest_protocol import Guest, ProgramEnded
from .output import KeptOutput

TICK_S = 0.05           # interval of limit checks and of events
FLOOD_BYTES = 100_000   # beyond this, output is read in larger pieces: line by line it takes a fifth of a core of the host
GULP_S = 0.005
FLOOD_FACTOR = 4        # a program that goes on printing after an interrupt is killed without waiting


class ProgramRun:
    """Drives a program on the thread that calls `finish`; `interrupt` may be called from any thread."""

    def __init__(self, guest: Guest, folder: SessionFolder, limits: Limits, post: Callable[[SandboxEvent], None]) -> None:
        self._guest, self._folder, self._limits, self._post = guest, folder, limits, post
        self._before: Stamps = {}
        self._output = KeptOutput(limits.kept_output_chars)
        self._num_interrupts = 0
        self._interrupted_at: float | None = None     # when the program was interrupted
        self._is_repeated = False
        self._reason = ""                       # why it was stopped, as a sentence without its end
        self._checked_at = 0.0                   # when the limits were checked last
        self._ended: ProgramEnded | None = None
        self._are_files_kept = True
        self.is_killed = False
        self.is_over = threading.Event()        # set by the caller of finish(), when the guest may be used again

    def interrupt(self) -> None:
        self._num_interrupts += 1

    def close(self) -> None:
        """Kill the program and wait until it has ended."""
        self._num_interrupts += 2
        self.is_over.wait()

    def kill(self, reason: str = "") -> None:
        """Kill the guest; only on the thread of `finish`. Without a reason: it has ended by itself, or the reason is already known."""
        if not self.is_killed:
            how = self._guest.close()
            self.is_killed = True
            reason = reason or self._reason
            self._reason = f"{reason}; it had to be killed" if reason else f"It ended the Python process ({how})"

    def finish(self, code: str, timeout_s: float, *, is_restarted: bool = False) -> RunResult:
        """Block until the program has ended, at most `timeout_s` plus the grace period. Nothing that the program does raises here."""
        self._before = self._folder.stamps()
        started = posted = time.monotonic()
        nonce = os.urandom(NONCE_BYTES)
        self._guest.start(code, nonce)
        pieces = ""
        while self._ended is None and not self.is_killed:
            pieces += self._exchange(nonce.hex())
            now = time.monotonic()
            self._enforce_limits(now - started, timeout_s)
            if now - posted >= TICK_S:
                self._post(StdoutPiece(pieces) if pieces else StillRunning(now - started))
                pieces, posted = "", now
        pieces += self._output.add(b"", is_last=True)
        if pieces:
            self._post(StdoutPiece(pieces))
        seconds = time.monotonic() - started
        files = self._files()
        error = self._error()
        return RunResult(not error, self._output.text, error, files, seconds, self.is_killed, is_restarted)

    def _exchange(self, nonce: str) -> str:
        """Return the output since the last call. Detects the end of the program, and kills a guest that sends anything else."""
        output, messages = self._guest.exchange(TICK_S)
        if output and not messages and self._guest.num_bytes_printed > FLOOD_BYTES:
            time.sleep(GULP_S)
        match messages:
            case [ProgramEnded() as ended] if ended.nonce == nonce:
                self._ended = ended
                self._guest.freeze()
            case [_, *_]:
                self.kill("It wrote into the sandbox's own channel")
            case [] if not self._guest.is_alive:
                output += self._guest.exchange(0)[0]
                self.kill()
        return self._output.add(output)

    def _enforce_limits(self, seconds: float, timeout_s: float) -> None:
        if self._ended is not None or self.is_killed:
            return
        is_ignoring = self._interrupted_at is not None and seconds - self._interrupted_at > self._limits.grace_s
        if is_ignoring or self._num_interrupts > 1 or self._guest.num_bytes_printed > FLOOD_FACTOR * self._limits.output_bytes:
            self.kill(self._reason or "Stopped")
            return
        if self._interrupted_at is None:
            self._interrupt_if_due(seconds, timeout_s)
        elif not self._is_repeated and seconds - self._interrupted_at > self._limits.grace_s / 2:
            self._is_repeated = True        # a guest that had not begun the program yet ignored the first one
            self._guest.interrupt()
        if seconds - self._checked_at < TICK_S:
            return
        self._checked_at = seconds
        try:
            self._guest.require_within_limits(self._folder, self._limits)
        except LimitExceeded as excess:
            self.kill(f"It {excess}")

    def _interrupt_if_due(self, seconds: float, timeout_s: float) -> None:
        """Interrupt the program once, for the first reason that applies. It keeps its variables."""
        if self._num_interrupts:
            self._reason = "Stopped"
        elif seconds > timeout_s:
            self._reason = f"Stopped after {timeout_s:g} s, the time limit"
        elif self._guest.num_bytes_printed > self._limits.output_bytes:
            self._reason = f"Stopped after it had printed {self._limits.output_bytes >> 20} MiB"
        else:
            return
        self._interrupted_at = seconds
        self._guest.interrupt()

    def _files(self) -> tuple[ProducedFile, ...]:
        try:
            return self._folder.produced(self._before, self._limits)
        except LimitExceeded as excess:
            self._folder.discard_new(self._before)
            self._reason, self._are_files_kept = f"It {excess}", False
            return ()

    def _error(self) -> str:
        """Return the program's error; empty if it ended cleanly by itself."""
        error = self._ended.error if self._ended else ""
        if not self._reason:
            return error
        variables = "Variables are gone" if self.is_killed else "Variables are kept"
        files = "files are kept" if self._guest.keeps_files else "files of earlier programs are kept"
        files = "its files were deleted" if not self._are_files_kept else files if self.is_killed else ""
        return f"{self._reason}. {', '.join(filter(None, (variables, files)))}.\n{error}".rstrip()
