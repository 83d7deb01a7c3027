"""Programs, one after the other in the same namespace: the part of a guest that is the same behind every wall."""

from __future__ import annotations

import contextlib
import os
import sys
from types import ModuleType

from . import figures, manners, report
from .interrupts import Interrupts

CHDIR = os.chdir        # kept, since a program may replace what `os` holds


class Programs:
    """One namespace, `__main__`, in which all programs of this guest run."""

    def __init__(self, work: str) -> None:
        self._work, self._count = work, 0
        self._interrupts = Interrupts()
        self._main = ModuleType("__main__")
        self._main.__file__ = os.path.join(work, report.NAME)
        sys.modules["__main__"] = self._main
        report.show_names_of_programs(work)

    def run(self, code: str) -> str:
        """What went wrong; empty when nothing did."""
        self._count += 1
        CHDIR(self._work)
        manners.restore()
        self._interrupts.arm()
        out, err = manners.open_streams()
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
            error = report.describe(raised, self._work)
        return error

    def _execute(self, code: str) -> str:
        try:
            exec(compile(code, report.remember_source(code, self._count), "exec", dont_inherit=True), self._main.__dict__)
            manners.wait_for_threads()
        except SystemExit as leaving:
            return "" if leaving.code in (None, 0) else f"The program ended itself: exit({leaving.code!r})."
        except BaseException as raised:
            return report.describe(raised, self._work)
        return ""
