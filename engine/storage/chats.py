"""Conversations in the database: every read and write names its owner, every change counts the chat's version up.

A change that was prepared on an older version is refused (StaleChat), so a page that was left open never overwrites
what another one wrote. Text of a reply being written is saved without counting: nobody edits that.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from ..errors import ChatNotFound, InvalidRequest, StaleChat
from ..messages import GenerationOptions
from . import search_text
from .alive import is_alive, this_process
from .database import Database
from .message_json import message_dict, message_of
from .records import Chat, ChatMessage, ChatSummary, SearchHit

MAX_TITLE_CHARS = 120
KEEP_DELETED_S = 24 * 3600      # how long an undo stays possible
SEARCHED_MESSAGES = 400         # the newest ones that match; a common word is in all of them
SUMMARY = "id, title, created, updated, is_pinned, version"


class ChatStore:
    """Safe to use from many threads. Every method may raise StorageError; those with a chat id also ChatNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- lists ---

    def list(self, owner: str, limit: int = 100, offset: int = 0) -> tuple[ChatSummary, ...]:
        """Pinned ones first, then by last change."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"SELECT {SUMMARY} FROM chats WHERE owner = ? AND deleted IS NULL ORDER BY is_pinned DESC, updated DESC "
                "LIMIT ? OFFSET ?", (owner, limit, offset)).fetchall()
        return tuple(_summary(row) for row in rows)

    def search(self, owner: str, query: str, limit: int = 50) -> tuple[SearchHit, ...]:
        """Chats whose title or any message contains all words of `query`, the last word as a beginning; newest first."""
        expression, wanted = search_text.query_of(query), search_text.split(query)
        if not wanted:
            return ()
        hits: dict[str, SearchHit] = {}
        columns = ", ".join(f"chats.{name}" for name in SUMMARY.split(", "))
        with self._database.transaction() as connection:
            for row in connection.execute(
                    f"SELECT {SUMMARY} FROM chats WHERE owner = ? AND deleted IS NULL {'AND instr(title_words, ?) ' * len(wanted)}"
                    "ORDER BY updated DESC LIMIT ?", (owner, *wanted, limit)):
                hits[row["id"]] = SearchHit(_summary(row), None, search_text.snippet(row["title"], query))
            for row in connection.execute(
                    f"SELECT {columns}, messages.id AS message, messages.text FROM "
                    "(SELECT rowid FROM chat_words WHERE chat_words MATCH ? ORDER BY rowid DESC LIMIT ?) AS found "
                    "JOIN messages ON messages.id = found.rowid AND messages.deleted IS NULL "
                    "JOIN chats ON chats.id = messages.chat AND chats.owner = ? AND chats.deleted IS NULL "
                    "ORDER BY messages.id DESC",
                    (f'owner : "{owner}" AND text : ({expression})', SEARCHED_MESSAGES, owner)):
                if row["id"] not in hits and len(hits) < limit:
                    hits[row["id"]] = SearchHit(_summary(row), row["message"], search_text.snippet(row["text"], query))
        return tuple(hits.values())

    # --- one chat ---

    def create(self, owner: str, title: str) -> Chat:
        chat_id, now, title = secrets.token_hex(8), time.time(), _title(title)
        with self._database.transaction(is_writing=True) as connection:
            connection.execute(
                "INSERT INTO chats (id, owner, title, title_words, created, updated) VALUES (?, ?, ?, ?, ?, ?)",
                (chat_id, owner, title, search_text.fold(title), now, now))
        return Chat(ChatSummary(chat_id, title, now, now))

    def get(self, owner: str, chat_id: str) -> Chat:
        with self._database.transaction() as connection:
            return _read(connection, _row(connection, owner, chat_id))

    def version(self, owner: str, chat_id: str) -> int:
        with self._database.transaction() as connection:
            return int(_row(connection, owner, chat_id)["version"])

    def add(self, owner: str, chat_id: str, version: int | None, messages: Sequence[ChatMessage]) -> Chat:
        """Append `messages` as a line below the first one's parent, and show that line. Raises StaleChat."""
        with self._changing(owner, chat_id, version) as connection:
            parent = messages[0].parent
            for message in messages:
                parent = self._insert(connection, owner, chat_id, replace(message, parent=parent))
            connection.execute("UPDATE chats SET head = ? WHERE id = ?", (parent, chat_id))
            last = messages[-1]
            if last.role == "assistant":
                connection.execute("UPDATE chats SET system_prompt = ?, options = ? WHERE id = ?",
                                   (last.system_prompt, _options_json(last.options), chat_id))
            return _read(connection, _row(connection, owner, chat_id))

    def _insert(self, connection: sqlite3.Connection, owner: str, chat_id: str, message: ChatMessage) -> int:
        is_writing = message.state == "writing"
        row = connection.execute(
            "INSERT INTO messages (chat, parent, role, text, state, writer, created, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (chat_id, message.parent, message.role, message.text, message.state, this_process() if is_writing else None,
             message.created or time.time(), _details(message)))
        message_id = int(row.lastrowid or 0)
        if not is_writing:
            _index(connection, owner, message_id, message.text)
        return message_id

    def save_reply(self, message: ChatMessage) -> None:
        """Write what a reply has become. When it has ended, it becomes searchable."""
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("UPDATE messages SET text = ?, state = ?, details = ? WHERE id = ?",
                               (message.text, message.state, _details(message), message.id))
            if message.state != "writing":
                owner = connection.execute("SELECT owner FROM chats JOIN messages ON messages.chat = chats.id WHERE messages.id = ?",
                                           (message.id,)).fetchone()
                if owner is not None:       # None: the chat was deleted for good meanwhile
                    _index(connection, owner["owner"], message.id, message.text)

    def reopen(self, owner: str, chat_id: str, version: int | None, message_id: int) -> Chat:
        """Mark an ended answer as being written again, to be continued. Raises StaleChat."""
        with self._changing(owner, chat_id, version) as connection:
            _message(connection, chat_id, message_id)
            connection.execute("UPDATE messages SET state = 'writing', writer = ? WHERE id = ?", (this_process(), message_id))
            return _read(connection, _row(connection, owner, chat_id))

    def select(self, owner: str, chat_id: str, version: int | None, message_id: int) -> Chat:
        """Show the line that goes through `message_id`, down to its newest end. Raises StaleChat."""
        with self._changing(owner, chat_id, version) as connection:
            _message(connection, chat_id, message_id)
            connection.execute("UPDATE chats SET head = ? WHERE id = ?", (_newest_end(_tree(connection, chat_id), message_id), chat_id))
            return _read(connection, _row(connection, owner, chat_id))

    def delete_message(self, owner: str, chat_id: str, version: int | None, message_id: int) -> Chat:
        """Take out a message and everything below it; another version comes in its place if there is one. Raises StaleChat."""
        with self._changing(owner, chat_id, version) as connection:
            _message(connection, chat_id, message_id)
            tree = _tree(connection, chat_id)
            gone, left = [message_id], [message_id]
            while left:
                parent = left.pop()
                below = [child for child, its in tree.items() if its == parent]
                gone, left = gone + below, left + below
            connection.executemany("UPDATE messages SET deleted = ? WHERE id = ?", [(time.time(), each) for each in gone])
            siblings = [other for other, its in tree.items() if its == tree[message_id] and other != message_id]
            head = _newest_end({m: p for m, p in tree.items() if m not in gone}, siblings[-1]) if siblings else tree[message_id]
            connection.execute("UPDATE chats SET head = ? WHERE id = ?", (head, chat_id))
            return _read(connection, _row(connection, owner, chat_id))

    def restore_message(self, owner: str, chat_id: str, version: int | None, message_id: int) -> Chat:
        """Undo `delete_message`, as long as nothing was added in its place. Raises StaleChat."""
        with self._changing(owner, chat_id, version) as connection:
            row = connection.execute("SELECT deleted FROM messages WHERE id = ? AND chat = ?", (message_id, chat_id)).fetchone()
            if row is None or row["deleted"] is None:
                raise InvalidRequest("message", message_id, "a message that was deleted")
            connection.execute("UPDATE messages SET deleted = NULL WHERE chat = ? AND deleted >= ? AND id >= ?",
                               (chat_id, row["deleted"], message_id))
            connection.execute("UPDATE chats SET head = ? WHERE id = ?", (_newest_end(_tree(connection, chat_id), message_id), chat_id))
            return _read(connection, _row(connection, owner, chat_id))

    # --- what is done to a chat as a whole; none of it can collide with another page's work ---

    def rename(self, owner: str, chat_id: str, title: str) -> None:
        title = _title(title)
        self._set(owner, chat_id, "title = ?, title_words = ?", title, search_text.fold(title))

    def pin(self, owner: str, chat_id: str, is_pinned: bool) -> None:
        self._set(owner, chat_id, "is_pinned = ?", is_pinned)

    def queue(self, owner: str, chat_id: str, text: str) -> None:
        """Keep a message for the end of the answer being written; an empty text takes it back."""
        self._set(owner, chat_id, "queued = ?", text)

    def take_queued(self, owner: str, chat_id: str) -> str:
        """The queued message, which is no longer queued: of all who ask, only one gets it."""
        with self._database.transaction(is_writing=True) as connection:
            queued = str(_row(connection, owner, chat_id)["queued"])
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
            _row(connection, owner, chat_id)
            connection.execute(f"UPDATE chats SET {assignment} WHERE id = ?", (*values, chat_id))

    def copy(self, owner: str, title: str, path: Sequence[ChatMessage]) -> Chat:
        """A new chat with this line of messages: a branch, an import, a copy of a shared one."""
        chat = self.create(owner, title)
        lines = [replace(message, parent=None, state="done" if message.state == "writing" else message.state) for message in path]
        return self.add(owner, chat.id, None, lines) if lines else chat

    # --- at the start of the process ---

    def recover(self) -> int:
        """Mark answers whose process has ended as interrupted, and forget what was deleted long ago; returns how many."""
        with self._database.transaction(is_writing=True) as connection:
            writing = connection.execute("SELECT messages.id, text, writer, owner FROM messages JOIN chats ON chats.id = chat "
                                         "WHERE state = 'writing'").fetchall()
            ended = [row for row in writing if row["writer"] == this_process() or not is_alive(row["writer"])]
            for row in ended:
                connection.execute("UPDATE messages SET state = 'interrupted' WHERE id = ?", (row["id"],))
                _index(connection, row["owner"], row["id"], row["text"])
            oldest = time.time() - KEEP_DELETED_S
            connection.execute("DELETE FROM chat_words WHERE rowid IN (SELECT messages.id FROM messages JOIN chats ON chats.id = chat "
                               "WHERE messages.deleted < ? OR chats.deleted < ?)", (oldest, oldest))
            connection.execute("DELETE FROM messages WHERE deleted < ? OR chat IN (SELECT id FROM chats WHERE deleted < ?)",
                               (oldest, oldest))
            connection.execute("DELETE FROM chats WHERE deleted < ?", (oldest,))
        return len(ended)

    @contextmanager
    def _changing(self, owner: str, chat_id: str, version: int | None) -> Iterator[sqlite3.Connection]:
        """A transaction that counts the chat's version up. None: whatever the version is."""
        with self._database.transaction(is_writing=True) as connection:
            row = _row(connection, owner, chat_id)
            if version is not None and row["version"] != version:
                raise StaleChat()
            connection.execute("UPDATE chats SET version = version + 1, updated = ? WHERE id = ?", (time.time(), chat_id))
            yield connection


def _row(connection: sqlite3.Connection, owner: str, chat_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM chats WHERE id = ? AND owner = ? AND deleted IS NULL", (chat_id, owner)).fetchone()
    if row is None:
        raise ChatNotFound(chat_id)
    return row


def _message(connection: sqlite3.Connection, chat_id: str, message_id: int) -> None:
    if connection.execute("SELECT 1 FROM messages WHERE id = ? AND chat = ? AND deleted IS NULL", (message_id, chat_id)).fetchone() is None:
        raise InvalidRequest("message", message_id, "a message of this chat")


def _tree(connection: sqlite3.Connection, chat_id: str) -> dict[int, int | None]:
    """message: its parent, oldest first."""
    rows = connection.execute("SELECT id, parent FROM messages WHERE chat = ? AND deleted IS NULL ORDER BY id", (chat_id,))
    return {row["id"]: row["parent"] for row in rows}


def _newest_end(tree: dict[int, int | None], message_id: int) -> int:
    newest_child = {parent: child for child, parent in tree.items()}
    while message_id in newest_child:
        message_id = newest_child[message_id]
    return message_id


def _read(connection: sqlite3.Connection, row: sqlite3.Row) -> Chat:
    row = connection.execute("SELECT * FROM chats WHERE id = ?", (row["id"],)).fetchone()
    tree = _tree(connection, row["id"])
    versions: dict[int | None, list[int]] = {}
    for message_id, parent in tree.items():
        versions.setdefault(parent, []).append(message_id)
    line, at = [], row["head"]
    while at is not None:
        line.append(at)
        at = tree.get(at)
    path = []
    for message_id in reversed(line):
        found = connection.execute("SELECT * FROM messages WHERE id = ?", (message_id,)).fetchone()
        values = {**json.loads(found["details"]), **{name: found[name] for name in ("id", "parent", "role", "text", "state", "created")}}
        path.append(replace(message_of(values), versions=tuple(versions[found["parent"]])))
    return Chat(_summary(row), tuple(path), row["system_prompt"], _options_of(row["options"]), row["queued"])


def _index(connection: sqlite3.Connection, owner: str, message_id: int, text: str) -> None:
    connection.execute("DELETE FROM chat_words WHERE rowid = ?", (message_id,))
    connection.execute("INSERT INTO chat_words (rowid, owner, text) VALUES (?, ?, ?)", (message_id, owner, search_text.words_of(text)))


def _summary(row: sqlite3.Row) -> ChatSummary:
    return ChatSummary(row["id"], row["title"], row["created"], row["updated"], bool(row["is_pinned"]), row["version"])


def _title(text: str) -> str:
    title = " ".join(text.split())[:MAX_TITLE_CHARS].strip()
    if not title:
        raise InvalidRequest("title", text, "some text")
    return title



def _options_json(options: GenerationOptions | None) -> str:
    return json.dumps(asdict(options)) if options else ""


def _options_of(text: str) -> GenerationOptions | None:
    return GenerationOptions(**json.loads(text)) if text else None


def _details(message: ChatMessage) -> str:
    """Everything of a message that has no column of its own."""
    values = message_dict(message)
    for name in ("id", "parent", "role", "text", "state", "created"):
        values.pop(name, None)
    return json.dumps(values, ensure_ascii=False)
