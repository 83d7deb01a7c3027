"""State of one page's Try it box."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass
class TrySession:
    """`stop`: of the request in progress; None if there is none."""

    stop: threading.Event | None = None
