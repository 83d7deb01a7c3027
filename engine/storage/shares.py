"""Share links: read-only copies of chats."""

from __future__ import annotations

import json
import secrets
import time

from ..errors import ShareNotFound
from .database import Database
from .message_json import message_dict, message_of
from .records import Chat, Share


class ShareStore:
    """Safe to use from many threads. Every method may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, owner: str, chat: Chat) -> Share:
        """Copy the messages that the chat shows now. Anyone with the token can read the copy."""
        path = tuple(message.for_others() for message in chat.path)
        share = Share(secrets.token_urlsafe(18), chat.id, chat.summary.title, time.time(), path)
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("INSERT INTO shares (token, chat, owner, title, created, content) VALUES (?, ?, ?, ?, ?, ?)",
                               (share.token, chat.id, owner, share.title, share.created,
                                json.dumps([message_dict(message) for message in share.path])))
        return share

    def of_chat(self, owner: str, chat_id: str) -> tuple[Share, ...]:
        """The links to copies of this chat, newest first, without their content."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT * FROM shares WHERE owner = ? AND chat = ? ORDER BY created DESC",
                                      (owner, chat_id)).fetchall()
        return tuple(Share(row["token"], row["chat"], row["title"], row["created"]) for row in rows)

    def get(self, token: str) -> Share:
        """Return the shared copy. Raises ShareNotFound, also for a link that was revoked."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT * FROM shares WHERE token = ?", (token,)).fetchone()
        if row is None:
            raise ShareNotFound()
        return Share(row["token"], row["chat"], row["title"], row["created"],
                     tuple(message_of(values) for values in json.loads(row["content"])))

    def revoke(self, owner: str, token: str) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("DELETE FROM shares WHERE token = ? AND owner = ?", (token, owner))
