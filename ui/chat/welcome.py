"""The empty page: example questions, the progress of loading the model, or why no model is loaded."""

from __future__ import annotations

import html

from engine import Status

from ..shared.language import text
from ..shared.status_bar import stage_text

NUM_EXAMPLES = 4


def welcome_html(status: Status, language: str) -> str:
    if status.task and status.state in ("ready", "asleep"):
        title = text(language, "welcome.task.title")
        note = text(language, "welcome.task.note", model=status.model, task=text(language, f"try.task.{status.task}"))
        body = f'<a class="mc-do" href="?tab=models">{html.escape(text(language, "welcome.task.open"))}</a>'
    elif status.state in ("ready", "asleep"):
        title, note = text(language, "welcome.title"), text(language, "welcome.note", model=status.model)
        body = _examples(language)
    elif status.state in ("loading", "unloading"):
        title, note = text(language, "welcome.loading.title"), text(language, "welcome.loading.note")
        body = _stage(status, language)
    else:
        title = text(language, "welcome.failed.title" if status.error else "welcome.empty.title")
        note, body = status.error or text(language, "welcome.empty.note"), ""
    return f'<div class="mc-welcome"><h2>{html.escape(title)}</h2><p>{html.escape(note)}</p>{body}</div>'


def _examples(language: str) -> str:
    questions = [html.escape(text(language, f"example.{number}")) for number in range(1, NUM_EXAMPLES + 1)]
    buttons = "".join(f'<button type="button" data-example="{question}">{question}</button>' for question in questions)
    return f'<div class="mc-examples" role="group" aria-label="{html.escape(text(language, "welcome.examples"))}">{buttons}</div>'


def _stage(status: Status, language: str) -> str:
    stage = status.stage
    label = html.escape(stage_text(stage, language))
    numbers = f' max="{stage.total}" value="{stage.done}"' if stage and stage.total else ""
    return f'<div class="mc-stage"><progress aria-label="{label}"{numbers}></progress><span>{label}</span></div>'
