"""Provides what ordinary programs expect of their environment but the sandbox lacks. For convenience; security does not depend on it."""

from __future__ import annotations

import builtins
import io
import os
import site
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

THREAD_STACK_BYTES = 2 << 20        # 8 MiB by default, too much for a small address space
OUTPUT = 1                          # the pipe to the host; 2 is the same pipe
INPUT = builtins.input


class NoKeyboard(io.TextIOBase):
    """Standard input without a keyboard: raises an error that explains this instead of waiting."""

    def readable(self) -> bool:
        return True

    def readline(self, size: int = -1, /) -> NoReturn:  # type: ignore[override]
        raise EOFError("input() is not available here: nobody can type. Put the values into the program.")

    def read(self, size: int | None = -1, /) -> NoReturn:
        self.readline()


def prepare(home: str) -> None:
    """Set environment variables, thread stacks and `exit()`, once, before the restrictions."""
    os.environ.update(
        HOME=home, TMPDIR=home, MPLCONFIGDIR=home, MPLBACKEND="Agg", LANG="C.UTF-8",
        OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1",      # each BLAS thread reserves tens of MiB
    )
    threading.stack_size(THREAD_STACK_BYTES)
    site.setquit()
    site.sethelper()


def tolerate_mode_changes(home: str, work: str) -> None:
    """Once, in the jail: make `shutil.copy` work although the kernel refuses to change modes and times of the program's own files."""
    for name in ("chmod", "chown", "lchown", "utime"):
        setattr(os, name, _ignored_in((home, work), getattr(os, name)))


def open_streams() -> tuple[io.TextIOWrapper, io.TextIOWrapper]:
    """Open standard output and error of one program, both to the host, line by line, so that output before a hang is visible."""
    out, err = (io.TextIOWrapper(io.BufferedWriter(io.FileIO(OUTPUT, "w", closefd=False)), "utf-8", "backslashreplace",
                                 line_buffering=True, write_through=is_error) for is_error in (False, True))
    sys.stdout, sys.stderr, sys.stdin = out, err, NoKeyboard()
    sys.__stdout__, sys.__stderr__, sys.__stdin__ = out, err, sys.stdin      # type: ignore[misc,assignment]
    return out, err


def reset_interpreter() -> None:
    """Undo what the previous program may have done to the interpreter."""
    sys.settrace(None)
    sys.setprofile(None)
    sys.setrecursionlimit(1000)
    sys.argv = ["program.py"]
    builtins.input = INPUT


def wait_for_threads() -> None:
    """Wait for all threads but daemon threads, as at the end of a script. Idle workers of a pool would wait forever."""
    pools: Any = getattr(sys.modules.get("concurrent.futures.thread"), "_threads_queues", {})
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon and thread not in pools:
            thread.join()


def _ignored_in(folders: tuple[str, ...], change: Callable[..., None]) -> Callable[..., None]:
    """Return `change`, which the kernel refuses everywhere, without the error for the program's own files, as `shutil.copy` needs."""

    def changed(path: Any, *arguments: Any, **options: Any) -> None:
        try:
            change(path, *arguments, **options)
        except PermissionError:
            if not isinstance(path, str | bytes | os.PathLike):
                raise
            name = os.fsdecode(os.path.realpath(path))
            if not name.startswith(tuple(folder + os.sep for folder in folders)):
                raise
            os.stat(name)       # a missing file is reported as such

    return changed
