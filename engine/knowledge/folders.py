"""The files of a folder on this machine that can be read: no hidden ones, and no links, so that nothing outside the folder is read."""

from __future__ import annotations

import os
from collections.abc import Container
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """`files`: the name of each file's document and its path. `unread`: folders that cannot be listed. `is_cut`: there are more files."""

    files: list[tuple[str, Path]]
    unread: list[Path]
    is_cut: bool


def files_of(folder: Path, label: str) -> FolderFiles:
    """At most MAX_FILES, sorted. Names begin with `label`, and none is there twice."""
    files: dict[str, Path] = {}
    unread: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=lambda error: unread.append(Path(error.filename)), followlinks=False):
        folders[:] = sorted(each for each in folders if not each.startswith(".") and each not in NOT_ENTERED)
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith(".") or path.suffix.lower() not in READ or path.is_symlink() or not path.is_file():
                continue
            if len(files) == MAX_FILES:
                return FolderFiles([*files.items()], unread, True)
            files[_free_name(document_name(label, path.relative_to(folder)), files)] = path
    return FolderFiles([*files.items()], unread, False)


def document_name(label: str, path: Path) -> str:
    """A path within a folder as text that can be shown."""
    name = "/".join(clean_name(part) for part in (label, *path.parts))
    return name if len(name) <= MAX_NAME_CHARS else f"…{name[-MAX_NAME_CHARS:]}"


def _free_name(name: str, taken: Container[str]) -> str:
    """Names of files may differ only in what is not shown."""
    found, number = name, 2
    while found in taken:
        found, number = f"{name} {number}", number + 1
    return found


def read_file(path: Path, max_bytes: int) -> bytes:
    """The bytes of a file, at most one more than `max_bytes`. A link in its place is not followed. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        return file.read(max_bytes + 1)


