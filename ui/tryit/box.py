"""The Try it box: one input for each task, and its result. Shown while a model for a task is loaded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import EngineError
from engine.messages import Waiting
from engine.pipelines import MAX_CHARS, TaskInput, TaskResult

from ..shared.context import SILENT, Context, PageBuilder
from ..shared.language import text
from . import view
from .session import TrySession

TOP = 10
QUESTION, LANGUAGES = "question-answering", ("translation",)
PAIRS = (QUESTION, "text-classification")       # tasks with a second text


@dataclass(frozen=True)
class TryIt:
    """`second`: the text of a question, or the second one of a pair."""

    session: gr.State
    box: gr.Column
    head: gr.HTML
    given: gr.Textbox
    second: gr.Textbox
    languages: gr.Row
    source: gr.Textbox
    target: gr.Textbox
    run: gr.Button
    stop: gr.Button
    result: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """Those whose values depend on the loaded model."""
        return [self.box, self.head, self.given, self.second, self.languages]


def build_tryit(builder: PageBuilder) -> TryIt:
    """Components and events. `tryit_values` shows the box for the model that is loaded."""
    session = gr.State(TrySession())
    with gr.Column(visible=False, elem_id="mc-try", elem_classes="mc-try") as box:
        head = gr.HTML("", elem_id="mc-try-head", apply_default_css=False)
        given = gr.Textbox("", label="…", lines=3, max_lines=12, max_length=MAX_CHARS, elem_id="mc-try-text")
        second = gr.Textbox("", label="…", lines=4, max_lines=16, max_length=MAX_CHARS, elem_id="mc-try-second")
        with gr.Row(visible=False) as languages:
            source = builder.labelled(gr.Textbox, {"label": "try.source", "info": "try.language.info"}, lines=1, max_lines=1, max_length=40,
                                      min_width=140, elem_id="mc-try-source")
            target = builder.labelled(gr.Textbox, {"label": "try.target"}, lines=1, max_lines=1, max_length=40, min_width=140,
                                      elem_id="mc-try-target")
        with gr.Row(elem_classes="mc-load-acts"):
            run = builder.labelled(gr.Button, {"value": "try.run"}, variant="primary", elem_id="mc-try-run", min_width=120)
            stop = builder.labelled(gr.Button, {"value": "chat.stop"}, visible=False, elem_id="mc-try-stop", min_width=120)
        result = gr.HTML("", elem_id="mc-try-result", apply_default_css=False)
    tryit = TryIt(session, box, head, given, second, languages, source, target, run, stop, result)
    _wire(builder, tryit)
    return tryit


def tryit_values(context: Context, tryit: TryIt) -> dict[gr.blocks.Block, Any]:
    """What the box shows for the model that is loaded now; hidden while that one chats."""
    status, language = context.engine.status(), context.language
    task = status.task if status.state in ("ready", "asleep") else ""
    if not task:
        return {tryit.box: gr.update(visible=False)}
    pair = text(language, f"try.second.{task}") if task in PAIRS else ""
    return {tryit.box: gr.update(visible=True), tryit.head: view.head_html(status.model, task, language),
            tryit.given: gr.update(label=text(language, f"try.text.{task}"), placeholder=text(language, f"try.example.{task}")),
            tryit.second: gr.update(label=pair or "…", visible=bool(pair)), tryit.languages: gr.update(visible=task in LANGUAGES)}


def attempt(context: Context, session: TrySession, given: str, second: str, source: str = "", target: str = "") -> Iterator[str]:
    """HTML of each step: waiting, then the result, or why there is none."""
    stop = session.stop = threading.Event()
    language, engine = context.language, context.engine
    task = engine.status().task
    try:
        asked = TaskInput((given,), second if task in PAIRS else "", TOP, source.strip(), target.strip(),
                          may_be_unanswered=task == QUESTION)
        yield view.waiting_html(0, language)
        is_over = False
        for event in engine.run_task(asked, stop=stop, visitor=context.visitor.owner):
            match event:
                case TaskResult():
                    is_over = True
                    yield view.result_html(event, asked, language)
                case Waiting(position):
                    yield view.waiting_html(position, language)
        if not is_over:
            yield view.stopped_html(language)
    except EngineError as error:
        yield view.problem_html(error, language)
    finally:
        session.stop = None


def _wire(builder: PageBuilder, tryit: TryIt) -> None:
    def run(given: str, second: str, source: str, target: str, session: TrySession, request: gr.Request) -> Iterator[Any]:
        context = builder.context(request)
        yield {tryit.run: gr.update(interactive=False), tryit.stop: gr.update(visible=True)}
        for shown in attempt(context, session, given or "", second or "", source or "", target or ""):
            yield {tryit.result: shown}
        yield {tryit.run: gr.update(interactive=True), tryit.stop: gr.update(visible=False)}

    def stop(session: TrySession) -> None:
        if session.stop is not None:
            session.stop.set()

    gr.on([tryit.run.click, tryit.target.submit], run,
          [tryit.given, tryit.second, tryit.source, tryit.target, tryit.session], [tryit.result, tryit.run, tryit.stop], **SILENT)
    tryit.stop.click(stop, tryit.session, None, **{**SILENT, "queue": False})
