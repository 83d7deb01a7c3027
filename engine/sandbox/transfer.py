"""Files in and out of a guest that has no disk: as frames, between the box's folder and the folder in its memory.

Names and contents are a stranger's. What an honest guest never sends is a BadFrame.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from .base import Limits
from .folder import BoxFolder, Stamps
from .pipes import BadFrame, Frame

PIECE_BYTES = 48 << 10          # of a file, in every frame but its last
MAX_PARTS, MAX_PART_BYTES, MAX_NAME_BYTES = 32, 255, 1024
NAME, DATA, END, GONE = b"n", b"d", b"e", b"x"


def changes(folder: BoxFolder, before: Stamps, now: Stamps) -> Iterator[Frame]:
    """What a guest that knows `before` must hear of. Files are read when their frames are taken; one that is gone by then is left out."""
    for name in before.keys() - now.keys():
        yield Frame(GONE, _sent(name))
    for name, stamp in now.items():
        if before.get(name) == stamp:
            continue
        try:
            with open(folder.work / name, "rb") as file:
                yield Frame(NAME, _sent(name))
                while piece := file.read(PIECE_BYTES):
                    yield Frame(DATA, piece)
                yield Frame(END)
        except OSError:
            continue


class Inbox:
    """Takes the files of one program, and holds them to the limits."""

    def __init__(self, folder: BoxFolder, limits: Limits) -> None:
        self._folder, self._limits = folder, limits
        self._name: str | None = None       # of the file that is coming; empty when it cannot be shown, so is not kept
        self._file: BinaryIO | None = None
        self._num_files = self._num_gone = self._num_bytes = self._file_bytes = 0
        self._is_last = False               # after a small piece none may come: crumbs without end would keep the host busy

    def take(self, frame: Frame) -> None:
        """Raises BadFrame, and OSError when the host's disk is full."""
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
                raise BadFrame

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
            raise BadFrame
        self._file = self._coming.open("wb")

    def _add(self, payload: bytes) -> None:
        assert self._file is not None
        self._file_bytes += len(payload)
        self._num_bytes += len(payload)
        if self._is_last or self._file_bytes > self._limits.file_bytes or self._num_bytes > self._limits.folder_bytes:
            raise BadFrame
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
            raise BadFrame from error

    def _remove(self, payload: bytes) -> None:
        """The file, and the folders that are empty without it: a guest tells of files only."""
        self._num_gone += 1
        if self._num_gone > self._limits.num_files:
            raise BadFrame
        if not (name := _received(payload)):
            return
        path = self._folder.work / name
        try:
            path.unlink(missing_ok=True)
        except (NotADirectoryError, IsADirectoryError, PermissionError) as error:
            raise BadFrame from error
        with contextlib.suppress(OSError):
            while (path := path.parent) != self._folder.work:
                path.rmdir()


def _sent(name: str) -> bytes:
    return name.replace(os.sep, "/").encode("utf-8", "replace")


def _received(payload: bytes) -> str:
    """A path below the work folder; empty for one that this machine cannot have or a page cannot show. Raises BadFrame."""
    if len(payload) > MAX_NAME_BYTES:
        return ""
    name = payload.decode("utf-8", "replace")
    parts = name.split("/")
    if not all(parts) or {".", ".."} & set(parts) or "\0" in name:
        raise BadFrame
    if len(parts) > MAX_PARTS or any(len(part.encode()) > MAX_PART_BYTES for part in parts) or not name.isprintable():
        return ""
    return "" if os.name == "nt" and not _is_plain_on_windows(parts) else str(PurePosixPath(name))


def _is_plain_on_windows(parts: list[str]) -> bool:
    return all(not set(part) & set('<>:"\\|?*') and part == part.rstrip(" .") and not PureWindowsPath(part).is_reserved() for part in parts)
