"""How much each visitor used on each day, the limits that the operator set, and the accounts of those who sign in."""

from __future__ import annotations

from typing import Literal

from .database import Database


class VisitorUseStore:
    """Safe to use from many threads. Every method may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, visitor: str, day: str) -> tuple[int, int]:
        """Messages and tokens of one visitor on one day, such as 2026-11-29."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT messages, tokens FROM visitor_use WHERE visitor = ? AND day = ?", (visitor, day)).fetchone()
        return (row["messages"], row["tokens"]) if row else (0, 0)

    def of_day(self, day: str) -> tuple[tuple[str, str, int, int], ...]:
        """(visitor, name, messages, tokens) of everybody on one day."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT visitor, name, messages, tokens FROM visitor_use WHERE day = ?", (day,)).fetchall()
        return tuple((row["visitor"], row["name"], row["messages"], row["tokens"]) for row in rows)

    def save(self, visitor: str, day: str, name: str, messages: int, tokens: int) -> None:
        """Store a visitor's day; days before it are deleted."""
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("INSERT OR REPLACE INTO visitor_use (visitor, day, name, messages, tokens) VALUES (?, ?, ?, ?, ?)",
                               (visitor, day, name, messages, tokens))
            connection.execute("DELETE FROM visitor_use WHERE day < ?", (day,))

    def limits(self) -> dict[str, int]:
        """The limits that were set, by name."""
        with self._database.transaction() as connection:
            return {row["name"]: row["value"] for row in connection.execute("SELECT name, value FROM visitor_limits").fetchall()}

    def set_limits(self, limits: dict[str, int]) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.executemany("INSERT OR REPLACE INTO visitor_limits (name, value) VALUES (?, ?)", limits.items())


class HashStore:
    """Names, each with a hash: passwords of accounts, or keys of the API. Safe to use from many threads. May raise StorageError."""

    def __init__(self, database: Database, table: Literal["accounts", "api_keys"]) -> None:
        self._database, self._table = database, table

    def all(self) -> dict[str, str]:
        """The hash of each name."""
        with self._database.transaction() as connection:
            rows = connection.execute(f"SELECT name, hash FROM {self._table} ORDER BY name").fetchall()
        return {row["name"]: row["hash"] for row in rows}

    def save(self, name: str, value: str) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute(f"INSERT OR REPLACE INTO {self._table} (name, hash) VALUES (?, ?)", (name, value))

    def delete(self, name: str) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute(f"DELETE FROM {self._table} WHERE name = ?", (name,))
