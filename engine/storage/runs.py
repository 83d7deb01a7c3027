"""Stores background jobs as rows: their kind, their progress and how they ended."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from .alive import is_alive, this_process
from .database import Database

JobState = Literal["running", "done", "failed", "cancelled", "interrupted"]
MAX_LOG_CHARS = 20_000      # the newest part is kept
KEPT_JOBS = 200             # finished jobs per kind


@dataclass(frozen=True, slots=True)
class Job:
    """`done` of `total` in `unit` (total 0: unknown). `result`, `facts`: JSON of this kind of job. Times in seconds since the epoch."""

    id: int
    kind: str
    title: str
    owner: str
    state: JobState
    done: int = 0
    total: int = 0
    unit: str = ""
    note: str = ""
    log: str = ""
    result: str = ""
    error: str = ""
    error_kind: str = ""        # the class name of an EngineError
    created: float = 0.0
    updated: float = 0.0
    facts: str = ""             # what it is about, and what it needs to be started again

    @property
    def is_over(self) -> bool:
        return self.state != "running"

    @property
    def share(self) -> float | None:
        """From 0 to 1; None if the total is unknown."""
        return min(1.0, self.done / self.total) if self.total else None


FIELDS = "id, kind, title, owner, state, done, total, unit, note, log, result, error, error_kind, created, updated, facts"


class JobStore:
    """Safe to use from many threads. Every method may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, kind: str, title: str, owner: str, facts: str) -> Job:
        now = time.time()
        with self._database.transaction(is_writing=True) as connection:
            cursor = connection.execute(
                "INSERT INTO jobs (kind, title, owner, state, facts, process, created, updated) VALUES (?, ?, ?, 'running', ?, ?, ?, ?)",
                (kind, title, owner, facts, this_process(), now, now))
            connection.execute(
                "DELETE FROM jobs WHERE kind = ? AND state != 'running' AND id NOT IN "
                "(SELECT id FROM jobs WHERE kind = ? ORDER BY id DESC LIMIT ?)", (kind, kind, KEPT_JOBS))
        return Job(int(cursor.lastrowid or 0), kind, title, owner, "running", created=now, updated=now, facts=facts)

    def save(self, job: Job) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute(
                "UPDATE jobs SET state = ?, done = ?, total = ?, unit = ?, note = ?, log = ?, result = ?, error = ?, error_kind = ?, "
                "updated = ? WHERE id = ?",
                (job.state, job.done, job.total, job.unit, job.note, job.log[-MAX_LOG_CHARS:], job.result, job.error, job.error_kind,
                 job.updated, job.id))

    def list(self, kinds: Collection[str] = (), limit: int = 50) -> tuple[Job, ...]:
        """Newest first."""
        chosen = f"WHERE kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
        with self._database.transaction() as connection:
            rows = connection.execute(f"SELECT {FIELDS} FROM jobs {chosen} ORDER BY id DESC LIMIT ?", (*kinds, limit)).fetchall()
        return tuple(Job(*row) for row in rows)

    def get(self, job_id: int) -> Job | None:
        with self._database.transaction() as connection:
            row = connection.execute(f"SELECT {FIELDS} FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return Job(*row) if row else None

    def delete(self, job_id: int) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("DELETE FROM jobs WHERE id = ? AND state != 'running'", (job_id,))

    def delete_all(self, kind: str, facts: str) -> None:
        """Running ones too. Their rows are overwritten."""
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("DELETE FROM jobs WHERE kind = ? AND facts = ?", (kind, facts))

    def interrupt(self) -> int:
        """Mark jobs whose process has ended as interrupted, and return how many."""
        with self._database.transaction(is_writing=True) as connection:
            rows = connection.execute("SELECT id, process FROM jobs WHERE state = 'running'").fetchall()
            ended = [row["id"] for row in rows if row["process"] == this_process() or not is_alive(row["process"])]
            connection.executemany("UPDATE jobs SET state = 'interrupted' WHERE id = ?", [(job_id,) for job_id in ended])
        return len(ended)
