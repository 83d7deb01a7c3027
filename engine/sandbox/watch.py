"""What the kernel does not count for us: threads, and files, also those that have no name any more. Looked at while a program runs."""

from __future__ import annotations

import os
import stat

from .base import Limits
from .folder import BoxFolder, TooMuch


def require_moderation(pid: int, folder: BoxFolder, limits: Limits) -> None:
    """Raises TooMuch when the guest has passed a limit. Costs some 0.1 ms; how far a bomb gets depends on how often it is called."""
    try:
        # The main thread, those it may start, and a little for libraries.
        if os.stat(f"/proc/{pid}/task").st_nlink - 2 > limits.num_threads + 1:
            raise TooMuch(f"started more than {limits.num_threads} threads")
        unnamed_bytes = _unnamed_bytes(pid)
    except (FileNotFoundError, ProcessLookupError):
        return      # it has just died
    except PermissionError as error:
        raise TooMuch("hid its open files") from error
    folder.stamps(limits, unnamed_bytes)


def _unnamed_bytes(pid: int) -> int:
    """Size of the files it holds open but has deleted: no folder lists them."""
    total = 0
    for handle in os.listdir(f"/proc/{pid}/fd"):
        try:
            facts = os.stat(f"/proc/{pid}/fd/{handle}")
        except OSError:
            continue
        if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 0:
            total += facts.st_size
    return total
