"""Stores collections of documents: their texts, pieces, words and vectors. Every read and write names the owner.

A piece is stored as its place in the document's text. Deleted rows are overwritten with zeros, and the full-text index is merged in
steps, so that it keeps no deleted words and other writers wait for one step at most: `delete` and `delete_documents` leave nothing of
the text in the file.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..errors import InvalidRequest
from . import search_text
from .database import Database
from .knowledge_records import (
    Collection,
    CollectionNotFound,
    Document,
    DocumentNotFound,
    DocumentState,
    KnowledgeUse,
    Piece,
    Place,
)
from .knowledge_sources import SourceKind
from .knowledge_words import WordIndex

MAX_NAME_CHARS = 120
COLLECTION = """SELECT id, name, (SELECT count(*) FROM knowledge_documents WHERE collection = c.id) AS num_documents,
    (SELECT count(*) FROM knowledge_pieces WHERE collection = c.id) AS num_pieces,
    (SELECT ifnull(sum(size_bytes), 0) FROM knowledge_documents WHERE collection = c.id) AS size_bytes,
    embedder, created, updated, chat FROM knowledge_collections AS c"""
DOCUMENT = """SELECT d.id, d.collection, d.name, d.digest, d.size_bytes, d.state, d.problem,
    (SELECT count(*) FROM knowledge_pieces WHERE document = d.id) AS num_pieces
    FROM knowledge_documents AS d JOIN knowledge_collections AS c ON c.id = d.collection"""


class KnowledgeStore:
    """Safe to use from many threads. Every method may raise StorageError; those about one collection or document also
    CollectionNotFound or DocumentNotFound, for those of another owner too.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._words = WordIndex(database)

    # --- collections ---

    def create(self, owner: str, name: str, chat: str = "", *, is_guest: bool = False) -> Collection:
        """`chat`: of a temporary collection, the chat with which it is deleted. `is_guest`: the owner has no account.

        Raises InvalidRequest for a name without a character.
        """
        collection_id, now = secrets.token_hex(8), time.time()
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("INSERT INTO knowledge_collections (id, owner, name, chat, created, updated, guest) "
                               "VALUES (?, ?, ?, ?, ?, ?, ?)", (collection_id, owner, checked_name(name), chat, now, now, is_guest))
            return _collection(connection, owner, collection_id)

    def list(self, owner: str, chat: str = "") -> tuple[Collection, ...]:
        """Those of the owner by name; of a chat, its temporary ones."""
        with self._database.transaction() as connection:
            rows = connection.execute(f"{COLLECTION} WHERE owner = ? AND chat = ? ORDER BY name COLLATE NOCASE, id", (owner, chat))
            return tuple(Collection(*row) for row in rows.fetchall())

    def get(self, owner: str, collection_id: str) -> Collection:
        with self._database.transaction() as connection:
            return _collection(connection, owner, collection_id)

    def rename(self, owner: str, collection_id: str, name: str) -> Collection:
        """Raises InvalidRequest for a name without a character."""
        with self._changing(owner, collection_id) as connection:
            connection.execute("UPDATE knowledge_collections SET name = ? WHERE id = ?", (checked_name(name), collection_id))
            return _collection(connection, owner, collection_id)

    def delete(self, owner: str, *collection_ids: str) -> None:
        """All at once: to delete many costs little more than to delete one."""
        if collection_ids:
            with self._erasing() as connection:
                for collection_id in collection_ids:
                    _collection(connection, owner, collection_id)
                _erase_collections(connection, collection_ids)

    def use(self, owner: str) -> KnowledgeUse:
        """What the owner's collections hold together, temporary ones too."""
        owned = "JOIN knowledge_collections AS c ON c.id = collection WHERE owner = ?"
        with self._database.transaction() as connection:
            collections = connection.execute("SELECT count(*) FROM knowledge_collections WHERE owner = ?", (owner,)).fetchone()[0]
            documents, size = connection.execute(f"SELECT count(*), ifnull(sum(size_bytes), 0) FROM knowledge_documents {owned}",
                                                 (owner,)).fetchone()
            pieces = connection.execute(f"SELECT count(*) FROM knowledge_pieces {owned}", (owner,)).fetchone()[0]
        return KnowledgeUse(collections, documents, pieces, size)

    # --- documents ---

    def add_document(self, owner: str, collection_id: str, name: str, digest: str,
                     source: tuple[SourceKind, str] | None = None) -> Document:
        """A document in the state "waiting". One that has this name keeps its pieces; with another digest it waits to be read again.

        `source`: where it is read from (knowledge_sources.py), replaced if it waits.
        """
        with self._changing(owner, collection_id) as connection:
            connection.execute(
                "INSERT INTO knowledge_documents (collection, name, digest, state) VALUES (?, ?, ?, 'waiting') "
                "ON CONFLICT (collection, name) DO UPDATE SET digest = excluded.digest, state = 'waiting', problem = '' "
                "WHERE digest <> excluded.digest OR state <> 'ready'", (collection_id, name, digest))
            row = connection.execute(f"{DOCUMENT} WHERE d.collection = ? AND d.name = ?", (collection_id, name)).fetchone()
            document = Document(*row)
            if source and document.state == "waiting":
                connection.execute("INSERT OR REPLACE INTO knowledge_sources (document, kind, location) VALUES (?, ?, ?)",
                                   (document.id, *source))
            return document

    def documents(self, owner: str, collection_id: str) -> tuple[Document, ...]:
        """By name."""
        with self._database.transaction() as connection:
            _collection(connection, owner, collection_id)
            rows = connection.execute(f"{DOCUMENT} WHERE d.collection = ? ORDER BY d.name COLLATE NOCASE, d.id", (collection_id,))
            return tuple(Document(*row) for row in rows.fetchall())

    def document(self, owner: str, document_id: int) -> Document:
        with self._database.transaction() as connection:
            return _document(connection, owner, document_id)

    def document_text(self, owner: str, document_id: int) -> str:
        """The text that the places of its pieces count in; "" before it was read."""
        with self._database.transaction() as connection:
            _document(connection, owner, document_id)
            return str(connection.execute("SELECT text FROM knowledge_documents WHERE id = ?", (document_id,)).fetchone()[0])

    def places(self, owner: str, document_id: int) -> tuple[Place, ...]:
        """Those of its pieces, in order."""
        with self._database.transaction() as connection:
            _document(connection, owner, document_id)
            rows = connection.execute("SELECT begin, end, page, heading, row FROM knowledge_pieces WHERE document = ? ORDER BY number",
                                      (document_id,))
            return tuple(Place(*row) for row in rows.fetchall())

    def set_state(self, owner: str, document_id: int, state: DocumentState, problem: str = "") -> None:
        with self._database.transaction(is_writing=True) as connection:
            _document(connection, owner, document_id)
            connection.execute("UPDATE knowledge_documents SET state = ?, problem = ? WHERE id = ?", (state, problem, document_id))

    def write_pieces(self, owner: str, document_id: int, text: str, places: Sequence[Place]) -> None:
        """Replace the text of a document and its pieces, whose vectors are then missing. Its words can be found at once.

        Words of an earlier version stay in the file until `compact`, which costs as much as all pieces.
        """
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            found = _document(connection, owner, document_id)
            _erase_pieces(connection, "document = ?", (document_id,))
            connection.execute("UPDATE knowledge_documents SET text = ?, size_bytes = ?, state = 'ready', problem = '' WHERE id = ?",
                               (text, len(text.encode("utf-8", "replace")), document_id))
            last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'knowledge_pieces'").fetchone()
            first = (last["seq"] if last else 0) + 1        # ids are never used twice
            connection.executemany(
                "INSERT INTO knowledge_pieces (id, collection, document, number, begin, end, page, heading, row) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                ((first + number, found.collection, document_id, number, place.begin, place.end, place.page, place.heading, place.row)
                 for number, place in enumerate(places)))
            connection.executemany(
                "INSERT INTO knowledge_words (rowid, collection, text) VALUES (?, ?, ?)",
                ((first + number, found.collection, search_text.words_of(f"{place.heading}\n{text[place.begin:place.end]}"))
                 for number, place in enumerate(places)))
            _changed(connection, found.collection)

    def delete_documents(self, owner: str, *document_ids: int) -> None:
        """All at once, as `delete`."""
        if document_ids:
            with self._erasing() as connection:
                for document_id in document_ids:
                    found = _document(connection, owner, document_id)
                    _erase_pieces(connection, "document = ?", (document_id,))
                    connection.execute("DELETE FROM knowledge_documents WHERE id = ?", (document_id,))
                    _changed(connection, found.collection)

    def compact(self) -> None:
        """As WordIndex.compact: after `write_pieces`, which leaves the words of earlier versions."""
        self._words.compact()

    # --- vectors ---

    def set_embedder(self, owner: str, collection_id: str, embedder: str) -> None:
        """Name the model whose vectors the collection gets, and drop those of every other one."""
        with self._changing(owner, collection_id) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("DELETE FROM knowledge_vectors WHERE collection = ? AND embedder <> ?", (collection_id, embedder))
            connection.execute("UPDATE knowledge_collections SET embedder = ? WHERE id = ?", (embedder, collection_id))

    def without_vectors(self, owner: str, collection_id: str, embedder: str, limit: int) -> tuple[Piece, ...]:
        """Pieces that have no vector of this embedder, in the order of their documents."""
        with self._database.transaction() as connection:
            _collection(connection, owner, collection_id)
            ids = [row[0] for row in connection.execute(
                "SELECT p.id FROM knowledge_pieces AS p LEFT JOIN knowledge_vectors AS v ON v.piece = p.id AND v.embedder = ? "
                "WHERE p.collection = ? AND v.piece IS NULL ORDER BY p.id LIMIT ?", (embedder, collection_id, limit))]
            return tuple(read_pieces(connection, ids).values())

    def count_without_vectors(self, owner: str, collection_id: str, embedder: str) -> int:
        with self._database.transaction() as connection:
            _collection(connection, owner, collection_id)
            return int(connection.execute(
                "SELECT count(*) FROM knowledge_pieces AS p LEFT JOIN knowledge_vectors AS v ON v.piece = p.id AND v.embedder = ? "
                "WHERE p.collection = ? AND v.piece IS NULL", (embedder, collection_id)).fetchone()[0])

    def add_vectors(self, owner: str, collection_id: str, embedder: str, vectors: Sequence[tuple[int, bytes]]) -> None:
        """`vectors`: ids of pieces, each with its normalised vector as little-endian 32-bit numbers.

        Left out are those of pieces that are gone or have a vector, and all if the collection has another embedder by now.
        """
        with self._database.transaction(is_writing=True) as connection:
            if _collection(connection, owner, collection_id).embedder == embedder:
                connection.executemany(
                    "INSERT OR IGNORE INTO knowledge_vectors (piece, collection, embedder, vector) "
                    "SELECT id, collection, ?, ? FROM knowledge_pieces WHERE id = ? AND collection = ?",
                    ((embedder, vector, piece, collection_id) for piece, vector in vectors))

    # --- transactions ---

    @contextmanager
    def _changing(self, owner: str, collection_id: str) -> Iterator[sqlite3.Connection]:
        with self._database.transaction(is_writing=True) as connection:
            _collection(connection, owner, collection_id)
            yield connection
            _changed(connection, collection_id)

    @contextmanager
    def _erasing(self) -> Iterator[sqlite3.Connection]:
        """A transaction whose deleted rows are overwritten with zeros in the file, and moved out of the write-ahead log."""
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            yield connection
        self.compact()


def checked_name(text: str) -> str:
    name = " ".join(text.split())[:MAX_NAME_CHARS].strip()
    if not name:
        raise InvalidRequest("name", text, "some text")
    return name


def read_pieces(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, Piece]:
    """The pieces with these ids, in their order; those that are gone are left out. The text of each document is read once."""
    rows: dict[int, sqlite3.Row] = {}
    for piece in ids:
        row = connection.execute("SELECT id, document, number, begin, end, page, heading, row FROM knowledge_pieces WHERE id = ?",
                                 (piece,)).fetchone()
        if row is not None:
            rows[piece] = row
    texts = {document: connection.execute("SELECT text FROM knowledge_documents WHERE id = ?", (document,)).fetchone()[0]
             for document in {row["document"] for row in rows.values()}}
    return {piece: Piece(row["id"], row["document"], row["number"], texts[row["document"]][row["begin"]:row["end"]],
                         Place(row["begin"], row["end"], row["page"], row["heading"], row["row"])) for piece, row in rows.items()}


def _collection(connection: sqlite3.Connection, owner: str, collection_id: str) -> Collection:
    row = connection.execute(f"{COLLECTION} WHERE id = ? AND owner = ?", (collection_id, owner)).fetchone()
    if row is None:
        raise CollectionNotFound(collection_id)
    return Collection(*row)


def _document(connection: sqlite3.Connection, owner: str, document_id: int) -> Document:
    row = connection.execute(f"{DOCUMENT} WHERE d.id = ? AND c.owner = ?", (document_id, owner)).fetchone()
    if row is None:
        raise DocumentNotFound(document_id)
    return Document(*row)


def _changed(connection: sqlite3.Connection, collection_id: str) -> None:
    """Count the change, after which a copy of the vectors in memory is read again."""
    connection.execute("UPDATE knowledge_collections SET version = version + 1, updated = ? WHERE id = ?", (time.time(), collection_id))


def _erase_collections(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    for collection_id in ids:
        _erase_pieces(connection, "collection = ?", (collection_id,))
        connection.execute("DELETE FROM knowledge_documents WHERE collection = ?", (collection_id,))
        connection.execute("DELETE FROM knowledge_collections WHERE id = ?", (collection_id,))


def _erase_pieces(connection: sqlite3.Connection, where: str, values: Sequence[object]) -> None:
    """Delete pieces with their words and vectors. The index keeps deleted words until it is merged."""
    pieces = f"SELECT id FROM knowledge_pieces WHERE {where}"
    connection.execute(f"DELETE FROM knowledge_words WHERE rowid IN ({pieces})", values)
    connection.execute(f"DELETE FROM knowledge_vectors WHERE piece IN ({pieces})", values)
    connection.execute(f"DELETE FROM knowledge_pieces WHERE {where}", values)
