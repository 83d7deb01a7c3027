"""The Knowledge tab: collections of files that chats are answered from. Handlers only unpack and pass on."""

from __future__ import annotations

from typing import Any

import gradio as gr

from engine.settings import NO_MODEL

from ..compat import event_data
from ..shared.actions import Click
from ..shared.context import SILENT, PageBuilder, busy, changes
from . import actions
from .content import KnowledgeContent
from .parts import KnowledgeParts, build_parts
from .session import KnowledgeSession

WORK: dict[str, Any] = {**SILENT, "trigger_mode": "multiple"}


def build_knowledge_tab(builder: PageBuilder, tab: gr.Tab, menu: gr.HTML, wake: gr.State) -> None:
    """`menu`: of the chat, from which collections are chosen.

    `wake` is counted up when a job changed, and when another language was chosen.
    """
    session, parts = gr.State(KnowledgeSession()), build_parts(builder, menu)
    _wire_collections(builder, parts, session)
    _wire_documents(builder, parts, session)
    _wire_trial(builder, parts, session)
    _wire_models(builder, parts, session, tab)
    _wire_updates(builder, parts, session, tab, wake)


def _shown(builder: PageBuilder, parts: KnowledgeParts, session: KnowledgeSession, request: gr.Request, message: str = "") -> Any:
    values = KnowledgeContent(builder.context(request), session).values(parts)
    return {**values, parts.bus: message} if message else values


def _wire_collections(builder: PageBuilder, parts: KnowledgeParts, session_state: gr.State) -> None:
    def act(event: gr.EventData, session: KnowledgeSession, request: gr.Request) -> Any:
        data = event_data(event)
        name, value = str(data.get("do") or ""), str(data.get("value") or "")
        message = actions.perform(builder.context(request), session, Click(name, value, value))
        return _shown(builder, parts, session, request, message)

    def create(name: str, session: KnowledgeSession, request: gr.Request) -> Any:
        actions.create(builder.context(request), session, name or "")
        values = _shown(builder, parts, session, request)
        return values if session.problem else {**values, parts.name: ""}

    for source in (parts.collections, parts.head, parts.progress, parts.documents, parts.trial.found):
        source.act(act, session_state, parts.outputs, **WORK)
    gr.on([parts.create.click, parts.name.submit], create, [parts.name, session_state], [*parts.outputs, parts.name], **WORK)


def _wire_documents(builder: PageBuilder, parts: KnowledgeParts, session_state: gr.State) -> None:
    add = parts.add

    def upload(paths: list[str] | None, session: KnowledgeSession, request: gr.Request) -> Any:
        actions.add_files(builder.context(request), session, paths or [])
        return _shown(builder, parts, session, request)

    def get(name: str, column: str, session: KnowledgeSession, request: gr.Request) -> Any:
        actions.add_dataset(builder.context(request), session, name or "", column or "")
        return _shown(builder, parts, session, request)

    def read(folder: str, session: KnowledgeSession, request: gr.Request) -> Any:
        actions.add_folder(builder.context(request), session, folder or "")
        return _shown(builder, parts, session, request)

    add.upload.upload(upload, [add.upload, session_state], parts.outputs, trigger_mode="multiple", **busy(parts.documents))
    gr.on([add.get.click, add.dataset.submit], get, [add.dataset, add.column, session_state], parts.outputs, **busy(parts.documents))
    gr.on([add.read.click, add.folder.submit], read, [add.folder, session_state], parts.outputs, **busy(parts.documents))


def _wire_trial(builder: PageBuilder, parts: KnowledgeParts, session_state: gr.State) -> None:
    trial = parts.trial

    def search(query: str, mode: str, session: KnowledgeSession, request: gr.Request) -> Any:
        actions.search(builder.context(request), session, query or "", mode or "")
        return _shown(builder, parts, session, request)

    gr.on([trial.search.click, trial.query.submit], search, [trial.query, trial.mode, session_state], parts.outputs, **busy(trial.found))


def _wire_models(builder: PageBuilder, parts: KnowledgeParts, session_state: gr.State, tab: gr.Tab) -> None:
    models = parts.models

    def use(embedder: str, reranker: str, session: KnowledgeSession, request: gr.Request) -> Any:
        actions.use_models(builder.context(request), session, embedder or "", reranker or "")
        return {**_shown(builder, parts, session, request), **(named(request) if not session.problem else {})}

    def named(request: gr.Request) -> dict[gr.blocks.Block, str]:
        """Only for the operator: a name may be the path of a folder."""
        context = builder.context(request)
        if not context.library.permissions.is_operator(context.visitor):
            return {}
        embedders = context.knowledge.embedders
        return {models.embedder: embedders.name or NO_MODEL, models.reranker: embedders.reranker or NO_MODEL}

    def arrive(request: gr.Request) -> Any:
        return changes(named(request))

    models.use.click(use, [models.embedder, models.reranker, session_state], [*parts.outputs, models.embedder, models.reranker], **WORK)
    tab.select(arrive, None, [models.embedder, models.reranker], **WORK)


def _wire_updates(builder: PageBuilder, parts: KnowledgeParts, session_state: gr.State, tab: gr.Tab, wake: gr.State) -> None:
    """When the tab is opened, while documents are being read, and when a job or the language changed."""
    def progress(session: KnowledgeSession, request: gr.Request) -> Any:
        return KnowledgeContent(builder.context(request), session).progress(parts)

    def refresh(session: KnowledgeSession, request: gr.Request) -> Any:
        return _shown(builder, parts, session, request) if session.is_open else gr.skip()

    def arrive(session: KnowledgeSession, request: gr.Request) -> Any:
        session.is_open = True
        return _shown(builder, parts, session, request)

    parts.timer.tick(progress, session_state, parts.changing, **WORK)
    wake.change(refresh, session_state, parts.outputs, **WORK)
    tab.select(arrive, session_state, parts.outputs, **WORK)
