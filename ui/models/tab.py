"""The Models tab: find a model, see whether it fits, download it, load it. Handlers connect the components with the actions."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, cast

import gradio as gr

from engine.hub import HubQuery

from ..compat import event_data
from ..shared.context import SILENT, PageBuilder, changes
from ..shared.language import language_of
from . import actions, view
from .actions import perform
from .content import TabContent
from .operation import add_key, save_limits
from .parts import FORMATS, LICENCES, SIZES, SORTS, TASKS, ModelsTab, build_parts, html_part
from .remote import ask_server, connect_server
from .session import ModelsSession

QUIET: dict[str, Any] = {**SILENT, "trigger_mode": "multiple"}
MAX_SHOWN_NAME = 120


def build_models_tab(builder: PageBuilder, tab: gr.Tab, strip: gr.HTML) -> ModelsTab:
    models = build_parts(builder)
    _wire_search(builder, models)
    _wire_buttons(builder, models, strip)
    _wire_load_options(builder, models)
    _wire_token(builder, models)
    _wire_remote(builder, models)
    _wire_operation(builder, models)
    _wire_refresh(builder, models, tab)
    return models


def jobs_strip() -> gr.HTML:
    """The component with the lines of jobs. It is below the tabs, so that it is visible in each of them."""
    return html_part("jobs")


def _content(builder: PageBuilder, session: ModelsSession, request: gr.Request) -> TabContent:
    return TabContent(builder.context(request), session)


def _loading(models: ModelsTab, name: str, request: gr.Request) -> dict[gr.blocks.Block, Any]:
    """What is shown while the hub is queried for a model."""
    return {models.detail.about: view.loading_html(name[:MAX_SHOWN_NAME], language_of(request))}


def _wire_search(builder: PageBuilder, models: ModelsTab) -> None:
    filters = models.filters

    def search(typed: str, task: str, size: str, licence: str, gated: str, sort: str, form: str, session: ModelsSession,
               request: gr.Request) -> Generator[Any, None, None]:
        if typed.strip():
            yield _loading(models, typed.strip(), request)
        actions.search(builder.context(request), session, typed, _query(task, size, licence, gated, sort, form))
        yield _content(builder, session, request).values(models)

    gr.on([filters.typed.submit, *(each.input for each in filters.choices)], search, [filters.typed, *filters.choices, models.session],
          models.outputs, **QUIET)


def _query(task: str, size: str, licence: str, gated: str, sort: str, form: str) -> HubQuery:
    """Return the filters as a query. Values that the dropdowns do not offer are ignored."""
    smallest, largest = SIZES.get(size, (None, None))
    return HubQuery(
        task=task if task in TASKS else TASKS[0], min_parameters=smallest, max_parameters=largest,
        licence=licence if licence in LICENCES else "", gated={"yes": True, "no": False}.get(gated),
        sort=cast(Any, sort) if sort in SORTS else "downloads", format=form if form in FORMATS else FORMATS[0])


def _wire_buttons(builder: PageBuilder, models: ModelsTab, strip: gr.HTML) -> None:
    session_state, outputs, load = models.session, models.outputs, models.detail.load

    def act(event: gr.EventData, session: ModelsSession, request: gr.Request) -> Generator[Any, None, None]:
        data = event_data(event)
        name, value = data.get("do"), data.get("value")
        if name == "choose":
            yield _loading(models, str(value), request)
        perform(builder.context(request), session, name, value)
        yield _content(builder, session, request).values(models)

    def press(name: str, session: ModelsSession, request: gr.Request, value: str = "") -> Any:
        perform(builder.context(request), session, name, value)
        return _content(builder, session, request).values(models)

    def press_primary(session: ModelsSession, request: gr.Request) -> Any:
        primary = _content(builder, session, request).primary
        return press(primary.action, session, request, primary.value)

    def save(session: ModelsSession, request: gr.Request) -> Any:
        return press("save", session, request)

    def unload(session: ModelsSession, request: gr.Request) -> Any:
        return press("unload", session, request)

    sources = (models.listing, models.disk, models.remote.connections, models.operation.visitors, models.operation.keys,
               models.detail.about, models.detail.problem, strip)
    for source in sources:
        source.act(act, session_state, outputs, **QUIET)
    load.primary.click(press_primary, session_state, outputs, **QUIET)
    load.save.click(save, session_state, outputs, **QUIET)
    load.unload.click(unload, session_state, outputs, **QUIET)


def _wire_load_options(builder: PageBuilder, models: ModelsTab) -> None:
    load = models.detail.load

    def choose(quantization: str, context: int, visitors: float | None, device: str | None, stops: bool, session: ModelsSession,
               request: gr.Request) -> Any:
        session.choose_options(quantization, context, visitors, device, stops)
        values = _content(builder, session, request).values(models)
        del values[load.visitors]       # the visitor may be typing in it
        return values

    gr.on([each.input for each in load.options], choose, [*load.options, models.session], models.outputs, **QUIET)


def _wire_token(builder: PageBuilder, models: ModelsTab) -> None:
    detail = models.detail

    def use_token(typed: str, session: ModelsSession, request: gr.Request) -> Any:
        actions.use_token(builder.context(request), session, typed)
        return {**_content(builder, session, request).values(models), detail.token: ""}

    gr.on([detail.use_token.click, detail.token.submit], use_token, [detail.token, models.session], models.outputs, **QUIET)


def _wire_remote(builder: PageBuilder, models: ModelsTab) -> None:
    remote = models.remote

    def ask(address: str, key: str, session: ModelsSession, request: gr.Request) -> Any:
        ask_server(builder.context(request), session, address, key)
        values = _content(builder, session, request).values(models)
        if session.server:
            names = [each.name for each in session.server.models]
            values[remote.model] = gr.update(choices=names, value=names[0] if names else "")
        return values

    def connect(address: str, key: str, keeps_key: bool, model: str | None, session: ModelsSession, request: gr.Request) -> Any:
        connect_server(builder.context(request), session, address, key, model if isinstance(model, str) else "", keeps_key)
        values = _content(builder, session, request).values(models)
        return values if session.server_problem else {**values, remote.key: ""}

    typed = [remote.address, remote.key]
    gr.on([remote.ask.click, remote.address.submit, remote.key.submit], ask, [*typed, models.session], models.outputs, **QUIET)
    remote.connect.click(connect, [*typed, remote.keeps_key, remote.model, models.session], [*models.outputs, remote.key], **QUIET)


def _wire_operation(builder: PageBuilder, models: ModelsTab) -> None:
    operation = models.operation

    def save(request: gr.Request, session: ModelsSession, *typed: Any) -> Any:
        save_limits(builder.context(request), session, typed)
        return {**_content(builder, session, request).values(models), **operation.limit_values(builder)}

    def make_key(name: str, session: ModelsSession, request: gr.Request) -> Any:
        is_made = add_key(builder.context(request), session, name)
        values = _content(builder, session, request).values(models)
        return {**values, operation.key_name: ""} if is_made else values

    operation.save.click(save, [models.session, *operation.limits], [*models.outputs, *operation.limits], **QUIET)
    gr.on([operation.add_key.click, operation.key_name.submit], make_key, [operation.key_name, models.session],
          [*models.outputs, operation.key_name], **QUIET)


def _wire_refresh(builder: PageBuilder, models: ModelsTab, tab: gr.Tab) -> None:
    def open_tab(session: ModelsSession, request: gr.Request) -> Generator[Any, None, None]:
        """The first time, show the model that the page's address names."""
        is_first, session.is_open = not session.is_open, True
        named = str(dict(request.query_params or {}).get("model", "")).strip()
        if is_first and named and session.model is None:
            yield _loading(models, named, request)
            perform(builder.context(request), session, "choose", named)
        yield {**refresh(session, request), **models.operation.limit_values(builder)}

    def refresh(session: ModelsSession, request: gr.Request) -> Any:
        if not session.is_open:
            return changes({})
        if session.model is not None:
            session.model = builder.library.refreshed(session.model)
        return _content(builder, session, request).values(models)

    models.wake.change(refresh, models.session, models.outputs, **QUIET)
    tab.select(open_tab, models.session, [*models.outputs, *models.operation.limits], **QUIET)
