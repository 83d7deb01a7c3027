"""The jail tier: CPython in a separate process, confined by the Linux kernel. x86-64 and aarch64.

One guest process per session, as the application's user, started with an empty environment in its own process session and folder.
Before it receives a program it restricts itself, in this order: resource limits, no capabilities, no_new_privs, Landlock (read:
interpreter and libraries; write: its folder), a seccomp filter. The host checks what the kernel does not count, and suspends the guest
between two programs. docs/sandbox.md lists what is covered, with the command that proves each line.

Known and accepted gaps:
- The kernel is shared: a bug in the remaining system calls allows an escape. A virtual machine is stronger.
- Size and times of any file whose path a program guesses can be read (stat, readlink); contents and listings cannot. The machine's
  name, the host's process id and the location of the libraries are visible.
- Threads, and the number and total size of files, are counted 20 times a second, so a bomb may exceed its limit for some 50 ms; a
  single file never exceeds its own.
- Memory is limited as address space per session, not in total; the application decides how many sessions are open.
- Until it is stopped a program may keep every core busy, at low priority, and observe shared caches (timing attacks).
- Before Landlock ABI 6 (Linux 6.12) signals to others, before ABI 4 (6.7) TCP, before ABI 3 (6.2) truncation are refused by seccomp alone.
- Guests end with a host that is killed, but their folders stay in the temporary directory.
- The next program in the same session sees what a program leaves in the interpreter: a session belongs to one visitor.
"""

from __future__ import annotations

import os
import sys

from ..errors import SandboxUnavailable
from .base import Limits, Sandbox
from .folder import SessionFolder
from .guest.setup import JailSetup
from .guest.syscalls import SYSCALL_TABLES, this_syscall_table
from .packages import interpreter_paths, promised_packages
from .process import GuestProcess
from .session import SandboxSession

LIBRARIES_BYTES = 320 << 20     # address space of numpy, pandas and matplotlib together: 215 MiB measured on x86-64, Python 3.11
NUM_OPEN_FILES = 64


class JailTier:
    name = "jail"

    @property
    def packages(self) -> tuple[str, ...]:
        return promised_packages().versions

    def open(self, limits: Limits) -> Sandbox:
        """Open a session. Raises SandboxUnavailable."""
        if not sys.platform.startswith("linux") or this_syscall_table() is None:
            raise SandboxUnavailable(f"it needs Linux on {' or '.join(SYSCALL_TABLES)}")
        return JailSession(limits)


class JailSession(SandboxSession):
    def __init__(self, limits: Limits) -> None:
        """Start the first guest. Raises SandboxUnavailable."""
        super().__init__(JailTier.name, limits, promised_packages().links, _new_guest)


def _new_guest(files: SessionFolder, limits: Limits) -> GuestProcess:
    return GuestProcess(JailSetup(
        parent=os.getpid(), work=str(files.work), home=str(files.home), libraries=str(files.libraries),
        readable=(*interpreter_paths(), *promised_packages().links.values()),
        memory_bytes=limits.memory_bytes + (LIBRARIES_BYTES if promised_packages().versions else 0), file_bytes=limits.file_bytes,
        num_open_files=NUM_OPEN_FILES, num_threads=limits.num_threads))
