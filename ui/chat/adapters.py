"""The list beside the message box from which a visitor chooses an adapter of the loaded model, or the base and an adapter side by side."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from engine import Status

from ..shared.language import text
from .session import ChatSession
from .thinking import thinking_html

BESIDE = "beside "      # begins the value of the list for two answers; the adapter's name follows
ALONE = "alone "


@dataclass(frozen=True, slots=True)
class AskedAdapter:
    """`name`: "" for the base, None where the model has no adapters. `has_base`: two answers, of the base and of the adapter."""

    name: str | None = None
    has_base: bool = False

    @property
    def value(self) -> str:
        return f"{BESIDE if self.has_base else ALONE}{self.name or ''}"


BASE = AskedAdapter()


def read_choice(value: str) -> AskedAdapter | None:
    """The choice of a value of the list; None for any other text."""
    for start in (BESIDE, ALONE):
        if value.startswith(start):
            return AskedAdapter(value.removeprefix(start), start == BESIDE and value != BESIDE)
    return None


def asked_adapter(status: Status, session: ChatSession) -> AskedAdapter:
    """What a message asks for, which the list shows. A new chat begins with the adapter that was loaded with the model."""
    if session.adapter:
        return read_choice(session.adapter) or AskedAdapter()
    if not status.adapters:
        return AskedAdapter()
    return AskedAdapter("" if session.path else status.adapter)


def composer_html(status: Status, session: ChatSession, language: str) -> str:
    """The lists beside the message box: of efforts of thought, and of adapters."""
    adapters = adapters_html(status.adapters, asked_adapter(status, session), language)
    return thinking_html(status.thinking, session.effort, language) + adapters


def adapters_html(names: Sequence[str], asked: AskedAdapter, language: str) -> str:
    """Empty where nothing can be chosen. A chosen adapter that was removed stays in the list, and says so."""
    if not names and not asked.name:
        return ""
    choices = [(AskedAdapter(""), text(language, "adapter.none")), *((AskedAdapter(name), name) for name in names),
               *((AskedAdapter(name, has_base=True), text(language, "adapter.beside", name=name)) for name in names)]
    if asked.name and asked.name not in names:
        choices.append((asked, text(language, "adapter.gone", name=asked.name)))
    options = "".join(f'<option value="{html.escape(choice.value)}"{" selected" if choice == asked else ""}>{html.escape(label)}</option>'
                      for choice, label in choices)
    label, info = (html.escape(text(language, key)) for key in ("adapter.title", "adapter.info"))
    return (f'<label class="mc-think" title="{info}"><span>{label}</span>'
            f'<select data-act="adapter" data-id="0" aria-label="{label}">{options}</select></label>')
