"""Puts locks on this process, then becomes another program behind them: how Deno is started on Linux.

Deno's permissions are the wall of its tier; these locks stand behind it. Where the kernel has no Landlock, or this architecture no table
of system calls, the others are put on alone.
"""

from __future__ import annotations

import json
import os
import resource
import sys

from . import landlock, lockdown, seccomp
from .kernel import Unlocked, prctl
from .setup import Entry
from .syscalls import this_architecture


def main() -> None:
    entry = Entry(**json.loads(sys.argv[2]))
    try:
        _lock_down(entry)
        os.execve(entry.command[0], entry.command, entry.environment)
    except (Unlocked, OSError) as error:
        sys.exit(str(error))


def _lock_down(entry: Entry) -> None:
    lockdown.die_with(entry.parent)
    lockdown.limit({
        resource.RLIMIT_DATA: entry.data_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: entry.num_open_files,
        **lockdown.common_limits(entry.num_threads),
    })
    architecture = this_architecture()
    if architecture is not None:
        lockdown.drop_capabilities(architecture.numbers["capset"])
    prctl("no_new_privs", lockdown.PR_SET_NO_NEW_PRIVS, 1)
    if landlock.abi():
        landlock.restrict([*entry.readable, "/dev/urandom"], ["/dev/null"], entry.runnable)
    if architecture is not None:
        seccomp.install(architecture, os.getpid(), allowed=("execve",))     # only what Landlock lets it run
