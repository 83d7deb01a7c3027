"""Errors of models with the head of a task."""

from __future__ import annotations

from ..errors import EngineError, LoadError, UnsupportedModel


class NoTrainedHead(UnsupportedModel):
    """`task`: what was wanted, or "" for any. `head`: the class that config.json names."""

    def __init__(self, model: str, task: str, head: str) -> None:
        LoadError.__init__(self, model, f"it has no trained head for {task.replace('-', ' ') or 'a task'} (it is a {head}).",
                           "Fine-tune it for the task first, or choose a model that was.")
        self.task, self.head = task, head


class NotAChatModel(EngineError):
    """`task`: what the model does instead."""

    def __init__(self, model: str, task: str) -> None:
        super().__init__(f"{model} does not chat: it is a model for {task.replace('-', ' ')}. Try it in the Models tab, or load one that "
                         "chats.")
        self.model, self.task = model, task


class NoTaskModel(EngineError):
    def __init__(self, model: str) -> None:
        super().__init__(f"{model} chats, and has no other task. Load a model for a task, for example one that classifies texts.")
        self.model = model
