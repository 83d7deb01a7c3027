"""The Code agent tab: a task, the steps towards it, and what came of them. Handlers only unpack and pass on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import EngineError

from ..shared.context import QUICK, SILENT, PageBuilder, busy
from ..shared.html import problem_box
from ..shared.language import language_of
from ..shared.pace import Pace
from ..shared.visitor import owner_of
from . import actions, view
from .actions import Hands
from .session import AgentSession

MAX_FOLLOWERS = 64
WORK: dict[str, Any] = {**SILENT, "trigger_mode": "multiple", "concurrency_limit": MAX_FOLLOWERS, "concurrency_id": "agent"}
BUS_JS = """
mindcubes.agent = detail => trigger('act', detail);
watch('value', () => mindcubes.receive(element));
"""
NEWS_JS = "watch('value', () => mindcubes.patch('mc-steps', element)); mindcubes.patch('mc-steps', element);"


@dataclass(frozen=True)
class AgentTab:
    """What `ui/app.py` wires to the rest of the page."""

    respoken: tuple[Any, ...]       # a function with its inputs and outputs, for a change of language


@dataclass(frozen=True)
class Parts:
    """`news`: the timeline as it is now; the browser puts what changed of it into sight."""

    runs: gr.HTML
    new: gr.Button
    badge: gr.HTML
    welcome: gr.HTML
    news: gr.HTML
    problem: gr.HTML
    uploads: gr.HTML
    task: gr.Textbox
    attach: gr.UploadButton
    approve: gr.Checkbox
    stop: gr.Button
    send: gr.Button
    bus: gr.HTML


def build_agent_tab(shared: PageBuilder, tab: gr.Tab) -> AgentTab:
    session = gr.State(AgentSession())
    follow, ended = gr.State(0), gr.State(0)        # which work to follow, and which has ended: a change of them is an event
    with gr.Row(elem_classes="mc-agent"):
        with gr.Column(elem_classes="mc-side mc-agent-side", elem_id="mc-agent-side"):
            new = shared.labelled(gr.Button, {"value": "agent.new"}, size="sm", min_width=0, elem_id="mc-agent-new")
            runs = _html("agent-runs")
        with gr.Column(elem_classes="mc-agent-main", elem_id="mc-agent-main"):
            badge = _html("agent-badge")
            with gr.Column(elem_classes="mc-agent-scroll", elem_id="mc-agent-scroll"):
                welcome = _html("agent-welcome")
                gr.HTML('<div id="mc-steps"></div>', elem_id="mc-steps-box", apply_default_css=False)
            news = _html("agent-news", NEWS_JS)
            with gr.Column(scale=0, elem_classes="mc-composer"):
                problem, uploads = _html("agent-problem"), _html("agent-uploads")
                task = shared.labelled(
                    gr.Textbox, {"label": "agent.task", "placeholder": "agent.placeholder"}, show_label=False, container=False,
                    lines=1, max_lines=8, elem_id="mc-task", elem_classes="mc-message")
                with gr.Row(elem_classes="mc-actions"):
                    attach = shared.labelled(gr.UploadButton, {"label": "attach.title"}, size="sm", elem_id="mc-agent-attach",
                                             file_count="multiple", min_width=0)
                    approve = shared.labelled(gr.Checkbox, {"label": "agent.approve_first"}, value=True, container=False,
                                              elem_id="mc-approve", min_width=0)
                    stop = shared.labelled(gr.Button, {"value": "chat.stop"}, size="sm", min_width=0, variant="stop", visible=False,
                                           elem_id="mc-agent-stop")
                    send = shared.labelled(gr.Button, {"value": "agent.send"}, size="sm", min_width=0, variant="primary",
                                           elem_id="mc-agent-send")
    bus = _html("agent-bus", BUS_JS)
    parts = Parts(runs, new, badge, welcome, news, problem, uploads, task, attach, approve, stop, send, bus)
    return AgentTab(_wire(shared, session, tab, parts, follow, ended))


def _html(name: str, js_on_load: str | None = None) -> gr.HTML:
    return gr.HTML("", elem_id=f"mc-{name}", apply_default_css=False, js_on_load=js_on_load)


def _wire(shared: PageBuilder, session: gr.State, tab: gr.Tab, parts: Parts, follow: gr.State, ended: gr.State) -> tuple[Any, ...]:
    agent_sessions = shared.agent_sessions
    outputs = [parts.news, parts.welcome, parts.runs, parts.problem, parts.uploads, parts.stop, parts.bus]

    def hands(request: gr.Request, approves: bool = True) -> Hands:
        return Hands(agent_sessions, language_of(request), bool(approves))

    def timeline(session: AgentSession, language: str) -> str:
        folder = agent_sessions.folder(session.run.id) if session.run else None
        return view.timeline_html(session.run, language, folder)

    def rendered(session: AgentSession, request: gr.Request, letter: str = "") -> list[Any]:
        language, problem = language_of(request), session.problem
        try:
            runs = view.runs_html(agent_sessions.list(session.owner), session.run.id if session.run else "", language)
        except EngineError as error:
            runs, problem = "", problem or error
        is_working = session.run is not None and session.run.is_working
        return [timeline(session, language), "" if session.run else view.welcome_html(language, is_builtin=shared.is_builtin), runs,
                problem_box(problem, language) if problem else "", view.uploads_html(session.uploads, language),
                gr.update(visible=is_working), letter or gr.skip()]

    def begun(session: AgentSession, request: gr.Request, letter: str = "") -> list[Any]:
        return [*rendered(session, request, letter), session.following if session.must_follow else gr.skip()]

    def known(session: AgentSession, request: gr.Request) -> AgentSession:
        session.owner = session.owner or owner_of(request)
        return session

    def send(request: gr.Request, line: str, approves: bool, session: AgentSession) -> list[Any]:
        letter = actions.start(hands(request, approves), known(session, request), line)
        return begun(session, request, letter)

    def act(event: gr.EventData, request: gr.Request, approves: bool, session: AgentSession) -> list[Any]:
        data = event._data if isinstance(event._data, dict) else {}
        letter = actions.perform(hands(request, approves), known(session, request), data.get("do"), data.get("value"))
        return begun(session, request, letter)

    def new(request: gr.Request, session: AgentSession) -> list[Any]:
        letter = actions.perform(hands(request), known(session, request), "new", "")
        return begun(session, request, letter)

    def grow(request: gr.Request, session: AgentSession) -> Iterator[Any]:
        """Follow the work until it ends or the page turns away. Only one output: each one costs at every update."""
        if session.run is None or not session.must_follow:
            yield [gr.skip(), gr.skip()]
            return
        language, turn, pace = language_of(request), session.following, Pace()
        session.must_follow = False
        for run in agent_sessions.follow(session.owner, session.run.id):
            if session.following != turn:
                break
            session.run = run
            if pace.is_due():
                pace.began()
                page = timeline(session, language)
                yield [page, gr.skip()]
                pace.ended(len(page))
        yield [gr.skip(), session.following if session.following == turn else gr.skip()]

    def end(request: gr.Request, session: AgentSession) -> list[Any]:
        if session.run is None or agent_sessions.is_working(session.run.id):
            return [gr.skip()] * len(outputs)
        try:
            session.run = agent_sessions.get(session.owner, session.run.id)
        except EngineError as error:
            session.turn_to(None)
            session.problem = error
        return rendered(session, request)

    def attach(paths: list[str] | None, request: gr.Request, session: AgentSession) -> list[Any]:
        actions.attach(known(session, request), paths or [])
        return rendered(session, request)

    def stop(session: AgentSession) -> None:
        if session.run is not None:
            agent_sessions.stop(session.owner, session.run.id)

    def badge(request: gr.Request) -> str:
        return view.badge_html(agent_sessions.sandbox, agent_sessions.options.run_timeout_s, language_of(request))

    def arrive(request: gr.Request, session: AgentSession) -> list[Any]:
        """The tab was opened. The first time in this process, the sandboxes are probed now, if that has not been done yet."""
        is_first, session.is_open = not session.is_open, True
        wanted = str(dict(request.query_params or {}).get("run", ""))
        if is_first and wanted and known(session, request).run is None:
            actions.perform(hands(request), session, "open", wanted)
        sandbox = agent_sessions.sandbox
        asks = gr.update(value=sandbox is None or sandbox.tier != "wasm") if is_first else gr.skip()
        return [*begun(known(session, request), request), badge(request), asks]

    def respoken(request: gr.Request, session: AgentSession) -> list[Any]:
        if not session.is_open:
            return [gr.skip()] * (len(outputs) + 1)
        return [*rendered(known(session, request), request), badge(request)]

    gr.on([parts.send.click, parts.task.submit], send, [parts.task, parts.approve, session], [*outputs, follow], **WORK)
    parts.bus.act(act, [parts.approve, session], [*outputs, follow], **WORK)
    parts.new.click(new, session, [*outputs, follow], **WORK)
    tab.select(arrive, session, [*outputs, follow, parts.badge, parts.approve], **WORK)
    follow.change(grow, session, [parts.news, ended], **WORK)
    ended.change(end, session, outputs, **WORK)
    parts.stop.click(stop, session, **QUICK)
    parts.attach.upload(attach, [parts.attach, session], outputs, **busy(parts.task))
    return respoken, session, [*outputs, parts.badge]
