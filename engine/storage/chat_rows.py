"""Converts rows of chats and messages to values, and builds the tree of a chat's messages."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, replace

from ..errors import ChatNotFound, InvalidRequest
from ..messages import GenerationOptions
from . import search_text
from .message_json import message_dict, message_of
from .records import Chat, ChatMessage, ChatSummary

MAX_TITLE_CHARS = 120


def row_of(connection: sqlite3.Connection, owner: str, chat_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM chats WHERE id = ? AND owner = ? AND deleted IS NULL", (chat_id, owner)).fetchone()
    if row is None:
        raise ChatNotFound(chat_id)
    return row


def require_message(connection: sqlite3.Connection, chat_id: str, message_id: int) -> None:
    if connection.execute("SELECT 1 FROM messages WHERE id = ? AND chat = ? AND deleted IS NULL", (message_id, chat_id)).fetchone() is None:
        raise InvalidRequest("message", message_id, "a message of this chat")


def tree_of(connection: sqlite3.Connection, chat_id: str) -> dict[int, int | None]:
    """The parent of each message, oldest message first."""
    rows = connection.execute("SELECT id, parent FROM messages WHERE chat = ? AND deleted IS NULL ORDER BY id", (chat_id,))
    return {row["id"]: row["parent"] for row in rows}


def newest_end(tree: dict[int, int | None], message_id: int) -> int:
    newest_child = {parent: child for child, parent in tree.items()}
    while message_id in newest_child:
        message_id = newest_child[message_id]
    return message_id


def read_chat(connection: sqlite3.Connection, row: sqlite3.Row) -> Chat:
    row = connection.execute("SELECT * FROM chats WHERE id = ?", (row["id"],)).fetchone()
    tree = tree_of(connection, row["id"])
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
    return Chat(summary_of(row), tuple(path), row["system_prompt"], options_of(row["options"]), row["queued"])


def index_text(connection: sqlite3.Connection, owner: str, message_id: int, text: str) -> None:
    connection.execute("DELETE FROM chat_words WHERE rowid = ?", (message_id,))
    connection.execute("INSERT INTO chat_words (rowid, owner, text) VALUES (?, ?, ?)", (message_id, owner, search_text.words_of(text)))


def summary_of(row: sqlite3.Row) -> ChatSummary:
    return ChatSummary(row["id"], row["title"], row["created"], row["updated"], bool(row["is_pinned"]), row["version"])


def checked_title(text: str) -> str:
    title = " ".join(text.split())[:MAX_TITLE_CHARS].strip()
    if not title:
        raise InvalidRequest("title", text, "some text")
    return title


def options_json(options: GenerationOptions | None) -> str:
    return json.dumps(asdict(options)) if options else ""


def options_of(text: str) -> GenerationOptions | None:
    return GenerationOptions(**json.loads(text)) if text else None


def details_of(message: ChatMessage) -> str:
    """The fields of a message without a column of their own, as JSON."""
    values = message_dict(message)
    for name in ("id", "parent", "role", "text", "state", "created"):
        values.pop(name, None)
    return json.dumps(values, ensure_ascii=False)
