"""Saved system prompts, by owner and name."""

from __future__ import annotations

from .database import Database


class PresetStore:
    """Safe to use from many threads. Every method may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, owner: str) -> dict[str, str]:
        """Return the text of each preset by its name."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT name, text FROM presets WHERE owner = ? ORDER BY name", (owner,)).fetchall()
        return {row["name"]: row["text"] for row in rows}

    def save(self, owner: str, name: str, text: str) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("INSERT OR REPLACE INTO presets (owner, name, text) VALUES (?, ?, ?)", (owner, name, text))

    def delete(self, owner: str, name: str) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("DELETE FROM presets WHERE owner = ? AND name = ?", (owner, name))
