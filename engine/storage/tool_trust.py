"""Which tools a person approved for the rest of a chat."""

from __future__ import annotations

from .database import Database


class ToolTrust:
    """Safe to use from many threads. A tool is named by `BoundTool.key`. Every method may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def trust(self, owner: str, message_id: int, tool: str) -> None:
        """Trust a tool in the chat of this message, if it is the owner's."""
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("INSERT OR IGNORE INTO trusted_tools (chat, tool) SELECT chats.id, ? FROM chats JOIN messages "
                               "ON messages.chat = chats.id WHERE messages.id = ? AND chats.owner = ?", (tool, message_id, owner))

    def is_trusted(self, owner: str, message_id: int, tool: str) -> bool:
        with self._database.transaction() as connection:
            return connection.execute("SELECT 1 FROM trusted_tools JOIN messages ON messages.chat = trusted_tools.chat JOIN chats "
                                      "ON chats.id = messages.chat WHERE messages.id = ? AND chats.owner = ? AND tool = ?",
                                      (message_id, owner, tool)).fetchone() is not None
