"""The jail tier: CPython in a process of its own, locked in by the Linux kernel. x86-64 and aarch64.

One guest process per box, as the application's user, started with an empty environment in a session and a folder of its own. Before it
sees a program it puts on itself, in this order: resource limits, no capabilities, no_new_privs, Landlock (read: interpreter and
libraries; write: its folder), a seccomp filter. The host watches what no lock counts, and freezes the guest between two programs.

Gaps, known and accepted:
- The kernel is shared: a hole in the calls that remain is a way out. A virtual machine is stronger.
- Names, sizes and times of files anywhere can be asked for by whoever guesses the path (stat, readlink); contents and listings cannot.
  The machine's name, the process id of the host, and where libraries lie can be seen.
- Threads, and files in number and size, are counted 20 times a second: a bomb gets some 50 ms beyond its limit, of one file never.
- Memory is limited as address space per box, not per machine; the owner decides how many boxes are open.
- Until it is stopped a program may keep every core busy, at low priority, and heat shared caches (timing attacks).
- Before Landlock ABI 6 (Linux 6.12) signals to others, before ABI 4 (6.7) TCP, before ABI 3 (6.2) truncation rest on seccomp alone.
- A host that is killed takes its guests with it, but leaves their folders in the temporary directory.
- Whatever a program leaves in the interpreter, the next one of the same box meets: a box is one visitor's, never passed on.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from ...errors import EngineBusy, SandboxUnavailable
from .base import Limits, Restarted, RunResult, Sandbox, SandboxEvent
from .folder import BoxFolder
from .guest.setup import Setup
from .guest.syscalls import ARCHITECTURES, this_architecture
from .packages import interpreter_paths, promised_packages
from .process import GuestProcess
from .run import Run

LIBRARIES_BYTES = 320 << 20     # address space of numpy, pandas and matplotlib together: 215 MiB measured on x86-64, Python 3.11
NUM_OPEN_FILES = 64


Events = queue.SimpleQueue[SandboxEvent | Exception]


class JailTier:
    name = "jail"

    @property
    def packages(self) -> tuple[str, ...]:
        return promised_packages().versions

    def open(self, limits: Limits) -> Sandbox:
        """Raises SandboxUnavailable."""
        if not sys.platform.startswith("linux") or this_architecture() is None:
            raise SandboxUnavailable(f"it needs Linux on {' or '.join(ARCHITECTURES)}")
        return JailBox(limits)


class JailBox:
    tier = JailTier.name

    def __init__(self, limits: Limits) -> None:
        """Starts the first guest. Raises SandboxUnavailable."""
        self._limits = limits
        try:
            self._files = BoxFolder(promised_packages().links)
        except OSError as error:
            raise SandboxUnavailable(f"no folder could be made for it: {error.strerror}") from error
        self._guests: list[GuestProcess] = []       # one, or none after it was killed
        self._run: Run | None = None
        self._lock = threading.Lock()
        self._release = weakref.finalize(self, _release, self._guests, self._files, os.getpid())
        try:
            self._guests.append(self._new_guest())
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
                self._guests.append(self._new_guest())
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

    def _new_guest(self) -> GuestProcess:
        files, limits = self._files, self._limits
        return GuestProcess(Setup(
            parent=os.getpid(), work=str(files.work), home=str(files.home), libraries=str(files.libraries),
            readable=(*interpreter_paths(), *promised_packages().links.values()),
            memory_bytes=limits.memory_bytes + (LIBRARIES_BYTES if promised_packages().versions else 0), file_bytes=limits.file_bytes,
            num_open_files=NUM_OPEN_FILES, num_threads=limits.num_threads))


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


def _release(guests: list[GuestProcess], files: BoxFolder, owner: int) -> None:
    if os.getpid() != owner:        # a fork of the host has a copy of the box, which is not its own
        return
    for guest in guests:
        guest.close()
    files.remove()
