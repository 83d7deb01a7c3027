"""Works on one task of a run: opens its sandbox session, creates its agent, records events and saves them every second."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing

from ..background import BackgroundTask, StopSignal
from ..errors import EngineError, GenerationFailed, SandboxUnavailable, StorageError
from ..providers.loaded import LoadedModelProvider
from ..runtime.engine import Engine
from ..sandbox import open_sandbox
from ..storage.agent_records import AgentRun, Task
from ..storage.agent_runs import AgentRunStore
from .code_agent import CodeAgent
from .events import AgentEvent, Attempt
from .feedback import Exchange
from .loop import AgentOptions
from .recorder import TaskRecorder
from .window import UNKNOWN_TOKENS, Window, rough_tokens
from .workspace import Workspaces

log = logging.getLogger(__name__)
SAVE_S = 1.0
Begin = Callable[[CodeAgent, StopSignal], Generator[AgentEvent, None, None]]


class TaskWork:
    """`is_new`: a new task gets a new agent, since another model may have been loaded meanwhile."""

    def __init__(self, engine: Engine, store: AgentRunStore, workspaces: Workspaces, run: AgentRun, recorder: TaskRecorder,
                 options: AgentOptions, *, is_new: bool) -> None:
        self._engine, self._store, self._workspaces = engine, store, workspaces
        self._run, self._recorder, self._options, self._is_new = run, recorder, options, is_new
        self._workspace = workspaces.of(run.id)
        self._owner = ""

    def as_task(self, owner: str, begin: Begin) -> BackgroundTask[AgentRun]:
        """Return the background task that does the work, not yet started. `begin` starts the agent."""
        stop, self._owner = StopSignal(), owner
        task: BackgroundTask[AgentRun] = BackgroundTask(
            lambda: self._work(begin, stop, task.changed), self._recorder.snapshot, stop=stop, owner=owner, name="agent")
        return task

    def _work(self, begin: Begin, stop: StopSignal, changed: Callable[[], None]) -> None:
        saved = time.monotonic()
        try:
            with closing(begin(self._agent(), stop)) as events:
                for event in events:
                    self._recorder.record(event)
                    changed()
                    if time.monotonic() - saved >= SAVE_S:
                        self._save()
                        saved = time.monotonic()
        except Exception as error:      # shown to the user and stored in the database
            if not isinstance(error, EngineError):
                log.exception("A task of the agent failed unexpectedly")
                error = GenerationFailed("something unexpected happened; the log of the server says what.")
            self._recorder.fail(error)
        finally:
            self._workspace.last_used = time.monotonic()
            self._save()

    def _save(self) -> None:
        try:
            self._store.save(self._recorder.snapshot())
        except StorageError as error:       # the page still shows the run; the next save may succeed
            log.error("%s", error)

    def _agent(self) -> CodeAgent:
        workspace = self._workspace
        if workspace.sandbox is None:
            self._open_sandbox()
        if workspace.agent is None or self._is_new:
            past = workspace.agent.history if workspace.agent else _exchanges(self._run.tasks[:-1])
            workspace.agent = CodeAgent(LoadedModelProvider(self._engine, self._owner), workspace.sandbox, self._options,
                                        window=_window(self._engine), history=past)
        workspace.agent.options = self._options
        return workspace.agent

    def _open_sandbox(self) -> None:
        """Open a session with the run's files. Without a sandbox a program is still written, and the last event says why it was not run."""
        self._workspaces.make_room()
        try:
            sandbox = open_sandbox(is_public=self._engine.settings.is_public)
        except SandboxUnavailable as unavailable:
            log.warning("%s", unavailable)
            return
        self._workspace.sandbox = sandbox
        folder = self._store.folder(self._run.id)
        if folder.is_dir():
            shutil.copytree(folder, sandbox.folder, dirs_exist_ok=True)


def _window(engine: Engine) -> Window:
    tokens = engine.status().window_tokens

    def count(text: str) -> int:
        try:
            return engine.count_tokens(text)
        except EngineError:         # unloaded meanwhile: the call itself will report that
            return rough_tokens(text)
    return Window(tokens or UNKNOWN_TOKENS, count, is_known=bool(tokens))


def _exchanges(tasks: Sequence[Task]) -> list[Exchange]:
    """Return the history of a run that another process worked on."""
    past = []
    for task in tasks:
        step = task.last_program
        attempt = Attempt(step.code, step.stdout, step.error, step.seconds, step.phase == "over") if step else None
        past.append(Exchange(task.text, task.answer, attempt))
    return past
