"""How the guest speaks to the kernel where Python has no word for it."""

from __future__ import annotations

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)


class Unlocked(Exception):
    """A lock could not be put on; the text says which, and why. Nothing may run then."""


def syscall(number: int, *arguments: object) -> int:
    """Raises OSError."""
    result = int(LIBC.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(lock: str, option: int, *arguments: int) -> None:
    """Raises Unlocked, with the name of the lock that this call would have put on."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    if LIBC.prctl(ctypes.c_int(option), *(ctypes.c_ulong(value) for value in padded)) != 0:
        raise Unlocked(f"{lock}: {os.strerror(ctypes.get_errno())}")
