"""Restricts this process, then replaces it with another program: how Deno is started on Linux.

Deno's permissions are the boundary of its tier; these restrictions are a second one. If the kernel has no Landlock, or there is no table
of system calls for this architecture, only the others are applied.
"""

from __future__ import annotations

import json
import os
import resource
import sys

from . import landlock, lockdown, seccomp
from .kernel import LockdownFailed, prctl
from .setup import ExecSetup
from .syscalls import this_syscall_table


def main() -> None:
    entry = ExecSetup(**json.loads(sys.argv[2]))
    try:
        _lock_down(entry)
        os.execve(entry.command[0], entry.command, entry.environment)
    except (LockdownFailed, OSError) as error:
        sys.exit(str(error))


def _lock_down(entry: ExecSetup) -> None:
    lockdown.die_with_parent(entry.parent)
    lockdown.limit({
        resource.RLIMIT_DATA: entry.data_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: entry.num_open_files,
        **lockdown.common_limits(entry.num_threads),
    })
    architecture = this_syscall_table()
    if architecture is not None:
        lockdown.drop_capabilities(architecture.numbers["capset"])
    prctl("no_new_privs", lockdown.PR_SET_NO_NEW_PRIVS, 1)
    if landlock.abi():
        landlock.restrict([*entry.readable, "/dev/urandom"], ["/dev/null"], entry.runnable)
    if architecture is not None:
        seccomp.install(architecture, os.getpid(), allowed=("execve",))     # Landlock allows only Deno and the dynamic linker
