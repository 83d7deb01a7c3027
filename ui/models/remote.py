"""Models on other servers, in the Models tab: the kept connections, and the form for a new one."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import EngineError, Secret
from engine.remote import Connection

from ..shared.context import Context, PageBuilder
from ..shared.errors import sentence
from ..shared.html import ACTION_JS, action_button
from ..shared.language import number, text
from .session import ModelsSession

MAX_ADDRESS, MAX_KEY, MAX_MODEL = 500, 500, 300


@dataclass(frozen=True)
class RemoteParts:
    """`box` is hidden from visitors who may not use other servers."""

    box: gr.Column
    connections: gr.HTML
    address: gr.Textbox
    key: gr.Textbox
    keeps_key: gr.Checkbox
    ask: gr.Button
    answer: gr.HTML
    model_box: gr.Row
    model: gr.Dropdown
    connect: gr.Button

    @property
    def outputs(self) -> list[Any]:
        return [self.box, self.connections, self.answer, self.model_box, self.model]


def build_remote_parts(builder: PageBuilder) -> RemoteParts:
    with gr.Column(visible=False, elem_id="mc-remote-box") as box:
        connections = gr.HTML("", elem_id="mc-remote", apply_default_css=False, js_on_load=ACTION_JS)
        with builder.labelled(gr.Accordion, {"label": "remote.add"}, open=False, elem_id="mc-remote-add"):
            address = builder.labelled(gr.Textbox, {"label": "remote.address", "info": "remote.address.info"}, lines=1, max_lines=1,
                                       max_length=MAX_ADDRESS, placeholder="http://192.168.1.20:8000", elem_id="mc-remote-address")
            key = builder.labelled(gr.Textbox, {"label": "remote.key", "info": "remote.key.info"}, type="password", lines=1, max_lines=1,
                                   max_length=MAX_KEY, elem_id="mc-remote-key")
            keeps_key = builder.labelled(gr.Checkbox, {"label": "remote.keep", "info": "remote.keep.info"}, value=False,
                                         elem_id="mc-remote-keep")
            ask = builder.labelled(gr.Button, {"value": "remote.ask"}, size="sm", elem_id="mc-remote-ask", min_width=120)
            answer = gr.HTML("", elem_id="mc-remote-answer", apply_default_css=False)
            with gr.Row(visible=False, elem_classes="mc-token-row") as model_box:
                model = builder.labelled(gr.Dropdown, {"label": "remote.model"}, choices=[], allow_custom_value=True, min_width=200,
                                         scale=3, elem_id="mc-remote-model")
                connect = builder.labelled(gr.Button, {"value": "remote.connect"}, variant="primary", size="sm", min_width=160, scale=0,
                                           elem_id="mc-remote-connect")
    return RemoteParts(box, connections, address, key, keeps_key, ask, answer, model_box, model, connect)


def remote_values(context: Context, session: ModelsSession, parts: RemoteParts) -> dict[gr.blocks.Block, Any]:
    remote, language = context.library.remote, context.language
    spec = context.engine.spec
    answer = session.server
    names = [each.name for each in answer.models] if answer else []
    may_connect = remote.may_connect(context.visitor)
    return {
        parts.box: gr.update(visible=may_connect),
        parts.connections: connections_html(remote.connections(context.visitor), spec.model if spec else "", language),
        parts.answer: answer_html(session.server_problem or (_failed_load(context) if may_connect else None), session, language),
        parts.model_box: gr.update(visible=answer is not None),
        parts.model: gr.update(choices=names) if answer else gr.skip(),
    }


def connections_html(connections: Sequence[Connection], loaded: str, language: str) -> str:
    title = html.escape(text(language, "remote.title"))
    note = html.escape(text(language, "remote.note"))
    rows = "".join(_row(each, each.spec_model == loaded, language) for each in connections)
    body = f'<ul class="mc-disk">{rows}</ul>' if rows else f'<p class="mc-note">{note}</p>'
    return f"<h2>{title}</h2>{body}"


def _row(each: Connection, is_loaded: bool, language: str) -> str:
    name = html.escape(each.name)
    state = f'<span class="mc-verdict is-good">{html.escape(text(language, "models.loaded"))}</span>' if is_loaded else ""
    use = action_button(text(language, "remote.use"), "use-remote", each.name,
                        extra=f' aria-label="{html.escape(text(language, "remote.use.of", name=each.name))}"')
    delete = action_button(text(language, "disk.delete"), "forget-remote", each.name, extra=(
        f' aria-label="{html.escape(text(language, "disk.delete.of", name=each.name))}"'
        f' data-confirm="{html.escape(text(language, "remote.confirm", name=each.name))}"'))
    buttons = state if is_loaded else use + delete
    facts = html.escape(" · ".join((each.model, each.host)))
    return f'<li><div class="mc-remote-name"><b>{name}</b><span class="mc-note">{facts}</span></div><div>{buttons}</div></li>'


def answer_html(problem: Exception | None, session: ModelsSession, language: str) -> str:
    if problem is not None:
        return f'<div class="mc-problem" role="alert">{html.escape(sentence(problem, language))}</div>'
    answer = session.server
    if answer is None:
        return ""
    found = text(language, "remote.found" if answer.models else "remote.no_list", count=number(language, len(answer.models)),
                 address=answer.address, seconds=number(language, answer.seconds, 1))
    return f'<p class="mc-note" role="status">{html.escape(found)}</p>'


def _failed_load(context: Context) -> Exception | None:
    load = context.engine.latest_load
    return load.error if load and load.spec.is_remote and isinstance(load.error, Exception) else None


# --- actions ---

def ask_server(context: Context, session: ModelsSession, address: str, key: str) -> None:
    session.server = session.server_problem = None
    try:
        session.server = context.library.remote.ask(address[:MAX_ADDRESS], Secret(key.strip()[:MAX_KEY]), context.visitor)
    except EngineError as error:
        session.server_problem = error


def connect_server(context: Context, session: ModelsSession, address: str, key: str, model: str, keeps_key: bool) -> None:
    session.server_problem = None
    try:
        context.library.remote.connect(address[:MAX_ADDRESS], model.strip()[:MAX_MODEL], Secret(key.strip()[:MAX_KEY]), context.visitor,
                                       keeps_key=keeps_key)
        session.server = None
    except EngineError as error:
        session.server_problem = error

