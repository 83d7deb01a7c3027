"""Restricts the paths that a guest can use with Landlock, an allow-list that a process cannot undo.

It does not cover chmod, stat and other calls on metadata, nor sockets before ABI 4 and signals before ABI 6: seccomp does.
Source: linux/landlock.h, Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

from .kernel import LockdownFailed, syscall

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446         # the same on every architecture
VERSION, PATH_BENEATH = 1, 1
EXECUTE = 1 << 0
WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 7, 1 << 8
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
BASE_RIGHTS = (1 << 13) - 1                                     # what ABI 1 handles: execute to make_sym
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE                 # the rights that a rule on a file, not a folder, may carry
READ = READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE   # no symlinks, devices, sockets, execution
NET_TCP = 3                                                     # bind and connect
SCOPES = 3                                                      # abstract unix sockets, signals


def abi() -> int:
    """The version of this kernel's Landlock; 0 if it has none, it was disabled at boot, or a container hides it."""
    try:
        return syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(VERSION))
    except OSError:
        return 0


def restrict(readable: Iterable[str], writable: Iterable[str], runnable: Iterable[str] = ()) -> int:
    """Deny every file but these, TCP (ABI 4) and signals to other processes (ABI 6). Needs no_new_privs; skips missing paths.

    Returns the ABI used. Raises LockdownFailed if there is no Landlock.
    """
    version = abi()
    if version < 1:
        raise LockdownFailed("this kernel offers no Landlock (it needs Linux 5.13, the LSM enabled, and a container that allows it)")
    handled = BASE_RIGHTS | (REFER if version >= 2 else 0) | (TRUNCATE if version >= 3 else 0) | (IOCTL_DEV if version >= 5 else 0)
    what = struct.pack("=QQQ", handled, NET_TCP if version >= 4 else 0, SCOPES if version >= 6 else 0)[:_num_bytes(version)]
    try:
        ruleset = syscall(CREATE_RULESET, ctypes.create_string_buffer(what, len(what)), ctypes.c_size_t(len(what)), ctypes.c_uint32(0))
        for rights, paths in ((READ, readable), (WRITE, writable), (READ | EXECUTE, runnable)):
            for path in paths:
                _allow(ruleset, path, rights & handled)
        syscall(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    except OSError as error:
        raise LockdownFailed(f"Landlock: {error.strerror}") from error
    os.close(ruleset)
    return version


def _num_bytes(version: int) -> int:
    """Size of struct landlock_ruleset_attr, which has grown."""
    return 24 if version >= 6 else 16 if version >= 4 else 8


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            return
        raise
    allowed = rights if os.path.isdir(path) else rights & FILE_RIGHTS
    rule = struct.pack("=Qi", allowed, beneath)
    holder = ctypes.create_string_buffer(rule, len(rule))
    try:
        syscall(ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(PATH_BENEATH), holder, ctypes.c_uint32(0))
    finally:
        os.close(beneath)
