"""A task while it is worked on: fed by one thread, watched by any number of pages, stopped by any of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from ..background import StopSignal
from ..storage.agent_records import AgentRun, KeptFile, Step, Task
from .events import (
    AgentEvent,
    CodeWritten,
    FileProduced,
    Final,
    Running,
    Stdout,
    StepEnded,
    StepError,
    StepStarted,
    Stopped,
    Thinking,
    Writing,
)
from .parsing import parse

MAX_CHARS = 200_000         # of output shown for one step; the sandbox has limits of its own
CUT = "\n…\n"


class LiveTask:
    """The last task of `run`, as its events come. `keep` stores a produced file and says what it is now.

    `given_code`: a person's program, in a step of its own; `is_approved`: the last step's, which has waited for that.
    """

    def __init__(self, owner: str, run: AgentRun, keep: Callable[[FileProduced], KeptFile | None], given_code: str = "", *,
                 is_approved: bool = False) -> None:
        self.owner, self.run_id = owner, run.id
        self.stop = StopSignal()
        self.ended = threading.Event()
        self._keep, self._given_code, self._is_approved = keep, given_code, is_approved
        self._lock = threading.Lock()
        self._run = run
        self._started = time.monotonic()

    def look(self) -> AgentRun:
        """The run as it is now; the seconds of its last step go on."""
        with self._lock:
            task, run = self._run.last, self._run
            if task.is_over or not task.steps or task.steps[-1].phase == "over":
                return run
            step = task.steps[-1]
            return _with_step(run, replace(step, seconds=step.seconds + time.monotonic() - self._started))

    def take(self, event: AgentEvent) -> None:
        kept = self._keep(event) if isinstance(event, FileProduced) else None      # copies: not under the lock
        with self._lock:
            task = self._run.last
            match event:
                case StepStarted():
                    self._started = time.monotonic()
                    self._change(replace(task, steps=self._begun(task)))
                case Final(prose, reason):
                    self._change(replace(task, state="done", reason=reason, answer=prose))
                case Stopped(reason, _, prose, detail):
                    state = reason if reason in ("approval", "stopped") else "failed"
                    self._change(replace(task, state=state, reason=reason, answer=prose, detail=detail))
                case _ if task.steps:
                    self._run = _with_step(self._run, _stepped(task.steps[-1], event, kept))

    def _begun(self, task: Task) -> tuple[Step, ...]:
        code, self._given_code = self._given_code, ""
        if code and self._is_approved:
            return (*task.steps[:-1], replace(task.steps[-1], phase="running"))
        return (*task.steps, Step(len(task.steps) + 1, code=code, is_given=bool(code)))

    def fail(self, error: Exception) -> None:
        with self._lock:
            steps = tuple(replace(step, phase="over") for step in self._run.last.steps)
            self._change(replace(self._run.last, state="failed", reason="error", detail=str(error), steps=steps))

    def _change(self, task: Task) -> None:
        self._run = replace(self._run, tasks=(*self._run.tasks[:-1], task), updated=time.time())


def _with_step(run: AgentRun, step: Step) -> AgentRun:
    task = replace(run.last, steps=(*run.last.steps[:-1], step))
    return replace(run, tasks=(*run.tasks[:-1], task))


def _stepped(step: Step, event: AgentEvent, kept: KeptFile | None) -> Step:
    match event:
        case Thinking(text):
            return replace(step, thoughts=_grown(step.thoughts, text))
        case Writing(text):
            return replace(step, reply=_grown(step.reply, text))
        case CodeWritten(code):
            return replace(step, code=code, prose=parse(step.reply).prose, reply="")
        case Running():
            return replace(step, phase="running")
        case Stdout(text):
            return replace(step, stdout=_grown(step.stdout, text))
        case StepError(text, killed):
            return replace(step, error=text, is_killed=killed)
        case FileProduced() if kept is not None:
            return replace(step, files=(*(file for file in step.files if file.name != kept.name), kept))
        case StepEnded(_, seconds, tokens):
            prose = step.prose or ("" if step.code else parse(step.reply).prose)
            return replace(step, phase="over", seconds=step.seconds + seconds, tokens=step.tokens + tokens, prose=prose, reply="")
    return step


def _grown(text: str, piece: str) -> str:
    """With the middle left out once it is too long."""
    whole = text + piece
    return whole if len(whole) <= MAX_CHARS else whole[:MAX_CHARS // 2] + CUT + whole[-MAX_CHARS // 2 + len(CUT):]
