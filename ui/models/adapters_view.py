"""HTML about models that are more than one file or less than a chat: adapters with their base, and models for a task."""

from __future__ import annotations

import html
from collections.abc import Sequence

from engine.library import FoundModel
from engine.pipelines import TaskEntry

from ..shared.html import action_button, disk_size
from ..shared.language import text
from .card import card_html


def _text(language: str, key: str, **values: object) -> str:
    return html.escape(text(language, key, **values))


def kind_html(model: FoundModel, language: str) -> str:
    """What is special about it, in a sentence; a model with several tasks has a button for each."""
    parts = []
    if model.adapter is not None:
        base = model.spec_model if model.where != "builtin" else model.base_name
        parts.append(_text(language, "models.adapter", base=base, rank=model.adapter.config.rank,
                           size=disk_size(language, model.adapter.size_bytes)))
    if model.tasks:
        parts.append(_text(language, "models.task", task=text(language, f"try.task.{model.tasks[0]}")))
    shown = "".join(f'<p class="mc-note">{part}</p>' for part in parts)
    return shown + (_tasks(model, language) if len(model.tasks) > 1 else "")


def _tasks(model: FoundModel, language: str) -> str:
    buttons = "".join(action_button(text(language, f"try.task.{task}"), "task", task, extra=f' aria-pressed="{str(not at).lower()}"')
                      for at, task in enumerate(model.tasks))
    return f'<div class="mc-uses" role="group" aria-label="{_text(language, "models.tasks")}">{buttons}</div>'


def tasks_html(entries: Sequence[TaskEntry], selected: str, language: str) -> str:
    """Well-known models for tasks, one card each."""
    cards = "".join(_card(entry, entry.repo == selected, language) for entry in entries)
    return f'<div class="mc-cards">{cards}</div>'


def _card(entry: TaskEntry, is_selected: bool, language: str) -> str:
    facts = " · ".join(filter(None, (f"{entry.parameters} M", text(language, f"try.task.{entry.task}"), ", ".join(entry.languages),
                                     entry.licence)))
    return card_html(entry.repo, entry.repo, facts, "", is_selected)


def adapters_html(names: Sequence[str], language: str) -> str:
    """The adapters of the loaded model, each with a button that removes it."""
    if not names:
        return ""
    rows = "".join(f"<li><span>{html.escape(name)}</span>{_remove(name, language)}</li>" for name in names)
    return f'<h3>{_text(language, "models.adapters")}</h3><ul class="mc-disk">{rows}</ul>'


def _remove(name: str, language: str) -> str:
    label = _text(language, "models.adapter.remove.of", name=name)
    question = _text(language, "models.adapter.remove.confirm", name=name)
    return action_button(text(language, "models.adapter.remove"), "remove-adapter", name,
                         extra=f' aria-label="{label}" data-confirm="{question}"')
