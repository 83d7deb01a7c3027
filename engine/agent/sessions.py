"""The code agent for many visitors: each run has a thread while it is worked on, and a sandbox of its own while it is in use.

A page asks for a change (a task, a program to run, going on), gets the run as it is now, and then follows it. It may leave at
any time. Sandboxes of runs that nobody touches are closed; their files are kept, and lie in the next one.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from ..background import StopSignal
from ..errors import AttachmentRefused, EngineBusy, EngineError, GenerationFailed, InvalidRequest, SandboxUnavailable, StorageError
from ..plain_text import clean_name
from ..providers.loaded import LoadedModelProvider
from ..runtime.engine import Engine
from ..sandbox import best_sandbox, open_sandbox
from ..sandbox.base import Sandbox, TierReport
from ..storage.agent_records import AgentRun, KeptFile, Task
from ..storage.agent_runs import AgentRunStore
from ..storage.transfer import title_of
from .code_agent import CodeAgent
from .events import AgentEvent, Attempt
from .feedback import Exchange
from .live_task import LiveTask
from .loop import AgentOptions
from .window import UNKNOWN_TOKENS, Window, rough_tokens

log = logging.getLogger(__name__)
FOLLOW_S = 0.1
SAVE_S = 1.0
MAX_TASK_CHARS = 20_000
MAX_UPLOADS, MAX_UPLOAD_BYTES = 20, 20 << 20        # of one task; of one file
MAX_OPEN = 8                                        # sandboxes at once: some 70 MB each
IDLE_S = 600.0
PUBLIC_RUN_S, LOCAL_RUN_S = 10.0, 60.0            # of one run of a program
Begin = Callable[[CodeAgent, StopSignal], Iterator[AgentEvent]]


@dataclass(slots=True)
class Bench:
    """What a run keeps in memory between two of its tasks."""

    agent: CodeAgent | None = None
    box: Sandbox | None = None
    used: float = 0.0


class AgentSessions:
    """Safe to use from many threads. Whatever is about one run raises RunNotFound; everything may raise StorageError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.store = AgentRunStore(engine.database)
        self._lock = threading.Lock()
        self._live: dict[str, LiveTask] = {}
        self._benches: dict[str, Bench] = {}

    @property
    def sandbox(self) -> TierReport | None:
        """Where programs run here; None where they do not. The first call of a process may take 2 s."""
        return best_sandbox(is_public=self._engine.settings.is_public)

    @property
    def options(self) -> AgentOptions:
        """What is usual here: on one's own machine a program may take a minute, a stranger's ten seconds."""
        return AgentOptions(run_timeout_s=PUBLIC_RUN_S if self._engine.settings.is_public else LOCAL_RUN_S)

    # --- asking ---

    def start(self, owner: str, run_id: str | None, task: str, files: Sequence[Path] = (), options: AgentOptions | None = None) -> AgentRun:
        """Begin a task, in a new run or after the tasks of one. Raises InvalidRequest, AttachmentRefused, EngineBusy."""
        _check(task, files)
        run = self.store.get(owner, run_id) if run_id else None
        self._require_room(owner, run.id if run else "")
        begun = Task(task.strip(), model=self._engine.status().model)
        if run is None:
            run = self.store.create(owner, title_of(task), begun)
        else:
            run = replace(run, tasks=(*run.tasks, begun), updated=time.time())
        try:
            kept = tuple(self._upload(run.id, file) for file in files)
            run = replace(run, tasks=(*run.tasks[:-1], replace(run.last, uploads=kept)))
            sources = [self.store.folder(run.id) / file.name for file in kept]
            return self._begin(owner, run, options, lambda agent, stop: agent.stream(begun.text, sources, stop=stop), is_new=True)
        except EngineError:
            if not run_id:      # nothing was begun: no run is left that seems to be at work
                self.store.delete(owner, run.id)
            raise

    def run_code(self, owner: str, run_id: str, code: str, options: AgentOptions | None = None, *, max_repairs: int = 0) -> AgentRun:
        """Run a program that a person approved or edited; the model repairs it `max_repairs` times if it fails."""
        run = self.store.get(owner, run_id)
        if not code.strip() or len(code) > MAX_TASK_CHARS:
            raise InvalidRequest("code", f"{len(code)} characters", f"a program of at most {MAX_TASK_CHARS}")
        self._require_room(owner, run.id)
        return self._begin(owner, run, options, lambda agent, stop: agent.run(code, max_repairs, stop=stop), code=code)

    def resume(self, owner: str, run_id: str, options: AgentOptions | None = None) -> AgentRun:
        """Go on with a task that stopped before its end; from its beginning where this process never worked on it."""
        run = self.store.get(owner, run_id)
        self._require_room(owner, run.id)
        with self._lock:
            bench = self._benches.get(run.id)
        if bench is None or bench.agent is None:
            return self._begin(owner, run, options, lambda agent, stop: agent.stream(run.last.text, stop=stop), is_new=True)
        return self._begin(owner, run, options, lambda agent, stop: agent.resume(stop=stop))

    def _begin(self, owner: str, run: AgentRun, options: AgentOptions | None, begin: Begin, *, code: str = "",
               is_new: bool = False) -> AgentRun:
        task = replace(run.last, state="working", reason="", detail="", answer="")
        is_approved = run.last.state == "approval" and run.last.steps[-1].code == code
        run = replace(run, tasks=(*run.tasks[:-1], task), updated=time.time())
        live = LiveTask(owner, run, lambda file: self.store.keep(run.id, file.name, Path(file.path)), code, is_approved=is_approved)
        with self._lock:
            if run.id in self._live:
                raise EngineBusy("the agent is at work here", "Stop it, or wait for its end.")
            self._live[run.id] = live
            bench = self._benches.setdefault(run.id, Bench())
        try:
            self.store.save(run)
        except StorageError:
            with self._lock:
                self._live.pop(run.id, None)
            raise
        threading.Thread(target=self._work, args=(live, bench, run, options or self.options, begin, is_new), name="agent",
                         daemon=True).start()
        return run

    def _require_room(self, owner: str, run_id: str) -> None:
        with self._lock:
            if run_id in self._live:
                raise EngineBusy("the agent is at work here", "Stop it, or wait for its end.")
            if any(live.owner == owner for live in self._live.values()) and self._engine.settings.is_public:
                raise EngineBusy("the agent works on another task of yours", "Stop it, or wait for its end.")
            if len(self._live) >= MAX_OPEN:
                raise EngineBusy(f"the agent works on {len(self._live)} tasks", "Try again in a minute.")

    def _upload(self, run_id: str, source: Path) -> KeptFile:
        name = clean_name(source.name)
        kept = self.store.keep(run_id, name, source)
        if kept is None:
            raise AttachmentRefused(name, "it could not be read", "Try another file.")
        return kept

    # --- working, in a thread of its own ---

    def _work(self, live: LiveTask, bench: Bench, run: AgentRun, options: AgentOptions, begin: Begin, is_new: bool) -> None:
        saved = time.monotonic()
        try:
            agent = self._agent(bench, run, options, is_new)
            with closing(begin(agent, live.stop)) as events:  # type: ignore[type-var]
                for event in events:
                    live.take(event)
                    if time.monotonic() - saved >= SAVE_S:
                        self._save(live)
                        saved = time.monotonic()
        except Exception as error:      # reaches whoever follows, and the database
            if not isinstance(error, EngineError):
                log.exception("A task of the agent broke unexpectedly")
                error = GenerationFailed("something unexpected happened; the log of the server says what.")
            live.fail(error)
        finally:
            bench.used = time.monotonic()
            self._save(live)
            with self._lock:
                self._live.pop(run.id, None)
            live.ended.set()
            self._close_idle()

    def _agent(self, bench: Bench, run: AgentRun, options: AgentOptions, is_new: bool) -> CodeAgent:
        """The run's agent with its sandbox; a new one for a new task, since the loaded model may be another by now."""
        if bench.box is None:
            self._make_room()
            try:
                bench.box = open_sandbox(is_public=self._engine.settings.is_public)
            except SandboxUnavailable as unavailable:       # a program is written all the same, and the last event says why it did not run
                log.warning("%s", unavailable)
            else:
                folder = self.store.folder(run.id)
                if folder.is_dir():
                    shutil.copytree(folder, bench.box.folder, dirs_exist_ok=True)
        if bench.agent is None or is_new:
            past = bench.agent.history if bench.agent else _exchanges(run.tasks[:-1])
            bench.agent = CodeAgent(LoadedModelProvider(self._engine), bench.box, options, window=_window(self._engine), history=past)
        bench.agent.options = options
        return bench.agent

    def _make_room(self) -> None:
        """Close the sandbox that was idle longest, where there are too many."""
        self._close_idle()
        with self._lock:
            idle = sorted(((bench.used, run_id) for run_id, bench in self._benches.items() if bench.box and run_id not in self._live))
            is_full = sum(bench.box is not None for bench in self._benches.values()) >= MAX_OPEN
            oldest = self._benches.pop(idle[0][1]) if is_full and idle else None
        _close(oldest)

    def _close_idle(self) -> None:
        limit = time.monotonic() - IDLE_S
        with self._lock:
            idle = [run_id for run_id, bench in self._benches.items() if run_id not in self._live and bench.used < limit]
            benches = [self._benches.pop(run_id) for run_id in idle]
        for bench in benches:
            _close(bench)

    def _save(self, live: LiveTask) -> None:
        try:
            self.store.save(live.look())
        except StorageError as error:       # what is shown stays; the next save may succeed
            log.error("%s", error)

    # --- following ---

    def is_working(self, run_id: str) -> bool:
        return run_id in self._live

    def look(self, owner: str, run_id: str) -> AgentRun:
        """The run as it is now."""
        with self._lock:
            live = self._live.get(run_id)
        return live.look() if live is not None and live.owner == owner else self.store.get(owner, run_id)

    def follow(self, owner: str, run_id: str) -> Iterator[AgentRun]:
        """Looks at a run, at least every FOLLOW_S seconds, until nobody works on it."""
        with self._lock:
            live = self._live.get(run_id)
        if live is None or live.owner != owner:
            return
        while True:
            is_last = live.ended.is_set()
            yield live.look()
            if is_last:
                return
            live.ended.wait(FOLLOW_S)

    def stop(self, owner: str, run_id: str) -> None:
        """End what is written or runs here, within a second. What was written stays."""
        with self._lock:
            live = self._live.get(run_id)
        if live is not None and live.owner == owner:
            live.stop.set()

    def delete(self, owner: str, run_id: str) -> None:
        """The run, its files and its sandbox."""
        self.store.get(owner, run_id)
        self.stop(owner, run_id)
        with self._lock:
            live = self._live.get(run_id)
        if live is not None and not live.ended.wait(5.0):
            raise EngineBusy("the agent is still at work here", "Try again in a moment.")
        with self._lock:
            bench = self._benches.pop(run_id, None)
        _close(bench)
        self.store.delete(owner, run_id)

    def close(self, timeout_s: float = 3.0) -> None:
        """Stop and save everything, for the end of the process."""
        with self._lock:
            lives = list(self._live.values())
        for live in lives:
            live.stop.set()
        deadline = time.monotonic() + timeout_s
        for live in lives:
            live.ended.wait(max(0.0, deadline - time.monotonic()))
        with self._lock:
            benches, self._benches = list(self._benches.values()), {}
        for bench in benches:
            _close(bench)


def _check(task: str, files: Sequence[Path]) -> None:
    if not task.strip() or len(task) > MAX_TASK_CHARS:
        raise InvalidRequest("task", f"{len(task)} characters", f"some words about what to do, at most {MAX_TASK_CHARS} characters")
    if len(files) > MAX_UPLOADS:
        raise InvalidRequest("files", len(files), f"at most {MAX_UPLOADS}")
    for file in files:
        if file.stat().st_size > MAX_UPLOAD_BYTES:
            raise AttachmentRefused(clean_name(file.name), "it is too large", f"At most {MAX_UPLOAD_BYTES >> 20} MiB can be given.")


def _close(bench: Bench | None) -> None:
    if bench is not None and bench.box is not None:
        bench.box.close()


def _window(engine: Engine) -> Window:
    tokens = engine.status().window_tokens

    def count(text: str) -> int:
        try:
            return engine.count_tokens(text)
        except EngineError:         # unloaded meanwhile: the call itself will say so
            return rough_tokens(text)
    return Window(tokens or UNKNOWN_TOKENS, count, is_known=bool(tokens))


def _exchanges(tasks: Sequence[Task]) -> list[Exchange]:
    """What an agent of another process would remember."""
    past = []
    for task in tasks:
        step = task.last_program
        attempt = Attempt(step.code, step.stdout, step.error, step.seconds, step.phase == "over") if step else None
        past.append(Exchange(task.text, task.answer, attempt))
    return past
