"""The code agent for many visitors: each run has a thread while the agent works on it, and a sandbox session while it is in use.

A page requests a change (a task, a program to run, continuing), gets the run as it is now, and then follows it. It may stop
following at any time. Sandbox sessions of unused runs are closed; their files are kept and copied into the next one.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..background import BackgroundTask, TaskRegistry
from ..errors import AttachmentRefused, EngineBusy, EngineError, InvalidRequest, StorageError
from ..plain_text import clean_name
from ..public_mode import MAX_TASKS_OF_VISITOR, PROGRAM_S
from ..runtime.engine import Engine
from ..sandbox import best_sandbox
from ..sandbox.base import TierReport
from ..storage.agent_records import AgentRun, KeptFile, Task
from ..storage.agent_runs import AgentRunStore
from ..storage.transfer import title_of
from .loop import AgentOptions
from .recorder import TaskRecorder
from .task_work import Begin, TaskWork
from .workspace import MAX_SESSIONS, Workspaces

FOLLOW_S = 0.1
DELETE_WAIT_S = 5.0
MAX_TASK_CHARS = 20_000
MAX_UPLOADS, MAX_UPLOAD_BYTES = 20, 20 << 20        # of one task; of one file
LOCAL_RUN_S = 60.0                                  # of one run of a program; on a public page PROGRAM_S


@dataclass(frozen=True, slots=True)
class _Beginning:
    """How a task is started. `code`: a program that a person gave; `is_new`: a task that has no agent yet."""

    begin: Begin
    code: str = ""
    is_new: bool = False


class AgentSessions:
    """Safe to use from many threads. Methods about one run raise RunNotFound; all methods raise StorageError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = AgentRunStore(engine.database)
        self._tasks: TaskRegistry[str, AgentRun] = TaskRegistry()
        self._workspaces = Workspaces(self.is_working)

    @property
    def sandbox(self) -> TierReport | None:
        """Return the tier in which programs run here; None if there is none. The first call in a process may take 2 s."""
        return best_sandbox(is_public=self._engine.settings.is_public)

    @property
    def options(self) -> AgentOptions:
        """Return the default options: a program may take a minute on a private page, 10 seconds on a public one."""
        return AgentOptions(run_timeout_s=PROGRAM_S if self._engine.settings.is_public else LOCAL_RUN_S)

    # --- reading ---

    def list(self, owner: str) -> tuple[AgentRun, ...]:
        """Return the runs, newest first, without their tasks."""
        return self._store.list(owner)

    def get(self, owner: str, run_id: str) -> AgentRun:
        """Return the run as it is now, also while the agent works on it."""
        for task in self._working(owner, run_id):
            return task.snapshot()
        return self._store.get(owner, run_id)

    def folder(self, run_id: str) -> Path:
        """Return the folder of the run's files; it may not exist yet."""
        return self._store.folder(run_id)

    def is_working(self, run_id: str) -> bool:
        return run_id in self._tasks

    def follow(self, owner: str, run_id: str) -> Generator[AgentRun, None, None]:
        """Yield snapshots of a run, one every FOLLOW_S seconds, until the agent has ended its work. Nothing if no work is in progress."""
        for task in self._working(owner, run_id):
            yield from task.follow(FOLLOW_S, FOLLOW_S)

    # --- starting ---

    def start(self, owner: str, run_id: str | None, task: str, files: Sequence[Path] = (), options: AgentOptions | None = None) -> AgentRun:
        """Start a task, in a new run or after the tasks of an existing one. Raises InvalidRequest, AttachmentRefused, EngineBusy."""
        _require_valid(task, files)
        run = self._store.get(owner, run_id) if run_id else None
        self._require_room(owner, run.id if run else "")
        new = Task(task.strip(), model=self._engine.status().model)
        run = replace(run, tasks=(*run.tasks, new), updated=time.time()) if run else self._store.create(owner, title_of(task), new)
        try:
            kept = tuple(self._keep_upload(run.id, file) for file in files)
            run = replace(run, tasks=(*run.tasks[:-1], replace(run.last, uploads=kept)))
            sources = [self.folder(run.id) / file.name for file in kept]
            return self._begin(owner, run, options, _Beginning(lambda agent, stop: agent.stream(new.text, sources, stop=stop), is_new=True))
        except EngineError:
            if not run_id:      # nothing was started: do not leave a run behind that seems to be in progress
                self._store.delete(owner, run.id)
            raise

    def run_code(self, owner: str, run_id: str, code: str, options: AgentOptions | None = None, *, max_repairs: int = 0) -> AgentRun:
        """Run a program that a person approved or edited; the model repairs it at most `max_repairs` times if it fails.

        Raises InvalidRequest and EngineBusy.
        """
        run = self._store.get(owner, run_id)
        if not code.strip() or len(code) > MAX_TASK_CHARS:
            raise InvalidRequest("code", f"{len(code)} characters", f"a program of at most {MAX_TASK_CHARS}")
        self._require_room(owner, run.id)
        return self._begin(owner, run, options, _Beginning(lambda agent, stop: agent.run(code, max_repairs, stop=stop), code=code))

    def resume(self, owner: str, run_id: str, options: AgentOptions | None = None) -> AgentRun:
        """Continue a task that stopped before its end; from its beginning if its agent no longer exists. Raises EngineBusy."""
        run = self._store.get(owner, run_id)
        self._require_room(owner, run.id)
        if not self._workspaces.has_agent(run.id):
            return self._begin(owner, run, options, _Beginning(lambda agent, stop: agent.stream(run.last.text, stop=stop), is_new=True))
        return self._begin(owner, run, options, _Beginning(lambda agent, stop: agent.resume(stop=stop)))

    # --- ending ---

    def stop(self, owner: str, run_id: str) -> None:
        """Stop generation and the program within a second. The text so far is kept."""
        for task in self._working(owner, run_id):
            task.stop.set()

    def delete(self, owner: str, run_id: str) -> None:
        """Delete the run with its files and its sandbox session. Raises EngineBusy if its work does not end in time."""
        self._store.get(owner, run_id)
        self.stop(owner, run_id)
        for task in self._working(owner, run_id):
            if not task.wait(DELETE_WAIT_S):
                raise EngineBusy("the agent is still at work here", "Try again in a moment.")
        self._workspaces.remove(run_id)
        self._store.delete(owner, run_id)

    def close(self, timeout_s: float = 3.0) -> None:
        """Stop and save everything at the end of the process."""
        self._tasks.close(timeout_s)
        self._workspaces.close()

    # --- internal ---

    def _working(self, owner: str, run_id: str) -> tuple[BackgroundTask[AgentRun], ...]:
        """Return the task in progress on a run of this owner; empty if there is none."""
        return tuple(task for task in self._tasks.get(run_id) if task.owner == owner)

    def _begin(self, owner: str, run: AgentRun, options: AgentOptions | None, beginning: _Beginning) -> AgentRun:
        if not self._tasks.reserve(run.id):
            raise EngineBusy("the agent is at work here", "Stop it, or wait for its end.")
        is_approved = run.last.state == "approval" and run.last.steps[-1].code == beginning.code
        task = replace(run.last, state="working", reason="", detail="", answer="")
        run = replace(run, tasks=(*run.tasks[:-1], task), updated=time.time())
        try:
            self._store.save(run)
        except StorageError:
            self._tasks.release(run.id)
            raise
        recorder = TaskRecorder(run, lambda file: self._store.keep(run.id, file.name, Path(file.path)), beginning.code,
                                is_approved=is_approved)
        work = TaskWork(self._engine, self._store, self._workspaces, run, recorder, options or self.options, is_new=beginning.is_new)
        self._tasks.start(run.id, work.as_task(owner, beginning.begin), on_end=lambda task: self._workspaces.close_idle())
        return run

    def _require_room(self, owner: str, run_id: str) -> None:
        tasks = self._tasks.all()
        if run_id in self._tasks:
            raise EngineBusy("the agent is at work here", "Stop it, or wait for its end.")
        if self._engine.settings.is_public and sum(task.owner == owner for task in tasks) >= MAX_TASKS_OF_VISITOR:
            raise EngineBusy("the agent works on another task of yours", "Stop it, or wait for its end.")
        if len(tasks) >= MAX_SESSIONS:
            raise EngineBusy(f"the agent works on {len(tasks)} tasks", "Try again in a minute.")

    def _keep_upload(self, run_id: str, source: Path) -> KeptFile:
        name = clean_name(source.name)
        kept = self._store.keep(run_id, name, source)
        if kept is None:
            raise AttachmentRefused(name, "it could not be read", "Try another file.")
        return kept


def _require_valid(task: str, files: Sequence[Path]) -> None:
    if not task.strip() or len(task) > MAX_TASK_CHARS:
        raise InvalidRequest("task", f"{len(task)} characters", f"a description of what to do, at most {MAX_TASK_CHARS} characters")
    if len(files) > MAX_UPLOADS:
        raise InvalidRequest("files", len(files), f"at most {MAX_UPLOADS}")
    for file in files:
        if file.stat().st_size > MAX_UPLOAD_BYTES:
            raise AttachmentRefused(clean_name(file.name), "it is too large", f"At most {MAX_UPLOAD_BYTES >> 20} MiB can be given.")
