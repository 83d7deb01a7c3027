"""Where documents that wait to be read come from, and which folders belong to a collection. Rows go with their document or collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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

    def uploads(self) -> frozenset[str]:
        """The files that are still needed."""
        with self._database.transaction() as connection:
            return frozenset(row[0] for row in connection.execute("SELECT location FROM knowledge_sources WHERE kind = 'upload'"))

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
        """Owners and ids of temporary collections whose chats are gone."""
        with self._database.transaction() as connection:
            return tuple((str(row[0]), str(row[1])) for row in connection.execute(
                "SELECT owner, id FROM knowledge_collections WHERE chat <> '' AND chat NOT IN (SELECT id FROM chats)").fetchall())

    def sizes(self) -> tuple[tuple[str, str, int], ...]:
        """Owner, id and bytes of text of everybody's collections, the last changed first."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT c.owner, c.id, ifnull(sum(d.size_bytes), 0) FROM knowledge_collections AS c "
                                      "LEFT JOIN knowledge_documents AS d ON d.collection = c.id GROUP BY c.id ORDER BY c.updated DESC")
            return tuple((str(row[0]), str(row[1]), int(row[2])) for row in rows.fetchall())
