"""The locks of the jail, in the order in which they must be put on. What each does not cover, the next one does."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct

from . import landlock, seccomp
from .kernel import LIBC, Unlocked, prctl, syscall
from .setup import Setup
from .syscalls import this_architecture

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CAPABILITIES_V3 = 0x20080522        # linux/capability.h
M_ARENA_MAX = -8                    # malloc.h: each further arena reserves 64 MiB of address space per thread
LIFETIME_CPU_S = 900                # should the host ever fail to stop a guest, the kernel does
NICENESS = 10                       # the page, and whoever waits for a reply, come first
NOT_MINE = 512                      # processes that others of this user may start meanwhile


def lock_down(setup: Setup) -> int:
    """Put every lock on, for good. Returns Landlock's ABI. Raises Unlocked when one did not close."""
    architecture = this_architecture()
    if architecture is None:
        raise Unlocked(f"no table of system calls for {os.uname().machine}")
    if len(os.listdir("/proc/self/task")) != 1:
        raise Unlocked("a thread runs already, and the locks are put on per thread")
    die_with(setup.parent)
    _limit(setup)
    drop_capabilities(architecture.numbers["capset"])
    prctl("no_new_privs", PR_SET_NO_NEW_PRIVS, 1)
    version = landlock.restrict([*setup.readable, setup.libraries, "/dev/urandom", "/dev/zero"], [setup.work, setup.home, "/dev/null"])
    os.nice(NICENESS)
    seccomp.install(architecture, os.getpid())
    return version


def die_with(parent: int) -> None:
    """The kernel kills this process when the thread that started it ends, so a host that crashed leaves nobody behind."""
    prctl("parent death signal", PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise Unlocked("the host is gone")


def _limit(setup: Setup) -> None:
    if hasattr(LIBC, "mallopt"):        # glibc
        LIBC.mallopt(M_ARENA_MAX, 1)
    limit({
        resource.RLIMIT_AS: _address_space_bytes() + setup.memory_bytes,
        resource.RLIMIT_FSIZE: setup.file_bytes,
        resource.RLIMIT_NOFILE: setup.num_open_files,
        **common_limits(setup.num_threads),
    })


def common_limits(num_threads: int) -> dict[int, int]:
    """Of processor time, processes, and what no program of this kind needs."""
    return {
        resource.RLIMIT_CPU: LIFETIME_CPU_S,
        resource.RLIMIT_NPROC: _num_tasks() + NOT_MINE + num_threads,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: 256,
    }


def limit(values: dict[int, int]) -> None:
    """Hard and soft limits alike: neither can be raised again."""
    for name, value in values.items():
        hard = resource.getrlimit(name)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (value, value))


def _address_space_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


def _num_tasks() -> int:
    """Of all users: the kernel counts this user's own, which are fewer. The fourth field of proc(5) loadavg."""
    with open("/proc/loadavg", encoding="ascii") as loadavg:
        return int(loadavg.read().split()[3].split("/")[1])


def drop_capabilities(capset: int) -> None:
    """Root without any is a user like others, who owns root's files: Landlock keeps those closed."""
    header = struct.pack("=Ii", CAPABILITIES_V3, 0)
    nothing = bytes(24)
    try:
        syscall(capset, ctypes.create_string_buffer(header, len(header)), ctypes.create_string_buffer(nothing, len(nothing)))
    except OSError as error:
        raise Unlocked(f"capabilities: {error.strerror}") from error
