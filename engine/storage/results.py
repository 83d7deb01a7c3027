"""Benchmark runs as rows: the columns they are searched by, and their content as JSON that only the benchmark interprets."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple, dataclass

from .database import Database


@dataclass(frozen=True, slots=True)
class ResultRow:
    """`origin`: empty for runs of this machine, else the name of the import. `sweep` and `cell`: which cell of which sweep."""

    uid: str
    at: float
    kind: str
    model: str
    quantization: str
    machine: str
    origin: str
    sweep: str
    cell: str
    content: str


@dataclass(frozen=True, slots=True)
class ResultFilter:
    """Empty fields do not filter. `text`: part of the model's name."""

    text: str = ""
    quantizations: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    sweep: str = ""
    is_local: bool | None = None
    since: float = 0.0


FIELDS = "uid, at, kind, model, quantization, machine, origin, sweep, cell, content"


class ResultStore:
    """Safe to use from many threads. Every method may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, rows: Collection[ResultRow]) -> int:
        """Add runs and return how many were new; a run that is already stored is not changed."""
        marks = ", ".join("?" * len(FIELDS.split(", ")))
        with self._database.transaction(is_writing=True) as connection:
            before = connection.total_changes
            connection.executemany(f"INSERT OR IGNORE INTO benchmarks ({FIELDS}) VALUES ({marks})", [astuple(row) for row in rows])
            return connection.total_changes - before

    def list(self, wanted: ResultFilter, limit: int) -> tuple[ResultRow, ...]:
        """Newest first."""
        clauses, values = _where(wanted)
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"SELECT {FIELDS} FROM benchmarks {clauses} ORDER BY at DESC, uid LIMIT ?", (*values, limit)).fetchall()
        return tuple(ResultRow(*row) for row in rows)

    def get(self, uid: str) -> ResultRow | None:
        with self._database.transaction() as connection:
            row = connection.execute(f"SELECT {FIELDS} FROM benchmarks WHERE uid = ?", (uid,)).fetchone()
        return ResultRow(*row) if row else None

    def cells(self, sweep: str) -> frozenset[str]:
        """The cells of a sweep that have been measured."""
        with self._database.transaction() as connection:
            return frozenset(row["cell"] for row in connection.execute("SELECT cell FROM benchmarks WHERE sweep = ?", (sweep,)))

    def delete(self, uids: Collection[str]) -> int:
        with self._database.transaction(is_writing=True) as connection:
            before = connection.total_changes
            connection.executemany("DELETE FROM benchmarks WHERE uid = ?", [(uid,) for uid in uids])
            return connection.total_changes - before


def _where(wanted: ResultFilter) -> tuple[str, tuple[object, ...]]:
    clauses: list[str] = []
    values: list[object] = []
    for column, chosen in (("quantization", wanted.quantizations), ("machine", wanted.machines), ("kind", wanted.kinds)):
        if chosen:
            clauses.append(f"{column} IN ({', '.join('?' * len(chosen))})")
            values += chosen
    if wanted.text:
        clauses.append("instr(lower(model), lower(?)) > 0")
        values.append(wanted.text)
    if wanted.sweep:
        clauses.append("sweep = ?")
        values.append(wanted.sweep)
    if wanted.is_local is not None:
        clauses.append("origin = ''" if wanted.is_local else "origin != ''")
    if wanted.since:
        clauses.append("at >= ?")
        values.append(wanted.since)
    return f"WHERE {' AND '.join(clauses)}" if clauses else "", tuple(values)
