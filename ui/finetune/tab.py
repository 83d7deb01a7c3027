"""The Fine-tune tab: from a file to a trained model in five steps. Handlers only unpack and pass on."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import gradio as gr

from ..compat import event_data
from ..shared.actions import Click
from ..shared.context import SILENT, PageBuilder, busy
from . import actions, start
from .content import TuneContent
from .parts import ROLE_KEYS, TuneParts, build_parts
from .session import FineTuneSession

WORK: dict[str, Any] = {**SILENT, "trigger_mode": "multiple"}


def build_finetune_tab(builder: PageBuilder, tab: gr.Tab, strip: gr.HTML, wake: gr.State) -> None:
    """`strip`: the list of jobs, whose buttons can show a run.

    `wake` is counted up when a job or the loaded model changed, and when another language was chosen.
    """
    session, parts = gr.State(FineTuneSession()), build_parts(builder)
    _wire_buttons(builder, parts, session, strip)
    _wire_data(builder, parts, session)
    _wire_choices(builder, parts, session)
    _wire_result(builder, parts, session)
    _wire_updates(builder, parts, session, tab, wake)


def _shown(builder: PageBuilder, parts: TuneParts, session: FineTuneSession, request: gr.Request, message: str = "") -> Any:
    values = TuneContent(builder.context(request), session).values(parts)
    return {**values, parts.bus: message} if message else values


def _wire_buttons(builder: PageBuilder, parts: TuneParts, session_state: gr.State, strip: gr.HTML) -> None:
    def act(event: gr.EventData, session: FineTuneSession, request: gr.Request) -> Generator[Any, None, None]:
        data = event_data(event)
        name = str(data.get("do") or "")
        if name in actions.SLOW:
            actions.wait(builder.context(request), session, name)
            yield _shown(builder, parts, session, request)
        yield press(name, session, request, str(data.get("value") or ""))

    def press(name: str, session: FineTuneSession, request: gr.Request, value: str = "") -> Any:
        message = actions.perform(builder.context(request), session, Click(name, value, value))
        return _shown(builder, parts, session, request, message)

    def to_map(session: FineTuneSession, request: gr.Request) -> Any:
        return press("step", session, request, "map")

    def to_model(session: FineTuneSession, request: gr.Request) -> Any:
        return press("step", session, request, "model")

    def example(session: FineTuneSession, request: gr.Request) -> Any:
        return press("example", session, request)

    def stop(session: FineTuneSession, request: gr.Request) -> Any:
        return press("stop", session, request)

    for source in (parts.steps, parts.data.shown, parts.data.runs, parts.map.example, parts.map.second, parts.model.estimate, parts.run.now,
                   parts.result.uses):
        source.act(act, session_state, parts.outputs, **WORK)
    strip.tune(act, session_state, parts.outputs, **WORK)
    parts.data.example.click(example, session_state, parts.outputs, **busy(parts.data.shown))
    parts.data.next.click(to_map, session_state, parts.outputs, **WORK)
    parts.map.next.click(to_model, session_state, parts.outputs, **WORK)
    parts.run.stop.click(stop, session_state, parts.outputs, **WORK)


def _wire_data(builder: PageBuilder, parts: TuneParts, session_state: gr.State) -> None:
    data = parts.data

    def upload(path: str, session: FineTuneSession, request: gr.Request) -> Any:
        start.read_upload(builder.context(request), session, Path(path))
        return _shown(builder, parts, session, request)

    def get(name: str, part: str | None, session: FineTuneSession, request: gr.Request) -> Any:
        found = start.read_dataset(builder.context(request), session, name, part or "")
        choice = gr.update(choices=sorted(found), value=found[0] if found else None, visible=len(found) > 1)
        return {**_shown(builder, parts, session, request), data.part: choice}

    data.upload.upload(upload, [data.upload, session_state], parts.outputs, **busy(data.shown))
    gr.on([data.get.click, data.dataset.submit, data.part.input], get, [data.dataset, data.part, session_state],
          [*parts.outputs, data.part], **busy(data.shown))


def _wire_choices(builder: PageBuilder, parts: TuneParts, session_state: gr.State) -> None:
    mapping, model = parts.map, parts.model

    def choose_columns(session: FineTuneSession, request: gr.Request, task: str, held_back: float | None, *columns: Any) -> Any:
        start.choose_columns(builder.context(request), session, task, dict(zip(ROLE_KEYS, columns, strict=True)), held_back)
        return _shown(builder, parts, session, request)

    def choose_model(session: FineTuneSession, request: gr.Request, base: str, method: str, name: str, *numbers: Any) -> Any:
        start.choose_model(builder.context(request), session, base, method, name, numbers)
        return _shown(builder, parts, session, request)

    def begin(session: FineTuneSession, request: gr.Request, base: str, method: str, name: str, *numbers: Any) -> Any:
        """Start, or download the script where nobody can train, with what is in the fields now."""
        context = builder.context(request)
        start.choose_model(context, session, base, method, name, numbers)
        message = "" if session.problems else actions.begin(context, session)
        return _shown(builder, parts, session, request, message)

    def second(path: str, session: FineTuneSession, request: gr.Request) -> Any:
        start.read_second(builder.context(request), session, Path(path))
        session.is_fresh = True
        return _shown(builder, parts, session, request)

    mapping.upload.upload(second, [mapping.upload, session_state], parts.outputs, **busy(mapping.check))
    changed = [mapping.task.input, mapping.held_back.blur, mapping.held_back.submit, *(role.input for role in mapping.roles)]
    gr.on(changed, choose_columns, [session_state, mapping.task, mapping.held_back, *mapping.roles], parts.outputs, **busy(mapping.check))
    typed = [event for number in (*model.numbers, model.name) for event in (number.blur, number.submit)]
    gr.on([model.base.input, model.method.input, *typed], choose_model, [session_state, *model.chosen], parts.outputs,
          **busy(model.estimate))
    model.start.click(begin, [session_state, *model.chosen], parts.outputs, **busy(model.estimate))


def _wire_result(builder: PageBuilder, parts: TuneParts, session_state: gr.State) -> None:
    result = parts.result

    def push(repo: str, token: str, is_private: bool, is_merged: bool, session: FineTuneSession, request: gr.Request) -> Any:
        """The token is needed once, so the field is cleared when it was used."""
        actions.push(builder.context(request), session, repo, token, is_private=bool(is_private), is_merged=bool(is_merged))
        values = _shown(builder, parts, session, request)
        return values if session.problems else {**values, result.token: ""}

    result.push.act(push, [*result.typed, session_state], [*parts.outputs, result.token], **busy(result.push))


def _wire_updates(builder: PageBuilder, parts: TuneParts, session_state: gr.State, tab: gr.Tab, wake: gr.State) -> None:
    """When the tab is opened, while a run is in progress, and when a job or the loaded model changed."""
    def progress(session: FineTuneSession, request: gr.Request) -> Any:
        return TuneContent(builder.context(request), session).progress(parts)

    def refresh(session: FineTuneSession, request: gr.Request) -> Any:
        return _shown(builder, parts, session, request) if session.is_open else gr.skip()

    def arrive(session: FineTuneSession, request: gr.Request) -> Generator[Any, None, None]:
        """The first time, show the run that the page's address names."""
        is_first, session.is_open = not session.is_open, True
        named = str(dict(request.query_params or {}).get("tune", ""))
        if is_first:
            start.use_loaded_model(builder.context(request), session)
        if is_first and named:
            actions.perform(builder.context(request), session, Click("open", named, named))
        session.is_fresh = True
        yield _shown(builder, parts, session, request)

    parts.timer.tick(progress, session_state, parts.outputs, **WORK)
    wake.change(refresh, session_state, parts.outputs, **WORK)
    tab.select(arrive, session_state, parts.outputs, **WORK)
