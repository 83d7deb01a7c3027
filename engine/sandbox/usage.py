"""Checks what the kernel does not limit: threads, and files, including deleted ones that are still open."""

from __future__ import annotations

import os
import stat

from .base import Limits
from .folder import LimitExceeded, SessionFolder


def require_within_limits(pid: int, folder: SessionFolder, limits: Limits) -> None:
    """Raises LimitExceeded if the guest has exceeded a limit. Takes some 0.1 ms; a bomb can exceed a limit for one call interval."""
    try:
        # The main thread, those it may start, and one for libraries.
        if os.stat(f"/proc/{pid}/task").st_nlink - 2 > limits.num_threads + 1:
            raise LimitExceeded(f"started more than {limits.num_threads} threads")
        unnamed_bytes = _unnamed_bytes(pid)
    except (FileNotFoundError, ProcessLookupError):
        return      # it has just ended
    except PermissionError as error:
        raise LimitExceeded("hid its open files") from error
    folder.stamps(limits, unnamed_bytes)


def _unnamed_bytes(pid: int) -> int:
    """Return the size of files that are deleted but still open, which no folder lists."""
    total = 0
    for handle in os.listdir(f"/proc/{pid}/fd"):
        try:
            facts = os.stat(f"/proc/{pid}/fd/{handle}")
        except OSError:
            continue
        if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 0:
            total += facts.st_size
    return total
