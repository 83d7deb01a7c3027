"""Reads documents, and draws the pages of PDF files, in a separate process.

A malicious file can make the library that reads it hang, fill the memory or crash. Here that affects only a child process with
a time limit and a memory limit, and replies in progress do not share an interpreter with it.
Not covered: the child can open files and connections as the app can; the libraries are trusted not to.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from .sections import BROKE_READER, TOO_SLOW, ReadingLimits, Refusal, Section

Kind = Literal["pdf", "docx", "html", "epub"]
CHILD = "import sys; sys.path.insert(0, sys.argv.pop(1)); from documents.child import main; main()"
PASSED = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "HOME", "TMPDIR", "TEMP")      # of the environment: no secret

ATTACHED = ReadingLimits()

_turns = threading.BoundedSemaphore(2)      # more processes at once would only use more memory


@dataclass(frozen=True, slots=True)
class Pages:
    """`files`: PNG files of the first pages. `count`: how many pages there are."""

    files: tuple[bytes, ...]
    count: int


def document_sections(kind: Kind, content: bytes, limits: ReadingLimits = ATTACHED) -> list[Section] | Refusal:
    """Read a document in a child process. Blocks, and waits while two other files are being read.

    The texts are those of the file, up to shortly after `limits.max_chars`; there may be none. HTML has to be in UTF-8.
    """
    found = _read(kind, content, limits)
    return found if isinstance(found, Refusal) else [Section(**each) for each in found["sections"]]


def document_pages(content: bytes, limits: ReadingLimits = ATTACHED) -> Pages | Refusal:
    """Draw the first pages of a PDF file in a child process (pdf.MAX_PAGE_PICTURES). Blocks as `document_sections` does."""
    found = _read("pictures", content, limits)
    return found if isinstance(found, Refusal) else Pages(tuple(map(base64.b64decode, found["files"])), found["count"])


def _read(kind: str, content: bytes, limits: ReadingLimits) -> dict[str, Any] | Refusal:
    with _turns:
        try:
            child = subprocess.run(
                [sys.executable, "-P", "-c", CHILD, str(Path(__file__).parent.parent), kind, json.dumps(asdict(limits))], input=content,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=limits.timeout_s, check=False,
                env={name: os.environ[name] for name in PASSED if name in os.environ})
        except subprocess.TimeoutExpired:
            return TOO_SLOW
        except OSError as error:
            return Refusal(f"no process could be started to read it ({error.strerror})", "Try again later.")
    try:
        found: dict[str, Any] = json.loads(child.stdout)
    except ValueError:          # killed before or while it wrote its result
        return BROKE_READER
    return Refusal(found["why"], found["remedy"]) if "why" in found else found
