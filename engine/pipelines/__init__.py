"""Tasks without chat: classify texts and words, answer from a text, fill in, summarize, translate.

    with pipelines.open("folder or owner/name") as classify:
        classify("A good day").rows[0][0].label

`open` loads a model of its own beside the engine's. `Engine.load(ModelSpec(name, task=...))` puts it in the place of the loaded one.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ..checkpoint.tasks import TASKS, Task, prefix_of, tasks_of, tasks_of_adapter
from ..hardware import detect
from ..models.adapters import of_its_base
from ..models.spec import ModelSpec
from ..settings import Settings
from .catalog import TaskEntry, task_catalog, task_entry
from .errors import NotAChatModel, NoTaskModel, NoTrainedHead
from .loading import WINDOW, examine_task, load_task, without_cache
from .pipeline import Pipeline, Stopped
from .results import MAX_CHARS, MAX_TEXTS, Filling, Label, Row, Span, TaskInput, TaskResult, Written

__all__ = [
    "Filling", "Label", "MAX_CHARS", "MAX_TEXTS", "NoTaskModel", "NoTrainedHead", "NotAChatModel", "Pipeline", "Row", "Span", "Stopped",
    "TASKS", "Task", "TaskEntry", "TaskInput", "TaskResult", "WINDOW", "Written", "examine_task", "load_task", "open", "prefix_of",
    "task_catalog",
    "task_entry", "tasks_of", "tasks_of_adapter", "without_cache",
]


@contextmanager
def open(model: str, task: str = "", settings: Settings | None = None) -> Generator[Pipeline, None, None]:
    """Load a model, or an adapter with its base, for the length of a block. `task`: of a model with several, else its own.

    Raises every kind of LoadError, and InvalidRequest.
    """
    settings = settings or Settings.from_env()
    hardware = detect(settings.device)
    spec = of_its_base(ModelSpec(model, task=task), settings, lambda event: None)
    candidate = examine_task(spec, hardware, settings, hardware.free_bytes(), lambda event: None)
    pipeline = Pipeline(load_task(candidate, hardware, lambda event: None))
    try:
        yield pipeline
    finally:
        pipeline.close()
