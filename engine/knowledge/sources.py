"""The bytes of documents that wait to be read: uploaded files, files of folders, data sets of the hub."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ..documents.sections import ReadingLimits
from ..errors import AttachmentRefused, DiskFull, EngineBusy, InvalidRequest, gib
from ..formats.cells import Unreadable
from ..hub.datasets import DatasetPart, HubDataset
from ..hub.hub import Hub
from ..hub.progress import DownloadProgress
from ..public_mode import KEPT_DISK
from ..public_mode import MAX_FILE_BYTES as PUBLIC_FILE_BYTES
from ..settings import Secret, Settings
from ..storage.database import Database
from ..storage.knowledge_sources import KnowledgeSources, Source
from .folders import read_file
from .reading import Part, read_parts, read_rows

MAX_FILE_BYTES = 64 << 20
MAX_WAITING_BYTES = 1 << 30     # public mode: of the uploaded files of everybody that were not read yet
MAX_OWN_WAITING_BYTES = 128 << 20       # and of those of one visitor
KEPT_WAITING_S = 3600.0         # public mode: an uploaded file that no job reads
LIMITS = ReadingLimits(max_chars=10_000_000, max_pages=5_000, timeout_s=300.0, is_background=True)
PUBLIC_LIMITS = ReadingLimits(max_chars=2_000_000, is_background=True)
GONE = "Add it again."


@dataclass(frozen=True, slots=True)
class Rows:
    """A part of a data set. `columns`: those whose texts are read; empty for all that hold texts."""

    repo: str
    part: str
    columns: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.repo}/{self.part}"

    @property
    def location(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> Rows:
        fields = json.loads(text)
        return cls(fields["repo"], fields["part"], tuple(fields["columns"]))


class DocumentSources:
    """Safe to use from many threads."""

    def __init__(self, settings: Settings, database: Database, hub: Hub) -> None:
        self.rows = KnowledgeSources(database)
        self._hub, self._is_public = hub, settings.is_public
        self._folder = settings.data_dir / "knowledge"
        self.max_bytes = PUBLIC_FILE_BYTES if settings.is_public else MAX_FILE_BYTES
        self._limits = PUBLIC_LIMITS if settings.is_public else LIMITS

    # --- keeping ---

    def require_room(self, owner: str, size: int) -> None:
        """Refuse this many bytes of files that wait, on a public page. Raises InvalidRequest and EngineBusy."""
        if not self._is_public:
            return
        if _size_of(self._uploads / _folder_of(owner)) + size > MAX_OWN_WAITING_BYTES:
            raise InvalidRequest("files to be read", gib(size), f"at most {gib(MAX_OWN_WAITING_BYTES)}, with those that you added before: "
                                 "add fewer at once")
        if _size_of(self._uploads) + size > MAX_WAITING_BYTES:
            raise EngineBusy("many files are being read", "Add yours in a few minutes.")

    def keep_upload(self, owner: str, content: bytes) -> str:
        """Keep the bytes of a file until it was read, and return the name of that. Raises DiskFull, and what `require_room` raises."""
        self.require_room(owner, len(content))
        folder = self._uploads / _folder_of(owner)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        disk = shutil.disk_usage(self._uploads)
        if len(content) > (free := disk.free - round(KEPT_DISK * disk.total) if self._is_public else disk.free):
            raise DiskFull(len(content), max(0, free))
        path = folder / secrets.token_hex(16)
        try:
            path.write_bytes(content)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise DiskFull(len(content), max(0, free)) from error
        return path.relative_to(self._uploads).as_posix()

    def forget(self, source: Source) -> None:
        """Delete an uploaded file, which was read or is replaced; the path of a file of a folder is kept, to see whether it changes."""
        if source.kind == "upload":
            self.delete_uploads([source.location])
            self.rows.forget(source)

    def uploads(self, collection: str) -> tuple[str, ...]:
        """The uploaded files of a collection that wait to be read."""
        return tuple(source.location for source in self.rows.of_collection(collection) if source.kind == "upload")

    def delete_uploads(self, names: Sequence[str]) -> None:
        for name in names:
            (self._uploads / name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete uploaded files whose documents are gone. At the start only: a file is written before its row."""
        needed = {source.location for _, source in self.rows.uploads()}
        for path in _files_in(self._uploads):
            if path.relative_to(self._uploads).as_posix() not in needed:
                path.unlink(missing_ok=True)

    def expire(self, is_read: Callable[[str], bool]) -> None:
        """On a public page delete uploaded files that wait for long without a job, as `is_read` says of a collection."""
        for collection, source in self.rows.uploads() if self._is_public else ():
            with suppress(OSError):
                if not is_read(collection) and time.time() - self._path(source).stat().st_mtime > KEPT_WAITING_S:
                    self.forget(source)

    # --- reading ---

    def sizes(self, collection: str) -> dict[int, int]:
        """Bytes of the files of a collection that are read or were read, by document, where they are known."""
        found = {}
        for source in self.rows.of_collection(collection):
            with suppress(OSError):
                found[source.document] = 0 if source.kind == "rows" else self._path(source).stat().st_size
        return found

    def read(self, source: Source, name: str, stop: threading.Event, token: Secret | None, on_bytes: Callable[[int], None]) -> list[Part]:
        """The texts of a document with this name. Blocks. `on_bytes`: called with the bytes of a data set that were received so far.

        Raises AttachmentRefused, InvalidRequest, and what Hub.fetch_dataset raises.
        """
        folder = self._folder / "reading"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if source.kind == "rows":
            return self._read_rows(Rows.of_json(source.location), folder, stop, token, on_bytes)
        try:
            content = read_file(self._path(source), self.max_bytes)
        except OSError as error:
            raise AttachmentRefused(name, f"it cannot be opened ({error.strerror})", GONE) from error
        require_size(name, len(content), self.max_bytes)
        return read_parts(name, content, self._limits, folder, stop)

    def describe(self, typed: str, part: str, columns: tuple[str, ...], token: Secret | None) -> tuple[Rows, str]:
        """What a name of a data set means, and a digest of it. `part`: "" for the first. Raises what Hub.describe_dataset raises,
        and InvalidRequest for a part that is not there or too large.
        """
        dataset, chosen = self._dataset(typed, part, token)
        rows = Rows(dataset.repo, chosen.name, columns)
        return rows, hashlib.sha256(json.dumps([dataset.sha, asdict(rows)]).encode()).hexdigest()

    def _dataset(self, typed: str, part: str, token: Secret | None) -> tuple[HubDataset, DatasetPart]:
        dataset = self._hub.describe_dataset(typed, token)
        chosen = next((each for each in dataset.parts if part in ("", each.name)), None)
        if chosen is None:
            raise InvalidRequest("part", part[:200], "one of " + ", ".join(each.name for each in dataset.parts[:20]))
        if chosen.size_bytes > self.max_bytes:
            raise InvalidRequest(chosen.name, gib(chosen.size_bytes), f"at most {gib(self.max_bytes)}: choose another part")
        return dataset, chosen

    def _read_rows(self, rows: Rows, folder: Path, stop: threading.Event, token: Secret | None,
                   on_bytes: Callable[[int], None]) -> list[Part]:
        dataset, chosen = self._dataset(rows.repo, rows.part, token)

        def on_progress(progress: DownloadProgress) -> None:
            on_bytes(progress.done_bytes)

        contents = self._hub.fetch_dataset(dataset, chosen, on_progress, stop, token)
        try:
            return read_rows(rows.name, contents, self._limits, folder, rows.columns)
        except Unreadable as error:
            raise AttachmentRefused(rows.name, error.why, error.remedy) from error

    @property
    def _uploads(self) -> Path:
        return self._folder / "uploads"

    def _path(self, source: Source) -> Path:
        return self._uploads / source.location if source.kind == "upload" else Path(source.location)


def require_size(name: str, size: int, most: int) -> None:
    if size > most:
        raise AttachmentRefused(name, f"it has more than {gib(most)}", "Add a part of it.")


def _folder_of(owner: str) -> str:
    """The folder of an owner's uploads."""
    return hashlib.sha256(owner.encode()).hexdigest()[:32]


def _files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _size_of(folder: Path) -> int:
    size = 0
    for path in _files_in(folder):
        with suppress(OSError):     # read and deleted meanwhile
            size += path.stat().st_size
    return size
