"""A sandbox session: runs programs in one guest process at a time, replaces a guest that was killed, and deletes its folder at the end."""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable, Generator
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import EngineBusy, SandboxUnavailable
from .base import Limits, Restarted, RunResult, SandboxEvent
from .folder import SessionFolder
from .guest_protocol import Guest
from .program_run import ProgramRun

Events = queue.SimpleQueue[SandboxEvent | Exception]


class SandboxSession:
    """The common part of the sessions of all tiers. A tier supplies `links` for the folder and `new_guest`."""

    def __init__(self, tier: str, limits: Limits, links: dict[str, str], new_guest: Callable[[SessionFolder, Limits], Guest]) -> None:
        """Start the first guest. Raises SandboxUnavailable."""
        self.tier = tier
        self._limits, self._new_guest = limits, new_guest
        try:
            self._files = SessionFolder(links)
        except OSError as error:
            raise SandboxUnavailable(f"no folder could be made for it: {error.strerror}") from error
        self._guests: list[Guest] = []              # one; none after it was killed
        self._run: ProgramRun | None = None
        self._has_run = False                       # whether a program has run in the present guest
        self._lock = threading.Lock()
        self._release = weakref.finalize(self, _release, self._guests, self._files, os.getpid())
        try:
            self._guests.append(self._new_guest(self._files, self._limits))
        except SandboxUnavailable:
            self._release()
            raise

    @property
    def folder(self) -> Path:
        return self._files.work

    def run(self, code: str, timeout_s: float = 5.0) -> RunResult:
        *_, last = self.stream(code, timeout_s)
        assert isinstance(last, RunResult)
        return last

    def stream(self, code: str, timeout_s: float = 5.0) -> Generator[SandboxEvent, None, None]:
        events: Events = queue.SimpleQueue()
        run, is_restarted = self._begin(events)
        if is_restarted:
            events.put(Restarted())
        # In a thread, so that limits hold even if nobody reads the events.
        threading.Thread(target=self._drive, args=(run, code, timeout_s, is_restarted, events), name="sandbox-run", daemon=True).start()
        return _follow(run, events)

    def reset(self) -> None:
        with self._lock:
            if self._run is not None:
                raise EngineBusy("a program is running in this sandbox", "Stop it, or wait for its end.")
            while self._guests and self._has_run:
                self._guests.pop().close()
            self._has_run = False

    def interrupt(self) -> None:
        if (run := self._run) is not None:
            run.interrupt()

    def close(self) -> None:
        """Kill the running program and delete the folder. The session cannot be used again."""
        with self._lock:
            run, is_first = self._run, self._release.alive
            if run is None:
                self._release()
        if run is not None and is_first:
            run.close()
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _begin(self, events: Events) -> tuple[ProgramRun, bool]:
        """Return the run, and whether the guest was restarted and has lost its variables. Raises EngineBusy, SandboxUnavailable."""
        with self._lock:
            if not self._release.alive:
                raise SandboxUnavailable("this session was closed")
            if self._run is not None:
                raise EngineBusy("a program is running in this sandbox", "Stop it, or wait for its end.")
            if self._guests and not self._guests[0].is_alive:       # killed by the kernel, for its memory or its total CPU time
                self._guests.pop().close()
            is_restarted = not self._guests
            if is_restarted:
                self._guests.append(self._new_guest(self._files, self._limits))
            self._has_run = True
            self._run = ProgramRun(self._guests[0], self._files, self._limits, events.put)
            return self._run, is_restarted

    def _drive(self, run: ProgramRun, code: str, timeout_s: float, is_restarted: bool, events: Events) -> None:
        try:
            last: RunResult | Exception = run.finish(code, timeout_s, is_restarted=is_restarted)
        except Exception as broken:     # a failure of the host, such as a deleted folder: raised to the reader
            run.kill()
            last = broken
        if run.is_killed:
            self._guests.clear()
        self._run = None
        run.is_over.set()
        events.put(last)


def _follow(run: ProgramRun, events: Events) -> Generator[SandboxEvent, None, None]:
    try:
        while True:
            event = events.get()
            if isinstance(event, Exception):
                raise event
            yield event
            if isinstance(event, RunResult):
                return
    finally:
        run.interrupt()     # the reader has stopped; no effect on a run that has ended


def _release(guests: list[Guest], files: SessionFolder, owner: int) -> None:
    if os.getpid() != owner:        # a forked child has a copy of the session, but does not own it
        return
    for guest in guests:
        guest.close()
    files.remove()
