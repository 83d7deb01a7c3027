"""Fine-tuning runs as rows: whose they are, and which processes work on them. What they did is in the files of their folders."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from ..errors import FineTuneNotFound
from .alive import this_process
from .database import Database


@dataclass(frozen=True, slots=True)
class FineTuneRow:
    """`watcher`: the process of the app that follows it, "" if it is over. `trainer`: the process that trains (storage/alive.py).

    `plan`, `estimate`: JSON of finetune/. `chat_model`: JSON of the model that was unloaded for it, and must be loaded again.
    """

    id: str
    owner: str
    created: float
    watcher: str
    trainer: str
    plan: str
    estimate: str
    chat_model: str


NOBODY = "-"        # as `watcher`
FIELDS = "id, owner, created, watcher, trainer, plan, estimate, chat_model"


class FineTuneStore:
    """Safe to use from many threads. Every method may raise StorageError, those about one run FineTuneNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, owner: str, plan: str, estimate: str) -> FineTuneRow:
        row = FineTuneRow(secrets.token_hex(16), owner, time.time(), this_process(), "", plan, estimate, "")
        with self._database.transaction(is_writing=True) as connection:
            connection.execute(f"INSERT INTO finetune_runs ({FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                               (row.id, row.owner, row.created, row.watcher, row.trainer, row.plan, row.estimate, row.chat_model))
        return row

    def get(self, run_id: str, owner: str) -> FineTuneRow:
        with self._database.transaction() as connection:
            found = connection.execute(f"SELECT {FIELDS} FROM finetune_runs WHERE id = ? AND owner = ?", (run_id, owner)).fetchone()
        if found is None:
            raise FineTuneNotFound()
        return FineTuneRow(*found)

    def list(self, owner: str) -> tuple[FineTuneRow, ...]:
        """Newest first."""
        with self._database.transaction() as connection:
            rows = connection.execute(f"SELECT {FIELDS} FROM finetune_runs WHERE owner = ? ORDER BY created DESC", (owner,)).fetchall()
        return tuple(FineTuneRow(*row) for row in rows)

    def active(self) -> tuple[FineTuneRow, ...]:
        """Those that a process of the app follows or followed when it ended, of all owners."""
        with self._database.transaction() as connection:
            rows = connection.execute(f"SELECT {FIELDS} FROM finetune_runs WHERE watcher != ''").fetchall()
        return tuple(FineTuneRow(*row) for row in rows)

    def watch(self, run_id: str, estimate: str | None = None) -> None:
        """Name this process as the one that follows it."""
        with self._database.transaction(is_writing=True) as connection:
            found = connection.execute("UPDATE finetune_runs SET watcher = ?, estimate = coalesce(?, estimate) WHERE id = ?",
                                       (this_process(), estimate, run_id))
        if not found.rowcount:
            raise FineTuneNotFound()

    def set_trainer(self, run_id: str, process: str) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("UPDATE finetune_runs SET trainer = ? WHERE id = ?", (process, run_id))

    def set_chat_model(self, run_id: str, chat_model: str) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("UPDATE finetune_runs SET chat_model = ? WHERE id = ?", (chat_model, run_id))

    def leave(self, run_id: str) -> None:
        """The app ends, and the run goes on: the next process of the app follows it."""
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("UPDATE finetune_runs SET watcher = ? WHERE id = ?", (NOBODY, run_id))

    def end(self, run_id: str) -> None:
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("UPDATE finetune_runs SET watcher = '', trainer = '', chat_model = '' WHERE id = ?", (run_id,))

    def delete(self, run_id: str, owner: str) -> None:
        self.get(run_id, owner)
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("DELETE FROM finetune_runs WHERE id = ? AND owner = ?", (run_id, owner))
