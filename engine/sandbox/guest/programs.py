"""Runs programs one after the other in the same namespace: the part of a guest that all tiers share."""

from __future__ import annotations

import contextlib
import os
import sys
from types import ModuleType

from . import environment, figures, tracebacks
from .interrupts import Interrupts

CHDIR = os.chdir        # kept, since a program may replace functions in `os`


class Programs:
    """The namespace `__main__`, in which all programs of this guest run."""

    def __init__(self, work: str) -> None:
        self._work, self._count = work, 0
        self._interrupts = Interrupts()
        self._main = ModuleType("__main__")
        self._main.__file__ = os.path.join(work, tracebacks.NAME)
        sys.modules["__main__"] = self._main
        tracebacks.show_names_of_programs(work)

    def run(self, code: str) -> str:
        """Run a program and return its error; empty after a clean run."""
        self._count += 1
        CHDIR(self._work)
        environment.reset_interpreter()
        self._interrupts.arm()
        out, err = environment.open_streams()
        error = self._run(code)
        for stream in (out, err):
            with contextlib.suppress(OSError, ValueError):      # the program may have closed it
                stream.flush()
        return error

    def _run(self, code: str) -> str:
        error = ""
        try:
            with self._interrupts:
                error = self._execute(code)
                figures.finish(is_saved=not error)
        except BaseException as raised:
            error = tracebacks.describe(raised, self._work)
        return error

    def _execute(self, code: str) -> str:
        try:
            exec(compile(code, tracebacks.remember_source(code, self._count), "exec", dont_inherit=True), self._main.__dict__)
            environment.wait_for_threads()
        except SystemExit as leaving:
            return "" if leaving.code in (None, 0) else f"The program ended itself: exit({leaving.code!r})."
        except BaseException as raised:
            return tracebacks.describe(raised, self._work)
        return ""
