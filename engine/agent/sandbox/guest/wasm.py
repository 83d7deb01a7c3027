"""The guest in WebAssembly: no operating system, and JavaScript around it. Imported by Pyodide, never by the jail."""

from __future__ import annotations

import os
import random
import sys
from typing import NoReturn

from . import figures, manners
from .programs import Programs

WORK, HOME = "/box", "/home/box"


def begin() -> Programs:
    """Once per process, also where the modules come from a snapshot."""
    random.seed()               # the snapshot froze it
    for folder in (WORK, HOME):
        os.makedirs(folder, exist_ok=True)
    os.environ.clear()
    sys.dont_write_bytecode = True
    sys.path.append(WORK)
    sys.meta_path.insert(0, figures.PyplotFinder)
    os.system = _refuse         # Emscripten's ends the interpreter
    manners.settle(HOME)
    return Programs(WORK)


def _refuse(command: object) -> NoReturn:
    raise PermissionError("programs cannot be started in this sandbox")
