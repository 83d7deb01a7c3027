"""The store of tables: each in a folder of its own, with the file as it was uploaded and its cells. Only its owner can read it.

    <data folder>/finetune/tables/<random id>/source-000    the bytes of the file; of the hub perhaps several
                                              cells.arrow   its cells (formats/cells.py)
                                              table.json    the fields of Table, and the hash of its owner
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import secrets
import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import DiskFull, InvalidRequest, gib
from ..formats.cells import CellFile, Unreadable, join
from ..formats.files import write_cells
from ..hub.datasets import HubDataset
from ..hub.hub import Hub
from ..hub.progress import OnProgress
from ..plain_text import clean_name
from ..public_mode import MAX_FILE_BYTES as PUBLIC_FILE_BYTES
from ..settings import Secret, Settings
from .errors import TableNotFound, TableRefused
from .table import CELLS, Table

MAX_FILE_BYTES = 64 << 20
MAX_TABLES = 50             # of one owner; the oldest are deleted first
MAX_TABLES_PUBLIC = 5
MAX_ALL_BYTES_PUBLIC = 2 << 30      # of the files of all visitors: one who returns without a cookie counts as a new one
DISK_FACTOR = 4             # of a file's size, which its cells may take beside it: compressed ones more than others
SOURCE, FIELDS = "source", "table.json"


class Tables:
    """Safe to call from several threads and processes."""

    def __init__(self, settings: Settings, hub: Hub | None = None) -> None:
        self._folder = settings.data_dir / "finetune" / "tables"
        self._hub = hub or Hub(settings)
        self._is_public = settings.is_public
        self.max_bytes = PUBLIC_FILE_BYTES if settings.is_public else MAX_FILE_BYTES
        self._kept = MAX_TABLES_PUBLIC if settings.is_public else MAX_TABLES
        self._lock = threading.Lock()

    def read(self, name: str, content: bytes, owner: str = "", *, has_header: bool | None = None, encoding: str = "") -> Table:
        """Store a file and its cells. Blocks for seconds with a large file. `has_header`, `encoding`: instead of a guess, for CSV.

        Raises TableRefused, which names row and column, and DiskFull.
        """
        return self._read(_Source(clean_name(name), (content,)), owner, has_header, encoding)

    def on_hub(self, name: str, token: Secret | None = None) -> HubDataset:
        """The parts of a data set on the hub. `name`: owner/name, or the address of its page.

        Raises InvalidRequest, DatasetNotFound, ModelAccessDenied, TokenRejected and HubUnreachable.
        """
        return self._hub.describe_dataset(name, token)

    def from_hub(self, dataset: HubDataset, part: str = "", owner: str = "", token: Secret | None = None,
                 on_progress: OnProgress = lambda progress: None, stop: threading.Event | None = None) -> Table:
        """Download one part of a data set, by default its first. `part`: its name. Blocks.

        Raises TableRefused, for its size before the download; DiskFull, DownloadStopped, DownloadBroken, and what `on_hub` raises.
        """
        chosen = next((each for each in dataset.parts if part in ("", each.name)), None)
        if chosen is None:
            raise InvalidRequest("part", part, "one of " + ", ".join(each.name for each in dataset.parts[:20]))
        name = f"{dataset.repo}/{chosen.name}"
        if chosen.size_bytes > self.max_bytes:
            raise TableRefused(name, "bytes", f"it has {gib(chosen.size_bytes)}", f"Choose a part with at most {gib(self.max_bytes)}.")
        contents = self._hub.fetch_dataset(dataset, chosen, on_progress, stop or threading.Event(), token)
        return self._read(_Source(name, contents, f"{dataset.repo}@{dataset.sha}"), owner)

    def _read(self, source: _Source, owner: str, has_header: bool | None = None, encoding: str = "") -> Table:
        size = sum(map(len, source.contents))
        if size > self.max_bytes:
            raise TableRefused(source.name, "bytes", f"it has {gib(size)}",
                               f"Use at most {gib(self.max_bytes)}: a part of the rows is enough.")
        folder = self._folder / secrets.token_hex(16)
        self._folder.mkdir(parents=True, exist_ok=True)
        if DISK_FACTOR * size > (free := shutil.disk_usage(self._folder).free):
            raise DiskFull(DISK_FACTOR * size, free)
        try:
            folder.mkdir()
            table = _stored(source, folder, has_header, encoding)
            (folder / FIELDS).write_text(json.dumps({**asdict(table), "folder": "", "owner": _hash(owner)}), "utf-8")
        except Unreadable as error:
            raise TableRefused(source.name, error.kind, error.why, error.remedy, row=error.row, column=error.column,
                               line=error.line) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(DISK_FACTOR * size, shutil.disk_usage(self._folder).free) from error
            raise
        finally:
            if not (folder / FIELDS).is_file():
                shutil.rmtree(folder, ignore_errors=True)
        self._drop_oldest(owner)
        return table

    def get(self, table_id: str, owner: str = "") -> Table:
        """Raises TableNotFound, also for a table of another owner."""
        table, hashed = self._found(table_id)
        if hashed != _hash(owner):
            raise TableNotFound
        return table

    def _found(self, table_id: str) -> tuple[Table, str]:
        """A table and the hash of its owner. Raises TableNotFound."""
        if not re.fullmatch("[0-9a-f]{32}", table_id):
            raise TableNotFound
        try:
            fields = json.loads((self._folder / table_id / FIELDS).read_text("utf-8"))
        except (OSError, ValueError):
            raise TableNotFound from None
        hashed = str(fields.pop("owner"))
        return Table(**{**fields, "columns": tuple(fields["columns"]), "folder": self._folder / table_id}), hashed

    def read_again(self, table_id: str, owner: str = "", *, has_header: bool | None = None, encoding: str = "") -> Table:
        """Read a stored file in another way, as a new table. Raises TableNotFound and TableRefused."""
        table = self.get(table_id, owner)
        contents = tuple(path.read_bytes() for path in sorted(table.folder.glob(f"{SOURCE}*")))
        return self._read(_Source(table.name, contents, table.source), owner, has_header, encoding)

    def list(self, owner: str = "") -> tuple[Table, ...]:
        """The tables of one owner, newest first."""
        return tuple(table for table, hashed in self._all() if hashed == _hash(owner))

    def _all(self) -> Sequence[tuple[Table, str]]:
        """The tables of all owners and the hashes of these, newest first."""
        found = []
        for path in self._folder.glob(f"*/{FIELDS}"):
            with suppress(TableNotFound, FileNotFoundError):        # deleted meanwhile
                found.append((path.stat().st_mtime_ns, *self._found(path.parent.name)))
        return [(table, hashed) for _, table, hashed in sorted(found, key=lambda each: each[0], reverse=True)]

    def delete(self, table_id: str, owner: str = "") -> None:
        """Raises TableNotFound."""
        shutil.rmtree(self.get(table_id, owner).folder, ignore_errors=True)

    def _drop_oldest(self, owner: str) -> None:
        with self._lock:
            for table in self.list(owner)[self._kept:]:
                shutil.rmtree(table.folder, ignore_errors=True)
            total = 0
            for table, _ in self._all() if self._is_public else ():
                total += table.size_bytes
                if total > MAX_ALL_BYTES_PUBLIC:
                    shutil.rmtree(table.folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Source:
    """`place`: where it is from, of the hub."""

    name: str
    contents: tuple[bytes, ...]
    place: str = ""


def _stored(source: _Source, folder: Path, has_header: bool | None, encoding: str) -> Table:
    """Write the files and their cells, and return the table. Raises Unreadable."""
    digest, found = hashlib.sha256(), []
    for number, content in enumerate(source.contents):
        path = folder / f"{SOURCE}-{number:03}"
        path.write_bytes(content)
        digest.update(content)
        found.append(write_cells(path, content, folder / f"part-{number:03}", has_header, encoding))
    parts = sorted(folder.glob("part-*"))
    if len(parts) == 1:
        parts[0].rename(folder / CELLS)
    else:
        join(parts, folder / CELLS)
    first = found[0]
    return Table(folder.name, source.name, CellFile(folder / CELLS).columns, sum(each.count for each in found), digest.hexdigest(),
                 sum(map(len, source.contents)), first.format, folder, first.encoding, first.is_headless, source.place)


def _hash(owner: str) -> str:
    return hashlib.sha256(owner.encode()).hexdigest()
