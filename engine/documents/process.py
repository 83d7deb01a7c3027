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
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

from .sections import BROKE_READER, TOO_SLOW, ReadingLimits, Refusal, Section

Kind = Literal["pdf", "docx", "html", "epub"]
CHILD = "import sys; sys.path.insert(0, sys.argv.pop(1)); from documents.child import main; main()"
STOP_S = 0.2        # between two looks at whether it is still wanted
PASSED = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "HOME", "TMPDIR", "TEMP")      # of the environment: no secret

ATTACHED = ReadingLimits()

_turns = threading.BoundedSemaphore(2)      # more processes at once would only use more memory
_background_turns = threading.BoundedSemaphore(1)


@dataclass(frozen=True, slots=True)
class Pages:
    """`files`: PNG files of the first pages. `count`: how many pages there are."""

    files: tuple[bytes, ...]
    count: int


def document_sections(kind: Kind, content: bytes, limits: ReadingLimits = ATTACHED,
                      stop: threading.Event | None = None) -> list[Section] | Refusal:
    """Read a document in a child process. Blocks, and waits while two other files are being read; once `stop` is set, it ends soon.

    The texts are those of the file, up to shortly after `limits.max_chars`; there may be none. HTML has to be in UTF-8.
    """
    found = _read(kind, content, limits, stop)
    return found if isinstance(found, Refusal) else [Section(**each) for each in found["sections"]]


def document_pages(content: bytes, limits: ReadingLimits = ATTACHED) -> Pages | Refusal:
    """Draw the first pages of a PDF file in a child process (pdf.MAX_PAGE_PICTURES). Blocks as `document_sections` does."""
    found = _read("pictures", content, limits)
    return found if isinstance(found, Refusal) else Pages(tuple(map(base64.b64decode, found["files"])), found["count"])


def _read(kind: str, content: bytes, limits: ReadingLimits, stop: threading.Event | None = None) -> dict[str, Any] | Refusal:
    with _background_turns if limits.is_background else _turns:
        try:
            child = subprocess.Popen(
                [sys.executable, "-P", "-c", CHILD, str(Path(__file__).parent.parent), kind, json.dumps(asdict(limits))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in PASSED if name in os.environ})
        except OSError as error:
            return Refusal(f"no process could be started to read it ({error.strerror})", "Try again later.")
        answer = _answer(child, content, limits.timeout_s, stop)
    if answer is None:
        return TOO_SLOW
    try:
        found: dict[str, Any] = json.loads(answer)
    except ValueError:          # killed before or while it wrote its result
        return BROKE_READER
    return Refusal(found["why"], found["remedy"]) if "why" in found else found


def _answer(child: subprocess.Popen[bytes], content: bytes, timeout_s: float, stop: threading.Event | None) -> bytes | None:
    """What the child writes; None if it is too slow, or no longer wanted."""
    deadline, pipe = time.monotonic() + timeout_s, child.stdin
    child.stdin = None      # after a timeout, communicate() would never send the rest of its input
    threading.Thread(target=_send, args=(pipe, content), name="document", daemon=True).start()
    with child:
        try:
            while (left := deadline - time.monotonic()) > 0 and not (stop and stop.is_set()):
                with suppress(subprocess.TimeoutExpired):
                    return child.communicate(timeout=left if stop is None else min(left, STOP_S))[0]
        finally:
            child.kill()
    return None


def _send(pipe: IO[bytes] | None, content: bytes) -> None:
    if pipe is not None:
        with suppress(OSError), pipe:       # the child may end before it has read all
            pipe.write(content)
