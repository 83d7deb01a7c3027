"""The guest in WebAssembly: without an operating system, called from JavaScript. Imported by Pyodide, never in the jail."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from . import environment, figures
from .programs import Programs

WORK, HOME = "/box", "/home/box"
SLICE_S = 0.02
NOW, ALL_TASKS = time.monotonic, asyncio.all_tasks      # kept, since a program may replace them


def begin(wait_ms: Callable[[float], object]) -> Programs:
    """Once per process, also if the modules come from a snapshot. `wait_ms` blocks in JavaScript."""
    random.seed()               # the snapshot contains a fixed state
    for folder in (WORK, HOME):
        os.makedirs(folder, exist_ok=True)
    os.environ.clear()
    sys.dont_write_bytecode = True
    sys.path.append(WORK)
    sys.meta_path.insert(0, figures.PyplotFinder)
    os.system = _refuse         # Emscripten's own ends the interpreter

    def sleep(seconds: float, /) -> None:
        """In slices, since an interrupt is noticed only between two of them."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        end = NOW() + seconds
        while (left := end - NOW()) > 0:
            wait_ms(1000 * min(left, SLICE_S))

    time.sleep = sleep  # type: ignore[assignment]
    environment.prepare(HOME)
    return Programs(WORK)


def stop() -> None:
    """Interrupt a program that waits in the event loop, where none of its lines runs."""
    for task in ALL_TASKS(asyncio.get_event_loop()):
        task.cancel("interrupted")


def _refuse(command: object) -> NoReturn:
    raise PermissionError("programs cannot be started in this sandbox")
