"""Reads what a search needs of stored collections. Every read names the owner."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from . import search_text
from .database import Database
from .knowledge import read_pieces
from .knowledge_records import CollectionNotFound, Piece

DAY_S = 86_400.0
COMMON_SHARE, FEW_PIECES = 0.1, 1000        # a word in more than a tenth of all pieces, and more than these, tells nothing


@dataclass(frozen=True, slots=True)
class Searched:
    """A collection that is searched. `version` changes when a vector was deleted or replaced. `searched`: when it was, to a day."""

    id: str
    name: str
    embedder: str
    version: int
    searched: float
    num_pieces: int
    num_vectors: int


@dataclass(frozen=True, slots=True)
class FoundPiece:
    """`document` and `collection`: their names."""

    piece: Piece
    document: str
    collection: str


class KnowledgeSearch:
    """Safe to use from many threads. Every method may raise StorageError; those about collections CollectionNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collections(self, owner: str, ids: Sequence[str]) -> tuple[Searched, ...]:
        with self._database.transaction() as connection:
            found = []
            for collection_id in dict.fromkeys(ids):
                row = connection.execute(
                    "SELECT id, name, embedder, version, searched, (SELECT count(*) FROM knowledge_pieces WHERE collection = c.id), "
                    "(SELECT count(*) FROM knowledge_vectors AS v WHERE v.collection = c.id AND v.embedder = c.embedder) "
                    "FROM knowledge_collections AS c WHERE id = ? AND owner = ?", (collection_id, owner)).fetchone()
                if row is None:
                    raise CollectionNotFound(collection_id)
                found.append(Searched(*row))
        return tuple(found)

    def note_search(self, collections: Sequence[Searched]) -> None:
        """Remember that these are used, at most once a day: a search else writes nothing."""
        now = time.time()
        if old := [each.id for each in collections if each.searched < now - DAY_S]:
            with self._database.transaction(is_writing=True) as connection:
                connection.executemany("UPDATE knowledge_collections SET searched = ? WHERE id = ?", ((now, each) for each in old))

    def by_words(self, collections: Sequence[Searched], words: Sequence[str], limit: int) -> tuple[int, ...]:
        """Ids of pieces that have any of a question's words (search_text.question_words), the best first by BM25.

        Words that are in a large share of all pieces are left out: they tell nothing, and take a tenth of a second with 100,000 pieces.
        """
        if not words or not collections:
            return ()
        within = " OR ".join(f'"{each.id}"' for each in collections)
        with self._database.transaction() as connection:
            expression = search_text.any_of(_telling(connection, words))
            rows = connection.execute("SELECT rowid FROM knowledge_words WHERE knowledge_words MATCH ? "
                                      "ORDER BY bm25(knowledge_words, 0.0, 1.0), rowid LIMIT ?",
                                      (f"collection : ({within}) AND text : ({expression})", limit))
            return tuple(row[0] for row in rows.fetchall())

    def vectors(self, collection: Searched, embedder: str, after: int) -> tuple[int, list[int], bytes]:
        """The vectors that were added after the row `after`: the last row, ids of the pieces, and the vectors one after the other."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT id, piece, vector FROM knowledge_vectors WHERE collection = ? AND embedder = ? AND id > ? "
                                      "ORDER BY id", (collection.id, embedder, after)).fetchall()
        return rows[-1]["id"] if rows else after, [row["piece"] for row in rows], b"".join(row["vector"] for row in rows)

    def pieces(self, owner: str, ids: Sequence[int]) -> dict[int, FoundPiece]:
        """By id; those that are gone, or of another owner, are left out."""
        with self._database.transaction() as connection:
            names = {}
            for piece in ids:
                row = connection.execute(
                    "SELECT d.name AS document, c.name AS collection FROM knowledge_pieces AS p JOIN knowledge_documents AS d "
                    "ON d.id = p.document JOIN knowledge_collections AS c ON c.id = p.collection WHERE p.id = ? AND c.owner = ?",
                    (piece, owner)).fetchone()
                if row is not None:
                    names[piece] = row
            return {piece: FoundPiece(found, names[piece]["document"], names[piece]["collection"])
                    for piece, found in read_pieces(connection, list(names)).items()}


def _telling(connection: sqlite3.Connection, words: Sequence[str]) -> Sequence[str]:
    """The words without those that are in too many pieces; the rarest, if all are."""
    connection.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab (main, knowledge_words, 'col')")
    counts = {}
    for word in words:
        row = connection.execute("SELECT doc FROM temp.vocabulary WHERE term = ? AND col = 'text'", (word,)).fetchone()
        counts[word] = row["doc"] if row else 0
    total = connection.execute("SELECT ifnull(max(rowid), 0) FROM knowledge_words").fetchone()[0]       # about
    most = max(FEW_PIECES, COMMON_SHARE * total)
    return [word for word in words if counts[word] <= most] or [min(words, key=lambda word: counts[word])]
