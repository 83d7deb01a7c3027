"""Runs of the code agent: database rows, and a folder of files for each."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ..errors import RunNotFound, StorageError
from .agent_records import AgentRun, KeptFile, Task, tasks_from_json, tasks_to_json
from .alive import is_alive, this_process
from .database import Database

KEPT_RUNS = 100         # per owner; the oldest are deleted first


class AgentRunStore:
    """Safe to use from many threads. Every method may raise StorageError, those about one run RunNotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._files = database.path.parent / "agent"

    def create(self, owner: str, title: str, task: Task) -> AgentRun:
        now = time.time()
        run = AgentRun(secrets.token_hex(16), title, (task,), now, now)
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("INSERT INTO agent_runs (id, owner, title, created, updated, process, content) VALUES (?, ?, ?, ?, ?, ?, ?)",
                               (run.id, owner, title, now, now, this_process(), tasks_to_json(run.tasks)))
            old = connection.execute("SELECT id FROM agent_runs WHERE owner = ? ORDER BY updated DESC LIMIT -1 OFFSET ?",
                                     (owner, KEPT_RUNS)).fetchall()
            connection.executemany("DELETE FROM agent_runs WHERE id = ?", [(row["id"],) for row in old])
        for row in old:
            self._remove_files(row["id"])
        return run

    def save(self, run: AgentRun) -> None:
        process = this_process() if run.is_working else ""
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("UPDATE agent_runs SET updated = ?, process = ?, content = ? WHERE id = ?",
                               (run.updated, process, tasks_to_json(run.tasks), run.id))

    def get(self, owner: str, run_id: str) -> AgentRun:
        """Return a run. A task whose process ended while it was in progress is returned as "interrupted"."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT * FROM agent_runs WHERE id = ? AND owner = ?", (run_id, owner)).fetchone()
        if row is None:
            raise RunNotFound()
        run = AgentRun(row["id"], row["title"], tasks_from_json(row["content"]), row["created"], row["updated"])
        if run.is_working and not is_alive(row["process"]):
            run = replace(run, tasks=(*run.tasks[:-1], replace(run.last, state="interrupted")))
        return run

    def list(self, owner: str) -> tuple[AgentRun, ...]:
        """Runs without their tasks, newest first."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT id, title, created, updated FROM agent_runs WHERE owner = ? ORDER BY updated DESC",
                                      (owner,)).fetchall()
        return tuple(AgentRun(row["id"], row["title"], (), row["created"], row["updated"]) for row in rows)

    def delete(self, owner: str, run_id: str) -> None:
        self.get(owner, run_id)
        with self._database.transaction(is_writing=True) as connection:
            connection.execute("DELETE FROM agent_runs WHERE id = ? AND owner = ?", (run_id, owner))
        self._remove_files(run_id)

    # --- files ---

    def folder(self, run_id: str) -> Path:
        """The folder with the files of a run; it may not exist yet."""
        return self._files / run_id

    def keep(self, run_id: str, name: str, source: Path) -> KeptFile | None:
        """Copy a file out of a sandbox. None if it is missing or not a regular file: the sandbox is not trusted."""
        parts = PurePosixPath(name).parts
        if not parts or any(part in ("..", "/", ".") for part in parts):
            return None
        target = self.folder(run_id).joinpath(*parts)
        try:
            descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        except OSError:
            return None
        try:
            with os.fdopen(descriptor, "rb") as reader:
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as writer:
                    shutil.copyfileobj(reader, writer)
            return KeptFile(name, target.stat().st_size)
        except OSError as error:
            raise StorageError(str(target), error.strerror or str(error)) from error

    def _remove_files(self, run_id: str) -> None:
        shutil.rmtree(self.folder(run_id), ignore_errors=True)
