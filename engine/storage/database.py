"""One SQLite file under the data folder, brought up to date when it is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..errors import StorageError

# Never change an entry that was released: append the next one.
MIGRATIONS = (
    """CREATE TABLE loads (
        model TEXT NOT NULL, quantization TEXT NOT NULL, device TEXT NOT NULL,
        seconds REAL NOT NULL, weight_bytes INTEGER NOT NULL, at REAL NOT NULL
    )""",
)


class Database:
    """Opens a connection per use: SQLite files are cheap to open, and threads then share nothing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "mindcubes.db"
        self._is_ready = False

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit at the end, roll back on an exception. Raises StorageError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=5)) as connection:
                self._migrate(connection)
                with connection:
                    yield connection
        except (sqlite3.Error, OSError) as error:
            raise StorageError(str(self.path), str(error)) from error

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if self._is_ready:
            return
        connection.execute("PRAGMA journal_mode = WAL")
        with connection:
            connection.execute("BEGIN IMMEDIATE")       # two processes may start at once
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version > len(MIGRATIONS):
                raise sqlite3.DatabaseError(f"it was written by a newer version of MindCubes ({version})")
            for migration in MIGRATIONS[version:]:
                connection.execute(migration)
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        self._is_ready = True
