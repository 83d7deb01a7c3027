"""System calls for which Python has no function."""

from __future__ import annotations

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)


class LockdownFailed(Exception):
    """A restriction could not be applied; the text says which and why. No program may run then."""


def syscall(number: int, *arguments: object) -> int:
    """Make a system call. Raises OSError."""
    result = int(LIBC.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(lock: str, option: int, *arguments: int) -> None:
    """Call prctl. Raises LockdownFailed with `lock`, the name of the restriction that the call would have applied."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    if LIBC.prctl(ctypes.c_int(option), *(ctypes.c_ulong(value) for value in padded)) != 0:
        raise LockdownFailed(f"{lock}: {os.strerror(ctypes.get_errno())}")
