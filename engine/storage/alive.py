"""Identifies a process by number and start time, so that another process can tell whether it still runs."""

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
    """Whether the process named by `this_process` still runs. One with the same number and another start time is another process."""
    number, _, created = (name or "").partition(":")
    try:
        return number.isdecimal() and f"{psutil.Process(int(number)).create_time():.0f}" == created
    except psutil.Error:
        return False
