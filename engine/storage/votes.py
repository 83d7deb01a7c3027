"""Votes of blind comparisons, as rows."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .database import Database


@dataclass(frozen=True, slots=True)
class Vote:
    """`score` of the first model: 1 if it was better, 0 if the second was, 0.5 for a tie."""

    first: str
    second: str
    score: float


class VoteStore:
    """Safe to use from many threads. Every method may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, vote: Vote) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("INSERT INTO votes (at, first, second, score) VALUES (?, ?, ?, ?)",
                               (time.time(), vote.first, vote.second, vote.score))

    def all(self) -> tuple[Vote, ...]:
        """Oldest first."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT first, second, score FROM votes ORDER BY id").fetchall()
        return tuple(Vote(*row) for row in rows)

    def clear(self) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("DELETE FROM votes")
