"""Files that a person uploads with a task: copied into the work folder, their first lines shown in the prompt."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from ..errors import AttachmentRefused
from ..plain_text import clean_name, decode

PREVIEW_BYTES, PREVIEW_LINES = 2_000, 3


def put_file(source: Path, folder: Path) -> None:
    """Copy a file into a sandbox's folder. A file or link that a program left under the same name is replaced, never followed.

    Raises AttachmentRefused.
    """
    target = folder / clean_name(source.name)
    try:
        target.unlink(missing_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with source.open("rb") as reader, os.fdopen(descriptor, "wb") as writer:
            shutil.copyfileobj(reader, writer)
    except OSError as error:
        raise AttachmentRefused(source.name, f"it could not be copied ({error.strerror})", "Try another file.") from error


def previews(sources: Iterable[Path]) -> list[tuple[str, str]]:
    """Return names and first lines; "" for a file that is not text. Raises AttachmentRefused."""
    return [(clean_name(source.name), _first_lines(source)) for source in sources]


def _first_lines(source: Path) -> str:
    try:
        with source.open("rb") as reader:
            start = reader.read(PREVIEW_BYTES)
    except OSError as error:
        raise AttachmentRefused(source.name, f"it could not be read ({error.strerror})", "Try another file.") from error
    try:
        text, _ = decode(start)
    except UnicodeDecodeError:
        return ""
    return "" if "\0" in text else "\n".join(text.splitlines()[:PREVIEW_LINES])
