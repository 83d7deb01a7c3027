"""The child process: reads one document from standard input and writes JSON to standard output.

It has limits of memory and time. Nothing here imports the engine.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from .epub import epub_sections
from .pdf import pdf_pictures, pdf_sections
from .sections import BROKE_READER, SAVE_AGAIN, ReadingLimits, Refusal, Section
from .web_page import html_sections
from .word import docx_sections

MAX_MEMORY_BYTES = 2 * 2**30

READERS: dict[str, Callable[[bytes, ReadingLimits], list[Section] | Refusal]] = {
    "pdf": pdf_sections, "docx": docx_sections, "html": html_sections, "epub": epub_sections}


def main() -> None:
    """Arguments: the kind of file, and ReadingLimits in JSON. The answer: its sections or pictures, or why it has none."""
    kind, limits = sys.argv[1], ReadingLimits(**json.loads(sys.argv[2]))
    _limit_own_resources(limits.timeout_s)
    try:
        found = _read(kind, sys.stdin.buffer.read(), limits)
    except MemoryError:
        found = asdict(BROKE_READER)
    except Exception as error:      # the libraries document no exception for a damaged file
        found = asdict(Refusal(f"it is damaged ({type(error).__name__})", SAVE_AGAIN))
    json.dump(found, sys.stdout)


def _read(kind: str, content: bytes, limits: ReadingLimits) -> dict[str, Any]:
    if kind == "pictures":
        pictures = pdf_pictures(content)
        return asdict(pictures) if isinstance(pictures, Refusal) else pictures
    found = READERS[kind](content, limits)
    return asdict(found) if isinstance(found, Refusal) else {"sections": [asdict(each) for each in found]}


def _limit_own_resources(timeout_s: float) -> None:
    if sys.platform == "win32":     # has no such limits; the parent's time limit applies there too
        return
    import resource

    limits = {resource.RLIMIT_CPU: int(timeout_s) + 10}     # in case the parent dies first
    if sys.platform == "linux":
        limits[resource.RLIMIT_AS] = MAX_MEMORY_BYTES
    for which, limit in limits.items():
        hard = resource.getrlimit(which)[1]
        lower = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(which, (lower, lower))
