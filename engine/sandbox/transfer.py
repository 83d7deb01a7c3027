"""Transfers files as frames between a session's folder and a guest that has its files in memory only.

Names and contents are untrusted. A frame that an unmodified guest never sends raises InvalidFrame.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from .base import Limits
from .folder import SessionFolder, Stamps
from .pipes import InvalidFrame, PipeFrame

PIECE_BYTES = 48 << 10          # of a file in every frame but the last
MAX_PARTS, MAX_PART_BYTES, MAX_NAME_BYTES = 32, 255, 1024
NAME, DATA, END, GONE = b"n", b"d", b"e", b"x"


def changes(folder: SessionFolder, before: Stamps, now: Stamps) -> Iterator[PipeFrame]:
    """Yield the frames that update a guest from `before` to `now`. A file is read when its frames are taken.

    A file that no longer exists by then is skipped.
    """
    for name in before.keys() - now.keys():
        yield PipeFrame(GONE, _sent(name))
    for name, stamp in now.items():
        if before.get(name) == stamp:
            continue
        try:
            with open(folder.work / name, "rb") as file:
                yield PipeFrame(NAME, _sent(name))
                while piece := file.read(PIECE_BYTES):
                    yield PipeFrame(DATA, piece)
                yield PipeFrame(END)
        except OSError:
            continue


class FileReceiver:
    """Receives the files of one program and enforces the limits."""

    def __init__(self, folder: SessionFolder, limits: Limits) -> None:
        self._folder, self._limits = folder, limits
        self._name: str | None = None       # of the file being received; empty if it cannot be shown and so is not kept
        self._file: BinaryIO | None = None
        self._num_files = self._num_gone = self._num_bytes = self._file_bytes = 0
        self._is_last = False               # only the last piece may be small: endless tiny pieces would keep the host busy

    def take(self, frame: PipeFrame) -> None:
        """Process one frame. Raises InvalidFrame, and OSError if the host's disk is full."""
        kind, payload = frame
        match kind, self._name is not None:
            case b"x", False:
                self._remove(payload)
            case b"n", False:
                self._begin(payload)
            case b"d", True:
                self._add(payload)
            case b"e", True:
                self._end()
            case _:
                raise InvalidFrame

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def _coming(self) -> Path:
        return self._folder.home / "coming"

    def _begin(self, payload: bytes) -> None:
        self._name = _received(payload)
        self._num_files += 1
        self._file_bytes, self._is_last = 0, False
        if self._num_files > self._limits.num_files:
            raise InvalidFrame
        self._file = self._coming.open("wb")

    def _add(self, payload: bytes) -> None:
        assert self._file is not None
        self._file_bytes += len(payload)
        self._num_bytes += len(payload)
        if self._is_last or self._file_bytes > self._limits.file_bytes or self._num_bytes > self._limits.folder_bytes:
            raise InvalidFrame
        self._is_last = len(payload) < PIECE_BYTES
        self._file.write(payload)

    def _end(self) -> None:
        self.close()
        name, self._name = self._name, None
        if not name:
            return
        path = self._folder.work / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self._coming, path)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise InvalidFrame from error

    def _remove(self, payload: bytes) -> None:
        """Delete the file and the folders that become empty, since a guest reports files only."""
        self._num_gone += 1
        if self._num_gone > self._limits.num_files:
            raise InvalidFrame
        if not (name := _received(payload)):
            return
        path = self._folder.work / name
        try:
            path.unlink(missing_ok=True)
        except (NotADirectoryError, IsADirectoryError, PermissionError) as error:
            raise InvalidFrame from error
        with contextlib.suppress(OSError):
            while (path := path.parent) != self._folder.work:
                path.rmdir()


def _sent(name: str) -> bytes:
    return name.replace(os.sep, "/").encode("utf-8", "replace")


def _received(payload: bytes) -> str:
    """Return a path below the work folder; empty if this machine cannot store it or a page cannot show it. Raises InvalidFrame."""
    if len(payload) > MAX_NAME_BYTES:
        return ""
    name = payload.decode("utf-8", "replace")
    parts = name.split("/")
    if not all(parts) or {".", ".."} & set(parts) or "\0" in name:
        raise InvalidFrame
    if len(parts) > MAX_PARTS or any(len(part.encode()) > MAX_PART_BYTES for part in parts) or not name.isprintable():
        return ""
    return "" if os.name == "nt" and not _is_plain_on_windows(parts) else str(PurePosixPath(name))


def _is_plain_on_windows(parts: list[str]) -> bool:
    return all(not set(part) & set('<>:"\\|?*') and part == part.rstrip(" .") and not PureWindowsPath(part).is_reserved() for part in parts)
