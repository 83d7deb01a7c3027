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
import sys

from ..errors import SandboxUnavailable
from .base import Limits, Sandbox
from .box import Box
from .folder import BoxFolder
from .guest.setup import Setup
from .guest.syscalls import ARCHITECTURES, this_architecture
from .packages import interpreter_paths, promised_packages
from .process import GuestProcess

LIBRARIES_BYTES = 320 << 20     # address space of numpy, pandas and matplotlib together: 215 MiB measured on x86-64, Python 3.11
NUM_OPEN_FILES = 64


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


class JailBox(Box):
    def __init__(self, limits: Limits) -> None:
        """Starts the first guest. Raises SandboxUnavailable."""
        super().__init__(JailTier.name, limits, promised_packages().links, _new_guest)


def _new_guest(files: BoxFolder, limits: Limits) -> GuestProcess:
    return GuestProcess(Setup(
        parent=os.getpid(), work=str(files.work), home=str(files.home), libraries=str(files.libraries),
        readable=(*interpreter_paths(), *promised_packages().links.values()),
        memory_bytes=limits.memory_bytes + (LIBRARIES_BYTES if promised_packages().versions else 0), file_bytes=limits.file_bytes,
        num_open_files=NUM_OPEN_FILES, num_threads=limits.num_threads))
