"""Shows errors of a program as tracebacks of its own lines, without those of libraries."""

from __future__ import annotations

import linecache
import os
import re
import sys
import threading
import traceback
import warnings

NAME = "program.py"
MAX_CHARS = 4_000


def remember_source(code: str, number: int) -> str:
    """Return the file name to compile program `number` with; its lines are then shown even if a later program calls its functions."""
    name = f"{NAME}#{number}"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    return name


def show_names_of_programs(work: str) -> None:
    """Also show the programs' names in warnings and in errors of threads."""
    format_warning = warnings.formatwarning

    def formatwarning(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
        source = linecache.getline(filename, lineno) if line is None else line
        return format_warning(message, category, os.path.basename(filename).split("#")[0], lineno, source)

    def excepthook(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is not None and ended.exc_type is not SystemExit:
            print(f"In a thread: {describe(ended.exc_value, work)}", file=sys.stderr)

    warnings.formatwarning = formatwarning
    threading.excepthook = excepthook


def describe(error: BaseException, work: str) -> str:
    """Return the traceback without the frames of libraries and of the guest's loop, cut in the middle if it is long."""
    try:
        report = traceback.TracebackException.from_exception(error, compact=True)
        _keep_own_frames(report, work)
        text = re.sub(rf"{re.escape(NAME)}#\d+", NAME, "".join(report.format())).rstrip()
    except (MemoryError, RecursionError):
        return type(error).__name__
    half = MAX_CHARS // 2
    return text if len(text) <= MAX_CHARS else f"{text[:half]}\n... {len(text) - MAX_CHARS} characters left out ...\n{text[-half:]}"


def _keep_own_frames(report: traceback.TracebackException, work: str) -> None:
    chain: list[traceback.TracebackException | None] = [report]
    while chain:
        if (part := chain.pop()) is not None:
            own = [frame for frame in part.stack if frame.filename.startswith((NAME + "#", work))]
            part.stack = traceback.StackSummary.from_list(own)
            chain += [part.__cause__, part.__context__, *(part.exceptions or ())]
