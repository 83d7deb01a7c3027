"""Stores chats in the database: every read and write names the owner, and every change increases the chat's version.

A change based on an older version is refused (StaleChat), so that a page that was left open never overwrites the changes of
another one. The text of a reply in progress is saved without a new version, since no page edits it.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..errors import ChatNotFound, InvalidRequest, StaleChat
from . import search_text
from .alive import is_alive, this_process
from .chat_rows import (
    checked_title,
    details_of,
    index_text,
    newest_end,
    options_json,
    read_chat,
    require_message,
    row_of,
    summary_of,
    tree_of,
)
from .database import Database
from .records import Chat, ChatMessage, ChatSummary, SearchHit

KEEP_DELETED_S = 24 * 3600      # how long a deletion can be undone
SEARCHED_MESSAGES = 400         # the newest matches only, since a common word is in every message
SUMMARY = "id, title, created, updated, is_pinned, version"


class ChatStore:
    """Safe to use from many threads. Every method may raise StorageError; those with a chat id also ChatNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- lists ---

    def list(self, owner: str, limit: int = 100, offset: int = 0) -> tuple[ChatSummary, ...]:
        """Pinned chats first, then the most recently changed."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"SELECT {SUMMARY} FROM chats WHERE owner = ? AND deleted IS NULL ORDER BY is_pinned DESC, updated DESC "
                "LIMIT ? OFFSET ?", (owner, limit, offset)).fetchall()
        return tuple(summary_of(row) for row in rows)

    def search(self, owner: str, query: str, limit: int = 50) -> tuple[SearchHit, ...]:
        """Chats whose title or one of whose messages contains all words of `query`, the last one as a prefix; newest first."""
        expression, wanted = search_text.query_of(query), search_text.split(query)
        if not wanted:
            return ()
        hits: dict[str, SearchHit] = {}
        columns = ", ".join(f"chats.{name}" for name in SUMMARY.split(", "))
        with self._database.transaction() as connection:
            for row in connection.execute(
                    f"SELECT {SUMMARY} FROM chats WHERE owner = ? AND deleted IS NULL {'AND instr(title_words, ?) ' * len(wanted)}"
                    "ORDER BY updated DESC LIMIT ?", (owner, *wanted, limit)):
                hits[row["id"]] = SearchHit(summary_of(row), None, search_text.snippet(row["title"], query))
            for row in connection.execute(
                    f"SELECT {columns}, messages.id AS message, messages.text FROM "
                    "(SELECT rowid FROM chat_words WHERE chat_words MATCH ? ORDER BY rowid DESC LIMIT ?) AS found "
                    "JOIN messages ON messages.id = found.rowid AND messages.deleted IS NULL "
                    "JOIN chats ON chats.id = messages.chat AND chats.owner = ? AND chats.deleted IS NULL "
                    "ORDER BY messages.id DESC",
                    (f'owner : "{owner}" AND text : ({expression})', SEARCHED_MESSAGES, owner)):
                if row["id"] not in hits and len(hits) < limit:
                    hits[row["id"]] = SearchHit(summary_of(row), row["message"], search_text.snippet(row["text"], query))
        return tuple(hits.values())

    # --- one chat ---

    def create(self, owner: str, title: str) -> Chat:
        chat_id, now, title = secrets.token_hex(8), time.time(), checked_title(title)
        with self._database.transaction(is_writing=True) as connection:
            connection.execute(
                "INSERT INTO chats (id, owner, title, title_words, created, updated) VALUES (?, ?, ?, ?, ?, ?)",
                (chat_id, owner, title, search_text.fold(title), now, now))
        return Chat(ChatSummary(chat_id, title, now, now))

    def get(self, owner: str, chat_id: str) -> Chat:
        with self._database.transaction() as connection:
            return read_chat(connection, row_of(connection, owner, chat_id))

    def version(self, owner: str, chat_id: str) -> int:
        with self._database.transaction() as connection:
            return int(row_of(connection, owner, chat_id)["version"])

    def add(self, owner: str, chat_id: str, version: int | None, messages: Sequence[ChatMessage], *, keep_settings: bool = False) -> Chat:
        """Append `messages` as a branch below the parent of the first, and show that branch. Raises StaleChat.

        A reply's system prompt and options become the chat's own. With `keep_settings` they do not, as for the second of two replies
        side by side.
        """
        with self._changing(owner, chat_id, version) as connection:
            parent = messages[0].parent
            for message in messages:
                parent = self._insert(connection, owner, chat_id, replace(message, parent=parent))
            connection.execute("UPDATE chats SET head = ? WHERE id = ?", (parent, chat_id))
            last = messages[-1]
            if last.role == "assistant" and not keep_settings:
                connection.execute("UPDATE chats SET system_prompt = ?, options = ? WHERE id = ?",
                                   (last.system_prompt, options_json(last.options), chat_id))
            return read_chat(connection, row_of(connection, owner, chat_id))

    def _insert(self, connection: sqlite3.Connection, owner: str, chat_id: str, message: ChatMessage) -> int:
        is_writing = message.state == "writing"
        row = connection.execute(
            "INSERT INTO messages (chat, parent, role, text, state, writer, created, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (chat_id, message.parent, message.role, message.text, message.state, this_process() if is_writing else None,
             message.created or time.time(), details_of(message)))
        message_id = int(row.lastrowid or 0)
        if not is_writing:
            index_text(connection, owner, message_id, message.text)
        return message_id

    def save_reply(self, message: ChatMessage) -> None:
        """Save the current text and state of a reply. A finished reply becomes searchable."""
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("UPDATE messages SET text = ?, state = ?, details = ? WHERE id = ?",
                               (message.text, message.state, details_of(message), message.id))
            if message.state != "writing":
                owner = connection.execute("SELECT owner FROM chats JOIN messages ON messages.chat = chats.id WHERE messages.id = ?",
                                           (message.id,)).fetchone()
                if owner is not None:       # None: the chat was permanently deleted in the meantime
                    index_text(connection, owner["owner"], message.id, message.text)

    def reopen(self, owner: str, chat_id: str, version: int | None, message_id: int) -> Chat:
        """Mark a finished reply as in progress again, to continue it. Raises StaleChat."""
        with self._changing(owner, chat_id, version) as connection:
            require_message(connection, chat_id, message_id)
            connection.execute("UPDATE messages SET state = 'writing', writer = ? WHERE id = ?", (this_process(), message_id))
            return read_chat(connection, row_of(connection, owner, chat_id))

    def select(self, owner: str, chat_id: str, version: int | None, message_id: int) -> Chat:
        """Show the branch through `message_id`, down to its newest last message. Raises StaleChat."""
        with self._changing(owner, chat_id, version) as connection:
            require_message(connection, chat_id, message_id)
            connection.execute("UPDATE chats SET head = ? WHERE id = ?", (newest_end(tree_of(connection, chat_id), message_id), chat_id))
            return read_chat(connection, row_of(connection, owner, chat_id))

    def delete_message(self, owner: str, chat_id: str, version: int | None, message_id: int) -> Chat:
        """Delete a message and everything below it; another version is shown in its place if there is one. Raises StaleChat."""
        with self._changing(owner, chat_id, version) as connection:
            require_message(connection, chat_id, message_id)
            tree = tree_of(connection, chat_id)
            gone, left = [message_id], [message_id]
            while left:
                parent = left.pop()
                below = [child for child, its in tree.items() if its == parent]
                gone, left = gone + below, left + below
            connection.executemany("UPDATE messages SET deleted = ? WHERE id = ?", [(time.time(), each) for each in gone])
            siblings = [other for other, its in tree.items() if its == tree[message_id] and other != message_id]
            head = newest_end({m: p for m, p in tree.items() if m not in gone}, siblings[-1]) if siblings else tree[message_id]
            connection.execute("UPDATE chats SET head = ? WHERE id = ?", (head, chat_id))
            return read_chat(connection, row_of(connection, owner, chat_id))

    def restore_message(self, owner: str, chat_id: str, version: int | None, message_id: int) -> Chat:
        """Undo `delete_message`, as long as nothing was added in its place. Raises StaleChat."""
        with self._changing(owner, chat_id, version) as connection:
            row = connection.execute("SELECT deleted FROM messages WHERE id = ? AND chat = ?", (message_id, chat_id)).fetchone()
            if row is None or row["deleted"] is None:
                raise InvalidRequest("message", message_id, "a message that was deleted")
            connection.execute("UPDATE messages SET deleted = NULL WHERE chat = ? AND deleted >= ? AND id >= ?",
                               (chat_id, row["deleted"], message_id))
            connection.execute("UPDATE chats SET head = ? WHERE id = ?", (newest_end(tree_of(connection, chat_id), message_id), chat_id))
            return read_chat(connection, row_of(connection, owner, chat_id))

    # --- the whole chat: these changes cannot conflict with those of another page ---

    def rename(self, owner: str, chat_id: str, title: str) -> None:
        title = checked_title(title)
        self._set(owner, chat_id, "title = ?, title_words = ?", title, search_text.fold(title))

    def pin(self, owner: str, chat_id: str, is_pinned: bool) -> None:
        self._set(owner, chat_id, "is_pinned = ?", is_pinned)

    def queue(self, owner: str, chat_id: str, text: str) -> None:
        """Store the message to be sent after the reply in progress; an empty text removes it."""
        self._set(owner, chat_id, "queued = ?", text)

    def take_queued(self, owner: str, chat_id: str) -> str:
        """Remove and return the queued message. Only one of several callers gets it."""
        with self._database.transaction(is_writing=True) as connection:
            queued = str(row_of(connection, owner, chat_id)["queued"])
            connection.execute("UPDATE chats SET queued = '' WHERE id = ?", (chat_id,))
        return queued

    def delete(self, owner: str, chat_id: str) -> None:
        self._set(owner, chat_id, "deleted = ?", time.time())

    def restore(self, owner: str, chat_id: str) -> None:
        """Undo `delete`."""
        with self._database.transaction(is_writing=True) as connection:
            changed = connection.execute("UPDATE chats SET deleted = NULL WHERE id = ? AND owner = ?", (chat_id, owner)).rowcount
        if not changed:
            raise ChatNotFound(chat_id)

    def _set(self, owner: str, chat_id: str, assignment: str, *values: Any) -> None:
        with self._database.transaction(is_writing=True) as connection:
            row_of(connection, owner, chat_id)
            connection.execute(f"UPDATE chats SET {assignment} WHERE id = ?", (*values, chat_id))

    def copy(self, owner: str, title: str, path: Sequence[ChatMessage]) -> Chat:
        """A new chat with these messages: a branch, an import, a copy of a shared chat."""
        chat = self.create(owner, title)
        lines = [replace(message, parent=None, state="done" if message.state == "writing" else message.state,
                         steps=tuple(step.ended() for step in message.steps)) for message in path]
        return self.add(owner, chat.id, None, lines) if lines else chat

    # --- at the start of the process ---

    def recover(self) -> int:
        """Mark replies whose process has ended as interrupted, and purge old deletions. Returns the number of those replies."""
        with self._database.transaction(is_writing=True) as connection:
            writing = connection.execute("SELECT messages.id, text, writer, owner FROM messages JOIN chats ON chats.id = chat "
                                         "WHERE state = 'writing'").fetchall()
            ended = [row for row in writing if row["writer"] == this_process() or not is_alive(row["writer"])]
            for row in ended:
                connection.execute("UPDATE messages SET state = 'interrupted' WHERE id = ?", (row["id"],))
                index_text(connection, row["owner"], row["id"], row["text"])
            oldest = time.time() - KEEP_DELETED_S
            connection.execute("DELETE FROM chat_words WHERE rowid IN (SELECT messages.id FROM messages JOIN chats ON chats.id = chat "
                               "WHERE messages.deleted < ? OR chats.deleted < ?)", (oldest, oldest))
            connection.execute("DELETE FROM messages WHERE deleted < ? OR chat IN (SELECT id FROM chats WHERE deleted < ?)",
                               (oldest, oldest))
            connection.execute("DELETE FROM trusted_tools WHERE chat IN (SELECT id FROM chats WHERE deleted < ?)", (oldest,))
            connection.execute("DELETE FROM chats WHERE deleted < ?", (oldest,))
        return len(ended)

    @contextmanager
    def _changing(self, owner: str, chat_id: str, version: int | None) -> Iterator[sqlite3.Connection]:
        """A transaction that increases the chat's version. `version` None: any."""
        with self._database.transaction(is_writing=True) as connection:
            row = row_of(connection, owner, chat_id)
            if version is not None and row["version"] != version:
                raise StaleChat()
            connection.execute("UPDATE chats SET version = version + 1, updated = ? WHERE id = ?", (time.time(), chat_id))
            yield connection
