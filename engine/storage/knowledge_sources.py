"""Where documents that wait to be read come from, and which folders belong to a collection. Rows go with their document or collection."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from .chats import KEEP_DELETED_S
from .database import Database

# A file that was uploaded (its name in the folder of uploads); a file of a folder (its path); rows of a data set (JSON).
SourceKind = Literal["upload", "file", "rows"]


@dataclass(frozen=True, slots=True)
class Source:
    """`document`: its id. `location`: depends on the kind."""

    document: int
    kind: SourceKind
    location: str


class KnowledgeSources:
    """Safe to use from many threads. Every method may raise StorageError. Callers have checked whose the documents are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, document: int) -> Source | None:
        with self._database.transaction() as connection:
            row = connection.execute("SELECT document, kind, location FROM knowledge_sources WHERE document = ?", (document,)).fetchone()
        return Source(*row) if row else None

    def of_collection(self, collection: str) -> tuple[Source, ...]:
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT s.document, s.kind, s.location FROM knowledge_sources AS s "
                                      "JOIN knowledge_documents AS d ON d.id = s.document WHERE d.collection = ?", (collection,)).fetchall()
        return tuple(Source(*row) for row in rows)

    def uploads(self) -> tuple[tuple[str, Source], ...]:
        """The files of everybody that are still needed, each with its collection."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT d.collection, s.document, s.kind, s.location FROM knowledge_sources AS s "
                                      "JOIN knowledge_documents AS d ON d.id = s.document WHERE s.kind = 'upload'").fetchall()
        return tuple((str(row[0]), Source(row[1], row[2], row[3])) for row in rows)

    def forget(self, source: Source) -> None:
        """Unless the document has another one by now."""
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("DELETE FROM knowledge_sources WHERE document = ? AND location = ?", (source.document, source.location))

    def add_folder(self, collection: str, path: str) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("INSERT OR IGNORE INTO knowledge_folders (collection, path) VALUES (?, ?)", (collection, path))

    def folders(self, collection: str) -> tuple[str, ...]:
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT path FROM knowledge_folders WHERE collection = ? ORDER BY rowid", (collection,))
            return tuple(str(row[0]) for row in rows)

    # --- of all owners, to tidy up ---

    def orphans(self) -> tuple[tuple[str, str], ...]:
        """Owners and ids of temporary collections whose chats are gone, or were deleted so long ago that nobody can restore them."""
        with self._database.transaction() as connection:
            return tuple((str(row[0]), str(row[1])) for row in connection.execute(
                "SELECT owner, id FROM knowledge_collections WHERE chat <> '' "
                "AND chat NOT IN (SELECT id FROM chats WHERE deleted IS NULL OR deleted >= ?)", (time.time() - KEEP_DELETED_S,)).fetchall())

    def unused(self, since: float) -> tuple[tuple[str, str], ...]:
        """Owners and ids of collections of people without an account that were neither changed nor searched since then."""
        with self._database.transaction() as connection:
            return tuple((str(row[0]), str(row[1])) for row in connection.execute(
                "SELECT owner, id FROM knowledge_collections WHERE guest AND updated < ? AND searched < ?", (since, since)).fetchall())

    def total_bytes(self) -> int:
        """Of the texts of everybody's collections."""
        with self._database.transaction() as connection:
            return int(connection.execute("SELECT ifnull(sum(size_bytes), 0) FROM knowledge_documents").fetchone()[0])
