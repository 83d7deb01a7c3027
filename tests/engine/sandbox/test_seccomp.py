"""The filter, run in a small interpreter of BPF, so that the one for aarch64 is tested on x86-64 too."""

from __future__ import annotations

import errno
import struct

import pytest

from engine.sandbox.guest import seccomp
from engine.sandbox.guest.seccomp import ALLOW, AND, AT_LEAST, EQUAL, ERRNO, KILL, LOAD, RETURN
from engine.sandbox.guest.syscalls import NEWEST, SYSCALL_TABLES, SyscallTable

PID = 4321
REFUSED, MISSING, UNSUPPORTED = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS, ERRNO | errno.EOPNOTSUPP
Arguments = tuple[int, ...]
EVERY = pytest.mark.parametrize("architecture", SYSCALL_TABLES.values(), ids=SYSCALL_TABLES)


def verdict(architecture: SyscallTable, call: str | int, *arguments: int, audit: int | None = None) -> int:
    """What the kernel would do: classic BPF over struct seccomp_data."""
    number = architecture.numbers[call] if isinstance(call, str) else call
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("<iIQ6Q", number, architecture.audit if audit is None else audit, 0, *(value & (2 ** 64 - 1) for value in padded))
    program = seccomp.filter_for(architecture, PID)
    accumulator = at = 0
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        match code:
            case seccomp.LOAD:
                accumulator = struct.unpack_from("<I", data, operand)[0]
            case seccomp.AND:
                accumulator &= operand
            case seccomp.EQUAL:
                at += if_true if accumulator == operand else if_false
            case seccomp.AT_LEAST:
                at += if_true if accumulator >= operand else if_false
            case seccomp.RETURN:
                return operand


@EVERY
def test_every_jump_stays_inside_the_program(architecture: SyscallTable) -> None:
    program = seccomp.filter_for(architecture, PID)
    assert len(program) < 4096
    assert {code for code, *_ in program} == {LOAD, EQUAL, AT_LEAST, AND, RETURN}
    assert all(at + 1 + max(if_true, if_false) < len(program) and max(if_true, if_false) < 256
               for at, (code, if_true, if_false, _) in enumerate(program) if code in (EQUAL, AT_LEAST))


@EVERY
def test_every_refused_call_is_refused(architecture: SyscallTable) -> None:
    names = [name for name in seccomp.REFUSED if name in architecture.numbers]
    assert {name for name in names if verdict(architecture, name) != REFUSED} == set()
    assert {name for name in seccomp.UNSUPPORTED if verdict(architecture, name) != UNSUPPORTED} == set()
    assert {name for name in seccomp.MISSING if verdict(architecture, name) != MISSING} == set()


@EVERY
def test_every_call_of_the_table_has_a_rule(architecture: SyscallTable) -> None:
    conditional = {"clone", "kill", "tgkill", "prlimit64", "prctl", "fallocate", "ioctl", "fcntl", "socketpair", "sendto", "open", "openat"}
    assert set(architecture.numbers) <= conditional | {*seccomp.REFUSED, *seccomp.UNSUPPORTED, *seccomp.MISSING}


@EVERY
def test_other_architectures_are_killed_and_newer_calls_do_not_exist(architecture: SyscallTable) -> None:
    assert verdict(architecture, 1, audit=0x40000003) == KILL       # i386: its numbers mean other calls
    assert verdict(architecture, 0x40000000 + 1) == KILL            # x32
    assert verdict(architecture, NEWEST + 1) == MISSING
    assert verdict(architecture, NEWEST) == ALLOW


@EVERY
@pytest.mark.parametrize(("call", "allowed", "refused"), [
    ("clone", [(0x3D0F00,), (0x7D0F00,)], [(17,), (0x4111,), (0x10D00,), (0x3D0F00 | 0x10000000,), (0,)]),
    ("kill", [(PID, 15)], [(PID + 1, 0), (0, 9), (-1, 9), (-PID, 9), (1, 15)]),
    ("tgkill", [(PID, PID, 6)], [(1, 1, 6), (PID + 1, PID, 6)]),
    ("prlimit64", [(0, 7), (PID, 7)], [(1, 7), (PID + 1, 7)]),
    ("prctl", [(15,), (0x53564D41,)], [(1,), (4,), (22,), (38,), (8,), (24,)]),
    ("fallocate", [(5, 0, 0, 4096)], [(5, 1, 0, 4096), (5, 2, 0, 4096), (5, 3, 0, 4096)]),
    ("ioctl", [(1, 0x5401), (1, 0x5421)], [(1, 0x5412), (1, 0x8901), (1, 0x40086602)]),
    ("fcntl", [(1, 1), (1, 3), (1, 0), (1, 1030)], [(1, 8), (1, 10), (1, 15), (1, 1031), (1, 1026)]),
    ("socketpair", [(1, 1), (1, 1 | 0o2004000)], [(1, 2), (2, 1), (1, 5), (1, 3)]),
    ("sendto", [(3, 1000, 5, 0, 0, 0)], [(3, 1000, 5, 0, 2 ** 33, 16), (3, 1000, 5, 0, 1000, 16)]),
    ("openat", [(-100, 1, 0), (-100, 1, 0o1101), (-100, 1, 0o2102), (-100, 1, 0o2000000)],
     [(-100, 1, 0o1000), (-100, 1, 3), (-100, 1, 0o1003)]),
])
def test_calls_with_rules_on_arguments(architecture: SyscallTable, call: str, allowed: list[Arguments], refused: list[Arguments]) -> None:
    assert [verdict(architecture, call, *arguments) for arguments in allowed] == [ALLOW] * len(allowed)
    assert [verdict(architecture, call, *arguments) for arguments in refused] == [REFUSED] * len(refused)


@EVERY
def test_the_rest_is_allowed(architecture: SyscallTable) -> None:
    # read, write, close, mmap, futex, exit
    ordinary = {"x86_64": (0, 1, 3, 9, 202, 231), "aarch64": (63, 64, 57, 222, 98, 94)}[architecture.name]
    assert {verdict(architecture, number) for number in ordinary} == {ALLOW}
