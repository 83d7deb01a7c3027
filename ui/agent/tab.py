"""The Code agent tab: a task, its steps, and the result. Handlers only unpack their inputs and call `actions` and `view`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import EngineError

from ..compat import event_data
from ..shared.context import QUICK, SILENT, Context, PageBuilder, busy
from ..shared.html import problem_box
from ..shared.pace import Pace
from . import actions, view
from .session import AgentSession

MAX_FOLLOWERS = 64
WORK: dict[str, Any] = {**SILENT, "trigger_mode": "multiple", "concurrency_limit": MAX_FOLLOWERS, "concurrency_id": "agent"}
BUS_JS = """
mindcubes.agent = detail => trigger('act', detail);
watch('value', () => mindcubes.receive(element));
"""
TIMELINE_JS = "watch('value', () => mindcubes.patch('mc-steps', element)); mindcubes.patch('mc-steps', element);"
Updates = dict[gr.blocks.Block, Any]


@dataclass(frozen=True)
class AgentTab:
    """What `ui/app.py` connects to the rest of the page."""

    language_change: tuple[Any, ...]        # the handler for a change of language, with its inputs and outputs


@dataclass(frozen=True)
class Components:
    """`timeline` has the whole current timeline, hidden; page.js takes over its changed sections.

    `follow` is set to the session's `following` when work must be followed, `ended` when it has ended; the change is an event.
    """

    session: gr.State
    follow: gr.State
    ended: gr.State
    runs: gr.HTML
    new: gr.Button
    badge: gr.HTML
    welcome: gr.HTML
    timeline: gr.HTML
    problem: gr.HTML
    uploads: gr.HTML
    task: gr.Textbox
    attach: gr.UploadButton
    approve: gr.Checkbox
    stop: gr.Button
    send: gr.Button
    bus: gr.HTML

    @property
    def shown(self) -> list[gr.blocks.Block]:
        """Every component that an action may change, except the badge."""
        return [self.timeline, self.welcome, self.runs, self.problem, self.uploads, self.stop, self.bus]


def build_agent_tab(builder: PageBuilder, tab: gr.Tab) -> AgentTab:
    components = _build_components(builder)
    _wire_tasks(builder, components)
    _wire_following(builder, components)
    return AgentTab(_wire_opening(builder, components, tab))


def _build_components(builder: PageBuilder) -> Components:
    session, follow, ended = gr.State(AgentSession()), gr.State(0), gr.State(0)
    with gr.Row(elem_classes="mc-agent"):
        with gr.Column(elem_classes="mc-side mc-agent-side", elem_id="mc-agent-side"):
            new = builder.labelled(gr.Button, {"value": "agent.new"}, size="sm", min_width=0, elem_id="mc-agent-new")
            runs = _html("agent-runs")
        with gr.Column(elem_classes="mc-agent-main", elem_id="mc-agent-main"):
            badge = _html("agent-badge")
            with gr.Column(elem_classes="mc-agent-scroll", elem_id="mc-agent-scroll"):
                welcome = _html("agent-welcome")
                gr.HTML('<div id="mc-steps"></div>', elem_id="mc-steps-box", apply_default_css=False)
            timeline = _html("agent-timeline", TIMELINE_JS)
            with gr.Column(scale=0, elem_classes="mc-composer"):
                problem, uploads = _html("agent-problem"), _html("agent-uploads")
                task = builder.labelled(
                    gr.Textbox, {"label": "agent.task", "placeholder": "agent.placeholder"}, show_label=False, container=False,
                    lines=1, max_lines=8, elem_id="mc-task", elem_classes="mc-message")
                with gr.Row(elem_classes="mc-actions"):
                    attach = builder.labelled(gr.UploadButton, {"label": "attach.title"}, size="sm", elem_id="mc-agent-attach",
                                             file_count="multiple", min_width=0)
                    approve = builder.labelled(gr.Checkbox, {"label": "agent.approve_first"}, value=True, container=False,
                                              elem_id="mc-approve", min_width=0)
                    stop = builder.labelled(gr.Button, {"value": "chat.stop"}, size="sm", min_width=0, variant="stop", visible=False,
                                           elem_id="mc-agent-stop")
                    send = builder.labelled(gr.Button, {"value": "agent.send"}, size="sm", min_width=0, variant="primary",
                                           elem_id="mc-agent-send")
    bus = _html("agent-bus", BUS_JS)
    return Components(session, follow, ended, runs, new, badge, welcome, timeline, problem, uploads, task, attach, approve, stop, send,
                      bus)


def _html(name: str, js_on_load: str | None = None) -> gr.HTML:
    return gr.HTML("", elem_id=f"mc-{name}", apply_default_css=False, js_on_load=js_on_load)


# --- what is shown ---

def _context(builder: PageBuilder, request: gr.Request, session: AgentSession) -> Context:
    context = builder.context(request)
    session.owner = session.owner or context.visitor.owner
    return context


def _timeline(context: Context, session: AgentSession) -> str:
    folder = context.agent_sessions.folder(session.run.id) if session.run else None
    return view.timeline_html(session.run, context.language, folder)


def _shown(components: Components, context: Context, session: AgentSession, message: str = "") -> Updates:
    """New values for all components that depend on the session. `message` is for page.js."""
    language, problem = context.language, session.problem
    try:
        runs = view.runs_html(context.agent_sessions.list(session.owner), session.run.id if session.run else "", language)
    except EngineError as error:
        runs, problem = "", problem or error
    return {
        components.timeline: _timeline(context, session),
        components.welcome: "" if session.run else view.welcome_html(language, is_builtin=context.is_builtin),
        components.runs: runs,
        components.problem: problem_box(problem, language) if problem else "",
        components.uploads: view.uploads_html(session.uploads, language),
        components.stop: gr.update(visible=session.run is not None and session.run.is_working),
        components.bus: message or gr.skip(),
    }


def _changed(components: Components, context: Context, session: AgentSession, message: str = "") -> Updates:
    """The same after an action, which may have started work that the page must follow."""
    return {**_shown(components, context, session, message),
            components.follow: session.following if session.must_follow else gr.skip()}


def _badge(context: Context) -> str:
    sessions = context.agent_sessions
    return view.badge_html(sessions.sandbox, sessions.options.run_timeout_s, context.language)


# --- events ---

def _wire_tasks(builder: PageBuilder, components: Components) -> None:
    """Starting and stopping work, buttons, uploads."""
    session = components.session

    def send(request: gr.Request, task: str, approve: bool, session: AgentSession) -> Updates:
        context, session.approve_first = _context(builder, request, session), bool(approve)
        return _changed(components, context, session, actions.start(context, session, task))

    def act(event: gr.EventData, request: gr.Request, approve: bool, session: AgentSession) -> Updates:
        context, session.approve_first = _context(builder, request, session), bool(approve)
        data = event_data(event)
        return _changed(components, context, session, actions.perform(context, session, data.get("do"), value=data.get("value")))

    def new(request: gr.Request, session: AgentSession) -> Updates:
        context = _context(builder, request, session)
        return _changed(components, context, session, actions.perform(context, session, "new"))

    def attach(paths: list[str] | None, request: gr.Request, session: AgentSession) -> Updates:
        context = _context(builder, request, session)
        actions.attach(session, paths or [])
        return _shown(components, context, session)

    def stop(session: AgentSession) -> None:
        if session.run is not None:
            builder.agent_sessions.stop(session.owner, session.run.id)

    outputs = [*components.shown, components.follow]
    gr.on([components.send.click, components.task.submit], send, [components.task, components.approve, session], outputs, **WORK)
    components.bus.act(act, [components.approve, session], outputs, **WORK)
    components.new.click(new, session, outputs, **WORK)
    components.attach.upload(attach, [components.attach, session], components.shown, **busy(components.task))
    components.stop.click(stop, session, **QUICK)


def _wire_following(builder: PageBuilder, components: Components) -> None:
    """Show the progress of work, and its end."""
    timeline, ended = components.timeline, components.ended

    def follow(request: gr.Request, session: AgentSession) -> Iterator[Updates]:
        """Follow the work until it ends or the page shows another run.

        Only the timeline is updated meanwhile, since every output slows down each update.
        """
        if session.run is None or not session.must_follow:
            yield {timeline: gr.skip()}
            return
        context, turn, pace = _context(builder, request, session), session.following, Pace()
        session.must_follow = False
        for run in context.agent_sessions.follow(session.owner, session.run.id):
            if session.following != turn:
                break
            session.run = run
            if pace.is_due():
                pace.began()
                page = _timeline(context, session)
                yield {timeline: page}
                pace.ended(len(page))
        yield {ended: session.following if session.following == turn else gr.skip()}

    def end(request: gr.Request, session: AgentSession) -> Updates:
        context = _context(builder, request, session)
        if session.run is None or context.agent_sessions.is_working(session.run.id):
            return {timeline: gr.skip()}
        try:
            session.run = context.agent_sessions.get(session.owner, session.run.id)
        except EngineError as error:
            session.show_run(None)
            session.problem = error
        return _shown(components, context, session)

    components.follow.change(follow, components.session, [timeline, ended], **WORK)
    ended.change(end, components.session, components.shown, **WORK)


def _wire_opening(builder: PageBuilder, components: Components, tab: gr.Tab) -> tuple[Callable[..., Updates], gr.State, list[Any]]:
    """Wire the opening of the tab. Returns the handler for a change of language, with its inputs and outputs."""
    shown_and_badge = [*components.shown, components.badge]

    def arrive(request: gr.Request, session: AgentSession) -> Updates:
        """The tab was opened. If the sandboxes have not been probed in this process yet, that happens here."""
        context = _context(builder, request, session)
        is_first, session.is_open = not session.is_open, True
        wanted = str(dict(request.query_params or {}).get("run", ""))
        if is_first and wanted and session.run is None:
            actions.perform(context, session, "open", value=wanted)
        sandbox = context.agent_sessions.sandbox
        approve = gr.update(value=sandbox is None or sandbox.tier != "wasm") if is_first else gr.skip()
        return {**_changed(components, context, session), components.badge: _badge(context), components.approve: approve}

    def change_language(request: gr.Request, session: AgentSession) -> Updates:
        if not session.is_open:
            return {components.timeline: gr.skip()}
        context = _context(builder, request, session)
        return {**_shown(components, context, session), components.badge: _badge(context)}

    tab.select(arrive, components.session, [*shown_and_badge, components.follow, components.approve], **WORK)
    return change_language, components.session, shown_and_badge
