"""The store of tables: each in a folder of its own, with the file as it was uploaded and its cells. Only its owner can read it.

    <data folder>/finetune/tables/<random id>/source        the bytes of the file
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
from dataclasses import asdict
from pathlib import Path

from ..errors import DiskFull, TableNotFound, TableRefused, gib
from ..plain_text import clean_name
from ..public_mode import MAX_FILE_BYTES as PUBLIC_FILE_BYTES
from ..settings import Settings
from .formats import content as contents
from .formats import delimited, json_rows, parquet
from .formats.cells import CellFile, Unreadable
from .table import CELLS, Table

MAX_FILE_BYTES = 64 << 20
MAX_TABLES = 50             # of one owner; the oldest are deleted first
MAX_TABLES_PUBLIC = 5
SOURCE, FIELDS = "source", "table.json"


class Tables:
    """Safe to call from several threads and processes."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data_dir / "finetune" / "tables"
        self.max_bytes = PUBLIC_FILE_BYTES if settings.is_public else MAX_FILE_BYTES
        self._kept = MAX_TABLES_PUBLIC if settings.is_public else MAX_TABLES
        self._lock = threading.Lock()

    def read(self, name: str, content: bytes, owner: str = "", *, has_header: bool | None = None, encoding: str = "",
             source: str = "") -> Table:
        """Store a file and its cells. Blocks for seconds with a large file. `has_header`, `encoding`: instead of a guess, for CSV.

        Raises TableRefused, which names row and column, and DiskFull.
        """
        name = clean_name(name)
        if len(content) > self.max_bytes:
            raise TableRefused(name, "bytes", f"it has {gib(len(content))}",
                               f"Use at most {gib(self.max_bytes)}: a part of the rows is enough.")
        table_id = secrets.token_hex(16)
        folder = self._folder / table_id
        try:
            folder.mkdir(parents=True)
            (folder / SOURCE).write_bytes(content)
            table = _stored(table_id, name, content, folder, has_header, encoding, source)
            (folder / FIELDS).write_text(json.dumps({**asdict(table), "folder": "", "owner": _hash(owner)}), "utf-8")
        except Unreadable as error:
            raise TableRefused(name, error.kind, error.why, error.remedy, row=error.row, column=error.column, line=error.line) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(2 * len(content), shutil.disk_usage(self._folder).free) from error
            raise
        finally:
            if not (folder / FIELDS).is_file():
                shutil.rmtree(folder, ignore_errors=True)
        self._drop_oldest(owner)
        return table

    def get(self, table_id: str, owner: str = "") -> Table:
        """Raises TableNotFound, also for a table of another owner."""
        if not re.fullmatch("[0-9a-f]{32}", table_id):
            raise TableNotFound
        try:
            fields = json.loads((self._folder / table_id / FIELDS).read_text("utf-8"))
        except (OSError, ValueError):
            raise TableNotFound from None
        if fields.pop("owner") != _hash(owner):
            raise TableNotFound
        return Table(**{**fields, "columns": tuple(fields["columns"]), "folder": self._folder / table_id})

    def read_again(self, table_id: str, owner: str = "", *, has_header: bool | None = None, encoding: str = "") -> Table:
        """Read a stored file in another way, as a new table. Raises TableNotFound and TableRefused."""
        table = self.get(table_id, owner)
        content = (table.folder / SOURCE).read_bytes()
        return self.read(table.name, content, owner, has_header=has_header, encoding=encoding, source=table.source)

    def list(self, owner: str = "") -> tuple[Table, ...]:
        """The tables of one owner, newest first."""
        paths = sorted(self._folder.glob(f"*/{FIELDS}"), key=lambda path: path.stat().st_mtime, reverse=True)
        found = []
        for path in paths:
            try:
                found.append(self.get(path.parent.name, owner))
            except TableNotFound:
                continue
        return tuple(found)

    def delete(self, table_id: str, owner: str = "") -> None:
        """Raises TableNotFound."""
        shutil.rmtree(self.get(table_id, owner).folder, ignore_errors=True)

    def _drop_oldest(self, owner: str) -> None:
        with self._lock:
            for table in self.list(owner)[self._kept:]:
                shutil.rmtree(table.folder, ignore_errors=True)


def _stored(table_id: str, name: str, content: bytes, folder: Path, has_header: bool | None, encoding: str, source: str) -> Table:
    """Write the cells, and return the table. Raises Unreadable."""
    contents.require_data(content)
    target, is_headless = folder / CELLS, False
    if contents.is_parquet(content):
        form, encoding = "parquet", ""
        count = parquet.write_cells(folder / SOURCE, target)
    else:
        encoding = contents.encoding_of(content, encoding)
        if contents.is_json(content, encoding):
            form, count = "json", json_rows.write_cells(content, encoding, target)
        else:
            count, is_named = delimited.write_cells(content, encoding, target, has_header)
            form, is_headless = "csv", not is_named
    return Table(table_id, name, CellFile(target).columns, count, hashlib.sha256(content).hexdigest(), len(content), form, folder, encoding,
                 is_headless, source)


def _hash(owner: str) -> str:
    return hashlib.sha256(owner.encode()).hexdigest()
