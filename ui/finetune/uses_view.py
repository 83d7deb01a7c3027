"""What can be done with a run's result, as buttons."""

from __future__ import annotations

import html

from engine.finetune import HEADED, Run

from ..shared.html import action_button
from ..shared.language import text
from .words import escaped


def uses_html(run: Run, ready: str, language: str, *, may_load: bool = True) -> str:
    """`ready`: what was made for a download, as HTML."""
    def button(name: str, *, is_first: bool = False, extra: str = "") -> str:
        return action_button(text(language, f"tune.use.{name}"), name, run.id, "mc-do mc-primary" if is_first else "", extra)

    buttons = []
    if run.has_result:
        if may_load:
            buttons.append(button("try" if run.plan.task in HEADED else "chat", is_first=True))
        buttons.append(button("export"))
        if run.plan.method != "full":
            buttons.append(button("merge"))
        buttons.append(button("card"))
    buttons.append(button("script"))
    if run.can_resume:
        buttons.append(button("resume", is_first=not run.has_result))
    buttons.append(button("again"))
    ask = f' data-confirm="{escaped(language, "tune.delete.ask", name=run.name)}"'
    buttons.append(button("delete", extra=ask))
    made = f'<div class="mc-tune-ready" role="status">{ready}</div>' if ready else ""
    return f'<div class="mc-remedies" role="group" aria-label="{escaped(language, "tune.uses")}">{"".join(buttons)}</div>{made}'


def download_html(address: str, name: str, size: str, language: str) -> str:
    label = escaped(language, "tune.download", name=name, size=size)
    return f'<a class="mc-do mc-primary" href="{html.escape(address)}" download="{html.escape(name)}">{label}</a>'


def pushed_html(address: str, language: str) -> str:
    shown = html.escape(address)
    link = f'<a href="{shown}" target="_blank" rel="noopener noreferrer">{shown}</a>' if address.startswith("https://") else shown
    return f'{escaped(language, "tune.pushed")} {link}'
