"""Vectors of the messages of chats, by which messages are found by their meaning. Triggers delete those of changed and deleted messages."""

from __future__ import annotations

from collections.abc import Sequence

from . import search_text
from .chat_rows import summary_of
from .database import Database
from .records import SearchHit

MAX_CHARS = 4000        # of a message: more than the window of an embedding model
OWN = "JOIN chats ON chats.id = messages.chat AND chats.owner = ? AND chats.deleted IS NULL AND messages.deleted IS NULL"


class ChatVectors:
    """Safe to use from many threads. Every method may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def missing(self, owner: str, embedder: str, limit: int) -> tuple[tuple[int, str], ...]:
        """The newest messages without a vector of this embedder: ids and beginnings of their texts."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"SELECT messages.id, substr(messages.text, 1, {MAX_CHARS}) FROM messages {OWN} "
                "LEFT JOIN chat_vectors ON chat_vectors.message = messages.id AND chat_vectors.embedder = ? "
                "WHERE chat_vectors.message IS NULL AND messages.state <> 'writing' AND trim(messages.text) <> '' "
                "ORDER BY messages.id DESC LIMIT ?", (owner, embedder, limit)).fetchall()
        return tuple((int(row[0]), str(row[1])) for row in rows)

    def add(self, embedder: str, vectors: Sequence[tuple[int, bytes]]) -> None:
        """`vectors`: ids of messages, each with its normalised vector as little-endian 32-bit numbers."""
        with self._database.transaction(is_writing=True) as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO chat_vectors (message, embedder, vector) SELECT id, ?, ? FROM messages WHERE id = ?",
                ((embedder, vector, message) for message, vector in vectors))

    def all(self, owner: str, embedder: str) -> tuple[list[int], bytes]:
        """The ids of the owner's messages that have a vector, and those vectors one after the other."""
        with self._database.transaction() as connection:
            rows = connection.execute(f"SELECT message, vector FROM chat_vectors JOIN messages ON messages.id = message {OWN} "
                                      "WHERE embedder = ? ORDER BY message", (owner, embedder)).fetchall()
        return [int(row[0]) for row in rows], b"".join(row[1] for row in rows)

    def hits(self, owner: str, messages: Sequence[int], query: str, limit: int) -> tuple[SearchHit, ...]:
        """The chats of these messages, each once, in the order of the messages."""
        found: dict[str, SearchHit] = {}
        with self._database.transaction() as connection:
            for message in messages:
                row = connection.execute(
                    f"SELECT chats.*, messages.text AS found FROM messages {OWN} WHERE messages.id = ?", (owner, message)).fetchone()
                if row is not None and row["id"] not in found:
                    found[row["id"]] = SearchHit(summary_of(row), message, search_text.snippet(row["found"], query))
                if len(found) == limit:
                    break
        return tuple(found.values())
