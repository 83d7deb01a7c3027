"""Turns the events of a task into the run that pages show and the database stores."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

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

MAX_CHARS = 200_000         # of output shown for one step; the sandbox has its own limits
CUT = "\n…\n"


class TaskRecorder:
    """Records the last task of `run`. One thread calls `record`, any thread `snapshot`.

    `keep_file` stores a produced file and returns the stored one. `given_code` is a program that a person wrote and gets a
    separate step; with `is_approved` it is the program of the last step, which was waiting for approval.
    """

    def __init__(self, run: AgentRun, keep_file: Callable[[FileProduced], KeptFile | None], given_code: str = "", *,
                 is_approved: bool = False) -> None:
        self._keep_file, self._given_code, self._is_approved = keep_file, given_code, is_approved
        self._lock = threading.Lock()
        self._run = run
        self._step_started = time.monotonic()

    def snapshot(self) -> AgentRun:
        """Return the run as it is now, with the seconds that its current step has taken so far."""
        with self._lock:
            task, run = self._run.last, self._run
            if task.is_over or not task.steps or task.steps[-1].phase == "over":
                return run
            step = task.steps[-1]
            return _with_step(run, replace(step, seconds=step.seconds + time.monotonic() - self._step_started))

    def record(self, event: AgentEvent) -> None:
        kept = self._keep_file(event) if isinstance(event, FileProduced) else None      # copies a file: not under the lock
        with self._lock:
            task = self._run.last
            match event:
                case StepStarted():
                    self._step_started = time.monotonic()
                    self._change(replace(task, steps=self._started_steps(task)))
                case Final(prose, reason):
                    self._change(replace(task, state="done", reason=reason, answer=prose))
                case Stopped(reason, _, prose, detail):
                    state = reason if reason in ("approval", "stopped") else "failed"
                    self._change(replace(task, state=state, reason=reason, answer=prose, detail=detail))
                case _ if task.steps:
                    self._run = _with_step(self._run, _step_after(task.steps[-1], event, kept))

    def fail(self, error: Exception) -> None:
        """Record that the task ended with an exception."""
        with self._lock:
            steps = tuple(replace(step, phase="over") for step in self._run.last.steps)
            self._change(replace(self._run.last, state="failed", reason="error", detail=str(error), steps=steps))

    def _started_steps(self, task: Task) -> tuple[Step, ...]:
        code, self._given_code = self._given_code, ""
        if code and self._is_approved:
            return (*task.steps[:-1], replace(task.steps[-1], phase="running"))
        return (*task.steps, Step(len(task.steps) + 1, code=code, is_given=bool(code)))

    def _change(self, task: Task) -> None:
        self._run = replace(self._run, tasks=(*self._run.tasks[:-1], task), updated=time.time())


def _with_step(run: AgentRun, step: Step) -> AgentRun:
    task = replace(run.last, steps=(*run.last.steps[:-1], step))
    return replace(run, tasks=(*run.tasks[:-1], task))


def _step_after(step: Step, event: AgentEvent, kept: KeptFile | None) -> Step:
    match event:
        case Thinking(text):
            return replace(step, thoughts=_appended(step.thoughts, text))
        case Writing(text):
            return replace(step, reply=_appended(step.reply, text))
        case CodeWritten(code):
            return replace(step, code=code, prose=parse(step.reply).prose, reply="")
        case Running():
            return replace(step, phase="running")
        case Stdout(text):
            return replace(step, stdout=_appended(step.stdout, text))
        case StepError(text, killed):
            return replace(step, error=text, is_killed=killed)
        case FileProduced() if kept is not None:
            return replace(step, files=(*(file for file in step.files if file.name != kept.name), kept))
        case StepEnded(_, seconds, tokens):
            prose = step.prose or ("" if step.code else parse(step.reply).prose)
            return replace(step, phase="over", seconds=step.seconds + seconds, tokens=step.tokens + tokens, prose=prose, reply="")
    return step


def _appended(text: str, piece: str) -> str:
    """Return the joined text, without its middle if it is too long."""
    whole = text + piece
    return whole if len(whole) <= MAX_CHARS else whole[:MAX_CHARS // 2] + CUT + whole[-MAX_CHARS // 2 + len(CUT):]
