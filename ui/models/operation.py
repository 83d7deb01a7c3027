"""For the operator, in the Models tab: who uses how much, limits, keys of the API, and a pause for maintenance."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from engine import EngineError
from engine.limits import Limits
from engine.visitors import VisitorUse

from ..shared.context import Context, PageBuilder
from ..shared.errors import sentence
from ..shared.html import ACTION_JS, action_button
from ..shared.language import number, text
from .session import ModelsSession

LIMITS = tuple(each.name for each in fields(Limits))
MAX_SHOWN, MAX_NAME = 50, 40
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class OperationParts:
    """`box` is hidden from everybody but the operator."""

    box: gr.Column
    visitors: gr.HTML
    limits: list[gr.Number]
    save: gr.Button
    keys: gr.HTML
    key_name: gr.Textbox
    add_key: gr.Button

    def limit_values(self, builder: PageBuilder) -> dict[gr.blocks.Block, Any]:
        """The limits as they are now: another page may have changed them."""
        known = builder.library.operation.limits()
        return {field: getattr(known, name) for field, name in zip(self.limits, LIMITS, strict=True)}

    @property
    def outputs(self) -> list[Any]:
        return [self.box, self.visitors, self.keys]


def build_operation_parts(builder: PageBuilder) -> OperationParts:
    known = builder.library.operation.limits()
    with gr.Column(visible=False, elem_id="mc-operation-box") as box, \
            builder.labelled(gr.Accordion, {"label": "operation.title"}, open=False, elem_id="mc-operation-open"):
        visitors = gr.HTML("", elem_id="mc-operation", apply_default_css=False, js_on_load=ACTION_JS)
        with gr.Row():
            limits = [builder.labelled(gr.Number, {"label": f"operation.{name}"}, value=getattr(known, name), minimum=0, precision=0,
                                       min_width=190, elem_id=f"mc-limit-{name.replace('_', '-')}") for name in LIMITS]
        save = builder.labelled(gr.Button, {"value": "operation.save"}, size="sm", elem_id="mc-save-limits", min_width=120)
        keys = gr.HTML("", elem_id="mc-keys", apply_default_css=False, js_on_load=ACTION_JS)
        with gr.Row(elem_classes="mc-token-row"):
            key_name = builder.labelled(gr.Textbox, {"label": "operation.key", "info": "operation.key.info"}, lines=1, max_lines=1,
                                        max_length=MAX_NAME, scale=3, min_width=200, elem_id="mc-key-name")
            add_key = builder.labelled(gr.Button, {"value": "operation.key.add"}, size="sm", scale=0, min_width=140, elem_id="mc-add-key")
    return OperationParts(box, visitors, limits, save, keys, key_name, add_key)


def operation_values(context: Context, session: ModelsSession, parts: OperationParts) -> dict[gr.blocks.Block, Any]:
    operation, visitor, language = context.library.operation, context.visitor, context.language
    if not operation.may_operate(visitor):
        return {parts.box: gr.update(visible=False), parts.visitors: "", parts.keys: ""}
    try:
        visitors = visitors_html(operation.today(visitor), operation.is_draining, language)
        keys = keys_html(operation.keys(visitor), session, language)
    except EngineError as error:
        visitors, keys = _problem(error, language), ""
    return {parts.box: gr.update(visible=True), parts.visitors: visitors, parts.keys: keys}


def visitors_html(uses: Sequence[VisitorUse], is_draining: bool, language: str) -> str:
    """The table of today's visitors, and the pause."""
    pause = action_button(text(language, "operation.resume"), "resume-all") if is_draining else \
        action_button(text(language, "operation.drain"), "drain")
    note = f'<p class="mc-note" role="status">{_text(language, "operation.draining")}</p>' if is_draining else ""
    return f'{_visitors(uses, language)}<div class="mc-remedies">{pause}</div>{note}'


def keys_html(keys: Sequence[str], session: ModelsSession, language: str) -> str:
    """The names of the API's keys. A new key is shown once."""
    rows = "".join(f'<li><span>{html.escape(name)}</span>{_delete(name, language)}</li>' for name in keys)
    listed = f'<ul class="mc-disk">{rows}</ul>' if rows else f'<p class="mc-note">{_text(language, "operation.no_keys")}</p>'
    made = (f'<p class="mc-note" role="status">{_text(language, "operation.made")}<br><code>{html.escape(session.made_key)}</code></p>'
            if session.made_key else "")
    problem = _problem(session.operation_problem, language) if session.operation_problem else ""
    return f'{problem}<h3>{_text(language, "operation.keys")}</h3>{listed}{made}'


def _visitors(uses: Sequence[VisitorUse], language: str) -> str:
    if not uses:
        return f'<p class="mc-note">{_text(language, "operation.nobody")}</p>'
    names = ("visitor", "running", "messages", "tokens")
    head = "".join(f'<th scope="col">{_text(language, f"operation.column.{name}")}</th>' for name in names)
    rows = "".join(f'<tr><th scope="row">{html.escape(shown_name(use))}</th>' + "".join(
        f"<td>{number(language, count)}</td>" for count in (use.running, use.messages, use.tokens)) + "</tr>" for use in uses[:MAX_SHOWN])
    return (f'<div class="mc-scroll" tabindex="0" role="region" aria-label="{_text(language, "operation.title")}">'
            f'<table class="mc-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>')


def shown_name(use: VisitorUse) -> str:
    """The name of an account or key; of anybody else the beginning of a hash, which tells visitors apart and says nothing about them."""
    return use.name or (use.visitor[:8] if HASH.fullmatch(use.visitor) else use.visitor)


def _delete(name: str, language: str) -> str:
    label, question = _text(language, "disk.delete.of", name=name), _text(language, "operation.key.confirm", name=name)
    return action_button(text(language, "disk.delete"), "delete-key", name, extra=f' aria-label="{label}" data-confirm="{question}"')


def _problem(error: Exception, language: str) -> str:
    return f'<div class="mc-problem" role="alert">{html.escape(sentence(error, language))}</div>'


def _text(language: str, key: str, **values: object) -> str:
    return html.escape(text(language, key, **values))


# --- actions ---

def save_limits(context: Context, session: ModelsSession, typed: Sequence[Any]) -> None:
    """An empty field is no limit."""
    session.made_key, session.operation_problem = "", None
    try:
        values = {name: int(value) if isinstance(value, (int, float)) and value == value else 0
                  for name, value in zip(LIMITS, typed, strict=True)}
        context.library.operation.set_limits(Limits(**values), context.visitor)
    except (EngineError, OverflowError) as error:
        session.operation_problem = error


def add_key(context: Context, session: ModelsSession, name: str) -> bool:
    """Whether a key was made; the session shows it until the next action."""
    session.made_key, session.operation_problem = "", None
    try:
        session.made_key = context.library.operation.add_key(name.strip()[:MAX_NAME], context.visitor)
    except EngineError as error:
        session.operation_problem = error
    return bool(session.made_key)
