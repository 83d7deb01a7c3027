"""A run of the code agent as it is stored and shown: its tasks, their steps, and the text, output and files of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

TaskState = Literal["working", "approval", "done", "stopped", "failed", "interrupted"]
Phase = Literal["writing", "running", "over"]


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of the working directory. `name` is its relative path, with `/` between the parts."""

    name: str
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Step:
    """One reply of the model and the run of its program. `is_given`: a person wrote the program. `reply`: its text while in progress."""

    number: int
    phase: Phase = "writing"
    thoughts: str = ""
    reply: str = ""
    prose: str = ""
    code: str = ""
    stdout: str = ""
    error: str = ""
    is_killed: bool = False
    is_given: bool = False
    files: tuple[KeptFile, ...] = ()
    seconds: float = 0.0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """`reason`: how it ended, as in Final and Stopped, or "error"; `detail`: a sentence about that; `answer`: the final text."""

    text: str
    state: TaskState = "working"
    uploads: tuple[KeptFile, ...] = ()
    model: str = ""
    steps: tuple[Step, ...] = ()
    reason: str = ""
    detail: str = ""
    answer: str = ""

    @property
    def is_over(self) -> bool:
        return self.state != "working"

    @property
    def last_program(self) -> Step | None:
        """The newest step that has a program."""
        return next((step for step in reversed(self.steps) if step.code), None)


@dataclass(frozen=True, slots=True)
class AgentRun:
    """Times in seconds since the epoch."""

    id: str
    title: str
    tasks: tuple[Task, ...] = ()
    created: float = 0.0
    updated: float = 0.0

    @property
    def last(self) -> Task:
        return self.tasks[-1]

    @property
    def is_working(self) -> bool:
        return bool(self.tasks) and not self.last.is_over

    @property
    def files(self) -> tuple[KeptFile, ...]:
        """Every file that was uploaded or created, in its latest version."""
        found: dict[str, KeptFile] = {}
        for task in self.tasks:
            for file in (*task.uploads, *(file for step in task.steps for file in step.files)):
                found[file.name] = file
        return tuple(found.values())


def tasks_to_json(tasks: tuple[Task, ...]) -> str:
    return json.dumps([asdict(task) for task in tasks], ensure_ascii=False)


def tasks_from_json(content: str) -> tuple[Task, ...]:
    return tuple(_task(values) for values in json.loads(content))


def _task(values: Mapping[str, Any]) -> Task:
    return Task(**{**values, "uploads": _files(values["uploads"]), "steps": tuple(_step(step) for step in values["steps"])})


def _step(values: Mapping[str, Any]) -> Step:
    return Step(**{**values, "files": _files(values["files"])})


def _files(values: list[Mapping[str, Any]]) -> tuple[KeptFile, ...]:
    return tuple(KeptFile(**each) for each in values)
