"""One program in one guest, from its start to its result: passing on what it prints, holding it to time and limits."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from .answers import Ended, Guest
from .base import Limits, ProducedFile, RunResult, SandboxEvent, StdoutPiece, StillRunning
from .folder import BoxFolder, Stamps, TooMuch
from .guest.setup import NONCE_BYTES
from .output import KeptOutput

TICK_S = 0.05           # how late a limit may be noticed, and how often a page hears something
FLOOD_BYTES = 100_000   # from here on output is read in gulps: line by line it takes a fifth of a core of the host
GULP_S = 0.005
FLOOD_FACTOR = 4        # a program that prints on after it was told to stop is not waited for


class Run:
    """Drives a program on the thread that calls `finish`; `interrupt` may be called from any other."""

    def __init__(self, guest: Guest, folder: BoxFolder, limits: Limits, post: Callable[[SandboxEvent], None]) -> None:
        self._guest, self._folder, self._limits, self._post = guest, folder, limits, post
        self._before: Stamps = {}
        self._output = KeptOutput(limits.kept_output_chars)
        self._num_interrupts = 0
        self._asked_at: float | None = None     # when the program was told to stop
        self._reason = ""                       # why, as a sentence without its end
        self._looked_at = 0.0                   # when its threads and files were counted last
        self._ended: Ended | None = None
        self._are_files_kept = True
        self.is_killed = False
        self.is_over = threading.Event()        # set by whoever called `finish`, when the guest may be used again

    def interrupt(self) -> None:
        self._num_interrupts += 1

    def close(self) -> None:
        """End it at once, and wait until that is done."""
        self._num_interrupts += 2
        self.is_over.wait()

    def kill(self, reason: str = "") -> None:
        """Only on the thread of `finish`. Without a reason: it is dead already, or was told why."""
        if not self.is_killed:
            how = self._guest.close()
            self.is_killed = True
            reason = reason or self._reason
            self._reason = f"{reason}; it had to be killed" if reason else f"It ended the Python process ({how})"

    def finish(self, code: str, timeout_s: float, *, is_restarted: bool = False) -> RunResult:
        """Blocks until the program has ended, at the latest `timeout_s` and the grace later. What the program does never raises."""
        self._before = self._folder.stamps()
        started = spoken = time.monotonic()
        nonce = os.urandom(NONCE_BYTES)
        self._guest.start(code, nonce)
        pieces = ""
        while self._ended is None and not self.is_killed:
            pieces += self._listen(nonce.hex())
            now = time.monotonic()
            self._hold_to_limits(now - started, timeout_s)
            if now - spoken >= TICK_S:
                self._post(StdoutPiece(pieces) if pieces else StillRunning(now - started))
                pieces, spoken = "", now
        pieces += self._output.add(b"", is_last=True)
        if pieces:
            self._post(StdoutPiece(pieces))
        seconds = time.monotonic() - started
        files = self._files()
        error = self._error()
        return RunResult(not error, self._output.text, error, files, seconds, self.is_killed, is_restarted)

    def _listen(self, nonce: str) -> str:
        """What was printed meanwhile. Notices the end of the program, and kills a guest that answers anything else."""
        output, answers = self._guest.exchange(TICK_S)
        if output and not answers and self._guest.num_bytes_printed > FLOOD_BYTES:
            time.sleep(GULP_S)
        match answers:
            case [Ended() as ended] if ended.nonce == nonce:
                self._ended = ended
                self._guest.freeze()
            case [_, *_]:
                self.kill("It wrote into the sandbox's own channel")
            case [] if not self._guest.is_alive:
                output += self._guest.exchange(0)[0]
                self.kill()
        return self._output.add(output)

    def _hold_to_limits(self, seconds: float, timeout_s: float) -> None:
        if self._ended is not None or self.is_killed:
            return
        is_ignoring = self._asked_at is not None and seconds - self._asked_at > self._limits.grace_s
        if is_ignoring or self._num_interrupts > 1 or self._guest.num_bytes_printed > FLOOD_FACTOR * self._limits.output_bytes:
            self.kill(self._reason or "Stopped")
            return
        if self._asked_at is None:
            self._ask_to_stop(seconds, timeout_s)
        if seconds - self._looked_at < TICK_S:
            return
        self._looked_at = seconds
        try:
            self._guest.require_moderation(self._folder, self._limits)
        except TooMuch as excess:
            self.kill(f"It {excess}")

    def _ask_to_stop(self, seconds: float, timeout_s: float) -> None:
        """Once: the program gets a KeyboardInterrupt and keeps its variables."""
        if self._num_interrupts:
            self._reason = "Stopped"
        elif seconds > timeout_s:
            self._reason = f"Stopped after {timeout_s:g} s, the time limit"
        elif self._guest.num_bytes_printed > self._limits.output_bytes:
            self._reason = f"Stopped after it had printed {self._limits.output_bytes >> 20} MiB"
        else:
            return
        self._asked_at = seconds
        self._guest.interrupt()

    def _files(self) -> tuple[ProducedFile, ...]:
        try:
            return self._folder.produced(self._before, self._limits)
        except TooMuch as excess:
            self._folder.discard_new(self._before)
            self._reason, self._are_files_kept = f"It {excess}", False
            return ()

    def _error(self) -> str:
        """Empty for a program that came to a good end by itself."""
        told = self._ended.error if self._ended else ""
        if not self._reason:
            return told
        variables = "Variables are gone" if self.is_killed else "Variables are kept"
        files = "files are kept" if self._guest.keeps_files else "files of earlier programs are kept"
        files = "its files were deleted" if not self._are_files_kept else files if self.is_killed else ""
        return f"{self._reason}. {', '.join(filter(None, (variables, files)))}.\n{told}".rstrip()
