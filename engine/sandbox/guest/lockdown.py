"""The restrictions of the jail, in the order in which they must be applied. Each covers what the previous ones do not."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct

from . import landlock, seccomp
from .kernel import LIBC, LockdownFailed, prctl, syscall
from .setup import JailSetup
from .syscalls import this_syscall_table

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CAPABILITIES_V3 = 0x20080522        # linux/capability.h
M_ARENA_MAX = -8                    # malloc.h: each further arena reserves 64 MiB of address space per thread
LIFETIME_CPU_S = 900                # should the host fail to stop a guest, the kernel does
NICENESS = 10                       # the page and the replies being generated come first
OTHER_PROCESSES = 512                      # processes that this user may start outside the sandbox meanwhile


def lock_down(setup: JailSetup) -> int:
    """Apply every restriction, irrevocably. Returns Landlock's ABI. Raises LockdownFailed if one cannot be applied."""
    architecture = this_syscall_table()
    if architecture is None:
        raise LockdownFailed(f"no table of system calls for {os.uname().machine}")
    if len(os.listdir("/proc/self/task")) != 1:
        raise LockdownFailed("a thread is already running, and restrictions apply per thread")
    die_with_parent(setup.parent)
    _limit(setup)
    drop_capabilities(architecture.numbers["capset"])
    prctl("no_new_privs", PR_SET_NO_NEW_PRIVS, 1)
    version = landlock.restrict([*setup.readable, setup.libraries, "/dev/urandom", "/dev/zero"], [setup.work, setup.home, "/dev/null"])
    os.nice(NICENESS)
    seccomp.install(architecture, os.getpid())
    return version


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends, so that it does not outlive a crashed host."""
    prctl("parent death signal", PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise LockdownFailed("the host has ended")


def _limit(setup: JailSetup) -> None:
    if hasattr(LIBC, "mallopt"):        # glibc
        LIBC.mallopt(M_ARENA_MAX, 1)
    limit({
        resource.RLIMIT_AS: _address_space_bytes() + setup.memory_bytes,
        resource.RLIMIT_FSIZE: setup.file_bytes,
        resource.RLIMIT_NOFILE: setup.num_open_files,
        **common_limits(setup.num_threads),
    })


def common_limits(num_threads: int) -> dict[int, int]:
    """Limits of processor time, processes, and of what no program here needs."""
    return {
        resource.RLIMIT_CPU: LIFETIME_CPU_S,
        resource.RLIMIT_NPROC: _num_tasks() + OTHER_PROCESSES + num_threads,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: 256,
    }


def limit(values: dict[int, int]) -> None:
    """Set hard and soft limits, so that neither can be raised again."""
    for name, value in values.items():
        hard = resource.getrlimit(name)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (value, value))


def _address_space_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


def _num_tasks() -> int:
    """Tasks of all users (the kernel counts this user's, which are fewer): fourth field of loadavg in proc(5)."""
    with open("/proc/loadavg", encoding="ascii") as loadavg:
        return int(loadavg.read().split()[3].split("/")[1])


def drop_capabilities(capset: int) -> None:
    """Without capabilities root is an ordinary user that owns root's files, and Landlock denies those."""
    header = struct.pack("=Ii", CAPABILITIES_V3, 0)
    nothing = bytes(24)
    try:
        syscall(capset, ctypes.create_string_buffer(header, len(header)), ctypes.create_string_buffer(nothing, len(nothing)))
    except OSError as error:
        raise LockdownFailed(f"capabilities: {error.strerror}") from error
