"""A box around one guest at a time: runs programs on threads of their own, replaces a guest that was killed, ends with its folder."""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import EngineBusy, SandboxUnavailable
from .answers import Guest
from .base import Limits, Restarted, RunResult, SandboxEvent
from .folder import BoxFolder
from .run import Run

Events = queue.SimpleQueue[SandboxEvent | Exception]


class Box:
    """What every tier's boxes have in common; a tier gives the folder its `links`, and says how a guest is made."""

    def __init__(self, tier: str, limits: Limits, links: dict[str, str], new_guest: Callable[[BoxFolder, Limits], Guest]) -> None:
        """Starts the first guest. Raises SandboxUnavailable."""
        self.tier = tier
        self._limits, self._new_guest = limits, new_guest
        try:
            self._files = BoxFolder(links)
        except OSError as error:
            raise SandboxUnavailable(f"no folder could be made for it: {error.strerror}") from error
        self._guests: list[Guest] = []              # one, or none after it was killed
        self._run: Run | None = None
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

    def stream(self, code: str, timeout_s: float = 5.0) -> Iterator[SandboxEvent]:
        events: Events = queue.SimpleQueue()
        run, is_restarted = self._begin(events)
        if is_restarted:
            events.put(Restarted())
        # A thread of its own: limits hold also while nobody takes the events.
        threading.Thread(target=self._drive, args=(run, code, timeout_s, is_restarted, events), name="sandbox-run", daemon=True).start()
        return _follow(run, events)

    def interrupt(self) -> None:
        if (run := self._run) is not None:
            run.interrupt()

    def close(self) -> None:
        """Kill what runs, delete the folder. The box cannot be used again."""
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

    def _begin(self, events: Events) -> tuple[Run, bool]:
        """The run, and whether it starts without the variables of the one before. Raises EngineBusy, SandboxUnavailable."""
        with self._lock:
            if not self._release.alive:
                raise SandboxUnavailable("this box was closed")
            if self._run is not None:
                raise EngineBusy("a program is running in this sandbox", "Stop it, or wait for its end.")
            if self._guests and not self._guests[0].is_alive:       # the kernel took it, for its memory or its lifetime of CPU
                self._guests.pop().close()
            is_restarted = not self._guests
            if is_restarted:
                self._guests.append(self._new_guest(self._files, self._limits))
            self._run = Run(self._guests[0], self._files, self._limits, events.put)
            return self._run, is_restarted

    def _drive(self, run: Run, code: str, timeout_s: float, is_restarted: bool, events: Events) -> None:
        try:
            last: RunResult | Exception = run.finish(code, timeout_s, is_restarted=is_restarted)
        except Exception as broken:     # the host's own trouble, as a vanished folder: whoever waits must hear of it
            run.kill()
            last = broken
        if run.is_killed:
            self._guests.clear()
        self._run = None
        run.is_over.set()
        events.put(last)


def _follow(run: Run, events: Events) -> Iterator[SandboxEvent]:
    try:
        while True:
            event = events.get()
            if isinstance(event, Exception):
                raise event
            yield event
            if isinstance(event, RunResult):
                return
    finally:
        run.interrupt()     # nobody listens any more; no effect on a run that is over


def _release(guests: list[Guest], files: BoxFolder, owner: int) -> None:
    if os.getpid() != owner:        # a fork of the host has a copy of the box, which is not its own
        return
    for guest in guests:
        guest.close()
    files.remove()
