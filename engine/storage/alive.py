"""Names a process, so that another one can tell whether it still lives."""

from __future__ import annotations

import os
from functools import cache

import psutil


@cache
def _created(pid: int) -> float:
    return float(psutil.Process(pid).create_time())


def this_process() -> str:
    return f"{os.getpid()}:{_created(os.getpid()):.0f}"


def is_alive(name: str | None) -> bool:
    """Whether the process of that name runs. A process with its number that began at another time is another one."""
    number, _, created = (name or "").partition(":")
    try:
        return number.isdecimal() and f"{psutil.Process(int(number)).create_time():.0f}" == created
    except psutil.Error:
        return False
