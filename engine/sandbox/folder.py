"""The files of a session on the host's disk: listing, limits, what a run produced, deletion.

Names and contents are untrusted. Nothing here follows a link or opens a file, and nothing recurses, since a path may be deeper
than the stack.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..storage.alive import is_alive, this_process
from .base import Limits, ProducedFile

OWNED = re.compile(r"mindcubes-(\d+)-(\d+)-\w+")      # the name of a session's folder: with the number and start time of its process


class Stamp(NamedTuple):
    """Identifies a file and its contents: equal stamps mean the same, unchanged file. A guest cannot set times."""

    inode: int
    num_bytes: int
    changed_ns: int


Stamps = dict[str, Stamp]           # by path relative to the work folder


class LimitExceeded(Exception):
    """A limit was exceeded; the text completes a sentence about the program: "wrote more than 128 MiB of files"."""


class SessionFolder:
    """One session's temporary folder: `work` for programs, `home` for caches, `libraries` to import from."""

    def __init__(self, links: dict[str, str]) -> None:
        self.root = Path(os.path.realpath(tempfile.mkdtemp(prefix=f"mindcubes-{this_process().replace(':', '-')}-")))
        self.work, self.home, self.libraries = (self.root / name for name in ("work", "home", "libraries"))
        for folder in (self.work, self.home, self.libraries):
            folder.mkdir(mode=0o700)
        for name, path in links.items():
            (self.libraries / name).symlink_to(path)

    def stamps(self, limits: Limits | None = None, unnamed_bytes: int = 0) -> Stamps:
        """Return every regular file of `work`. `unnamed_bytes`: of deleted but open files, counted as well. Raises LimitExceeded."""
        num_entries, num_bytes = 0, unnamed_bytes
        files: Stamps = {}
        for folder in (self.work, self.home):
            for entry in _walk(folder):
                num_entries += 1
                if (stamp := _stamp(entry)) is not None:
                    num_bytes += stamp.num_bytes
                    if folder is self.work:
                        files[os.path.relpath(entry.path, self.work)] = stamp
                if limits is not None:
                    _require_room(num_entries, num_bytes, limits)
        return files

    def produced(self, before: Stamps, limits: Limits) -> tuple[ProducedFile, ...]:
        """Return new and changed files since `before`, by name, without names that cannot be shown or sent. Raises LimitExceeded."""
        now = self.stamps(limits)
        changed = sorted(name for name, stamp in now.items() if before.get(name) != stamp and name.isprintable())
        return tuple(ProducedFile(name.replace(os.sep, "/"), self.work / name, now[name].num_bytes) for name in changed)

    def discard_new(self, before: Stamps) -> None:
        """Clean up after an exceeded limit: keep only unchanged files directly in `work`, and empty `home`."""
        for folder in (self.home, self.work):
            for entry in _scan(str(folder)):
                if folder is self.home or _stamp(entry) is None or before.get(entry.name) != _stamp(entry):
                    _remove(entry.path, self.root)

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):        # by remove_own
            _remove(str(self.root), self.root.parent)


def remove_left_behind() -> int:
    """Delete the folders of sessions whose process was killed before it could. Returns how many."""
    found = [path for path in Path(os.path.realpath(tempfile.gettempdir())).glob("mindcubes-*") if _is_left_behind(path)]
    for path in found:
        _remove(str(path), path.parent)
    return len(found)


def remove_own() -> None:
    """Delete the folders of this process. Called at its end: a probe in another thread may still make one when the sessions have closed."""
    prefix = f"mindcubes-{this_process().replace(':', '-')}-"
    for path in Path(os.path.realpath(tempfile.gettempdir())).glob(f"{prefix}*"):
        with contextlib.suppress(OSError):      # a file was made meanwhile
            _remove(str(path), path.parent)


atexit.register(remove_own)         # before any session exists, so it runs after what sessions register


def _is_left_behind(path: Path) -> bool:
    try:
        owner = OWNED.fullmatch(path.name)
        is_ours = owner is not None and not path.is_symlink() and path.stat().st_uid == os.getuid()
        return is_ours and owner is not None and not is_alive(f"{owner[1]}:{owner[2]}")
    except OSError:     # removed meanwhile
        return False


def _require_room(num_entries: int, num_bytes: int, limits: Limits) -> None:
    if num_entries > limits.num_files:
        raise LimitExceeded(f"made more than {limits.num_files} files")
    if num_bytes > limits.folder_bytes:
        raise LimitExceeded(f"wrote more than {limits.folder_bytes >> 20} MiB of files")


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Every entry below `folder`, parents first, without those that disappear meanwhile. Raises LimitExceeded on too deep a path."""
    waiting = [str(folder)]
    while waiting:
        try:
            entries = _scan(waiting.pop())
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LimitExceeded("made folders too deep to look into") from error
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)


def _scan(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except PermissionError:
        os.chmod(folder, 0o700)     # made unreadable by the program, which runs as our user
        with os.scandir(folder) as entries:
            return list(entries)


def _stamp(entry: os.DirEntry[str]) -> Stamp | None:
    """Return the file's stamp; None if it is not a regular file or no longer exists."""
    try:
        facts = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return Stamp(facts.st_ino, facts.st_size, facts.st_mtime_ns) if stat.S_ISREG(facts.st_mode) else None


def _remove(path: str, above: Path) -> None:
    """Delete a tree of any depth: each folder inside is first moved up into one flat folder, so no path grows."""
    if not os.path.isdir(path) or os.path.islink(path):
        os.unlink(path)
        return
    pile = Path(tempfile.mkdtemp(prefix="mindcubes-removed-", dir=above))
    waiting = [path]
    count = 0
    while waiting:
        folder = waiting.pop()
        os.chmod(folder, 0o700)
        for entry in _scan(folder):
            if entry.is_dir(follow_symlinks=False):
                os.chmod(entry.path, 0o700)
                count += 1
                moved = str(pile / str(count))
                os.rename(entry.path, moved)
                waiting.append(moved)
            else:
                os.unlink(entry.path)
        os.rmdir(folder)
    os.rmdir(pile)
