"""Which models are used beside the chat model, where the operator has chosen other ones on the page than in the settings."""

from __future__ import annotations

from .database import Database


class ModelChoices:
    """Safe to use from many threads. Every method may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, role: str) -> str | None:
        """The name of a model, or None where the settings decide."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT name FROM knowledge_models WHERE role = ?", (role,)).fetchone()
        return None if row is None else str(row["name"])

    def set(self, role: str, name: str | None) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("DELETE FROM knowledge_models WHERE role = ?", (role,))
            if name is not None:
                connection.execute("INSERT INTO knowledge_models (role, name) VALUES (?, ?)", (role, name))
