"""Connections to other servers, by name."""

from __future__ import annotations

from dataclasses import dataclass

from .database import Database


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """`key`: empty unless it is to be kept."""

    name: str
    address: str
    model: str
    key: str


class ConnectionStore:
    """Safe to use from many threads. Every method may raise StorageError. With a key in it, only this user can read the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[ConnectionRow, ...]:
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT name, address, model, key FROM connections ORDER BY name").fetchall()
        return tuple(ConnectionRow(*row) for row in rows)

    def save(self, row: ConnectionRow) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("INSERT OR REPLACE INTO connections (name, address, model, key) VALUES (?, ?, ?, ?)",
                               (row.name, row.address, row.model, row.key))
        if row.key:
            self._database.path.chmod(0o600)

    def delete(self, name: str) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("DELETE FROM connections WHERE name = ?", (name,))
