"""The files of a folder on this machine that can be read: no hidden ones, and no links, so that nothing outside the folder is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..documents.files import TEXT_SUFFIXES
from ..errors import InvalidRequest
from ..plain_text import clean_name
from .reading import TABLES

READ = TEXT_SUFFIXES | TABLES | {".pdf", ".docx", ".epub"}
NOT_ENTERED = frozenset(("node_modules", "__pycache__", "site-packages"))     # programs of others
MAX_FILES = 10_000
MAX_NAME_CHARS = 300


def checked_folder(typed: str) -> Path:
    """The folder itself, without links in its path. Raises InvalidRequest."""
    try:
        folder = Path(typed.strip()).expanduser().resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise InvalidRequest("folder", typed[:200], "a folder on this machine") from None
    if not folder.is_dir() or folder == Path(folder.anchor):
        raise InvalidRequest("folder", typed[:200], "a folder on this machine, and not a whole disk")
    return folder


def files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name of each file's document and its path, at most MAX_FILES, sorted. Folders that cannot be read are left out."""
    found = 0
    for parent, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(each for each in folders if not each.startswith(".") and each not in NOT_ENTERED)
        for name in sorted(files):
            path = Path(parent, name)
            if name.startswith(".") or path.suffix.lower() not in READ or path.is_symlink() or not path.is_file():
                continue
            found += 1
            if found > MAX_FILES:
                return
            yield document_name(folder, path), path


def document_name(folder: Path, path: Path) -> str:
    """The path within the folder, whose name it begins with, as text that can be shown."""
    parts = [folder.name, *path.relative_to(folder).parts]
    name = "/".join(clean_name(part) for part in parts)
    return name if len(name) <= MAX_NAME_CHARS else f"…{name[-MAX_NAME_CHARS:]}"


def read_file(path: Path, max_bytes: int) -> bytes:
    """The bytes of a file, at most one more than `max_bytes`. A link in its place is not followed. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        return file.read(max_bytes + 1)


