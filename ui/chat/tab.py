"""The Chat tab: the list of chats, one conversation, and the message box. Handlers only unpack their inputs and call other modules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import EngineError

from ..compat import event_data
from ..shared.context import QUICK, SILENT, Context, PageBuilder, busy, changes
from ..shared.html import problem_box
from ..shared.visitor import owner_of
from . import actions, opening, replies, view
from .adapters import asked_adapter, read_choice
from .attachments import PagesLeftOut, attach_files
from .chat_click import ChatClick
from .files import asked_collections
from .options_panel import OptionsPanel, build_options_panel
from .rendering import messages
from .replies import AskInput
from .session import ChatSession
from .sidebar import Sidebar, build_sidebar
from .thinking import asked_effort, read_effort
from .tool_choice import read_tools
from .view import ChatParts, Update

MAX_REPLIES = 64        # handlers that run at the same time; in public mode the engine has a lower limit of its own
WELCOME_JS = """
element.addEventListener('click', event => {
  const example = event.target.closest('[data-example]');
  if (example) trigger('example', {text: example.dataset.example});
});
"""
HEAD_JS = "mindcubes.arrived(); watch('value', mindcubes.arrived);"
BUS_JS = """
mindcubes.bus = detail => trigger('act', detail);
watch('value', () => mindcubes.receive(element));
"""
# Gradio changes the list in place, and a list from which a person has chosen no longer follows its markup.
THINKING_JS = """
watch('value', () => {
  const chosen = element.querySelector('option[selected]');
  if (chosen) chosen.selected = true;
});
"""
WITH_LISTS_JS = "(...values) => mindcubes.withLists(values, 1)"
REPLY: dict[str, Any] = {**SILENT, "concurrency_limit": MAX_REPLIES, "concurrency_id": "replies", "trigger_mode": "multiple"}


@dataclass(frozen=True)
class Composer:
    """The message box, and the buttons and notes around it."""

    problem: gr.HTML
    chips: gr.HTML
    message: gr.Textbox
    attach: gr.UploadButton
    files: gr.HTML
    thinking: gr.HTML
    gauge: gr.HTML
    send: gr.Button
    stop: gr.Button


@dataclass(frozen=True)
class ChatTab:
    """What `ui/app.py` connects to the rest of the page."""

    page: gr.Blocks
    session: gr.State
    wake: gr.State                  # counted up when another page changed the chat, or the reply to a queued message has started
    parts: ChatParts
    side: Sidebar
    options: OptionsPanel
    composer: Composer
    follow: gr.State                # set to the session's `following` when a reply must be followed; the change is an event
    ended: gr.State                 # the same when the reply has ended


def build_chat_tab(builder: PageBuilder, page: gr.Blocks) -> ChatTab:
    session, wake = gr.State(ChatSession()), gr.State(0)
    with gr.Row(elem_classes="mc-body"):
        side = build_sidebar(builder)
        with gr.Column(elem_classes="mc-chat", elem_id="mc-chat"):
            head = _html("head", HEAD_JS)
            welcome = _html("welcome", WELCOME_JS)
            chatbot = _chatbot(builder, "conversation")
            with gr.Row(elem_classes="mc-pair", visible=False) as pair:
                left, right = _chatbot(builder, "left"), _chatbot(builder, "right")
            composer = _build_composer(builder)
        options = build_options_panel(builder, page, session)
    bus = _html("bus", BUS_JS)
    gr.HTML('<div id="mc-said" role="status"></div>', elem_classes="mc-unseen", apply_default_css=False)     # for screen readers
    parts = ChatParts(chatbot, composer.problem, composer.gauge, composer.files, composer.thinking, composer.stop, welcome, side.chats,
                      head, composer.chips, pair, left, right, bus, options.system_prompt, options.tools, options.fields)
    tab = ChatTab(page, session, wake, parts, side, options, composer, gr.State(0), gr.State(0))
    # The browser renders every output of an event again, changed or not. Following a reply and ending it are therefore separate
    # events with few outputs.
    for wire in (_wire_messages, _wire_buttons, _wire_following, _wire_files, _wire_search):
        wire(builder, tab)
    return tab


def _chatbot(builder: PageBuilder, name: str) -> gr.Chatbot:
    return builder.labelled(
        gr.Chatbot, {"label": f"chat.{name}"}, show_label=False, container=False, layout="panel", height="100%", buttons=[],
        feedback_options=None, elem_id=f"mc-{name}", elem_classes="mc-conversation", allow_tags=False, autoscroll=False)


def _build_composer(builder: PageBuilder) -> Composer:
    with gr.Column(scale=0, elem_classes="mc-composer"):
        _button(builder, "end", "chat.to_end")
        problem, chips = _html("problem"), _html("chips")
        message = builder.labelled(
            gr.Textbox, {"label": "chat.message", "placeholder": "chat.placeholder"}, show_label=False, container=False,
            lines=1, max_lines=8, autofocus=True, elem_id="mc-message", elem_classes="mc-message")
        with gr.Row(elem_classes="mc-actions"):
            attach = builder.labelled(gr.UploadButton, {"label": "attach.title"}, size="sm", elem_id="mc-attach", file_count="multiple",
                                     min_width=0)
            toggle = _button(builder, "options-toggle", "options.title")
            toggle.click(None, js="() => mindcubes.toggleOptions()", api_visibility="private")
            files, thinking, gauge = _html("files"), _html("thinking", THINKING_JS), _html("gauge")
            stop = _button(builder, "stop", "chat.stop", variant="stop", visible=False)
            send = _button(builder, "send", "chat.send", variant="primary")
    return Composer(problem, chips, message, attach, files, thinking, gauge, send, stop)


def _html(name: str, js_on_load: str | None = None) -> gr.HTML:
    return gr.HTML("", elem_id=f"mc-{name}", elem_classes=f"mc-{name}-box", apply_default_css=False, js_on_load=js_on_load)


def _button(builder: PageBuilder, name: str, key: str, **properties: Any) -> gr.Button:
    return builder.labelled(gr.Button, {"value": key}, size="sm", min_width=0, elem_id=f"mc-{name}", **properties)


def _wire_messages(builder: PageBuilder, tab: ChatTab) -> None:
    composer, inputs = tab.composer, tab.options.asked

    def send(request: gr.Request, line: str, session: ChatSession, *values: Any) -> Iterator[Any]:
        context = builder.context(request)
        yield from _shown(tab, context, session, replies.send(context, session, line, _ask(context, session, values)))

    def send_example(event: gr.EventData, request: gr.Request, session: ChatSession, *values: Any) -> Iterator[Any]:
        yield from send(request, str(event_data(event).get("text") or ""), session, *values)

    def stop(session: ChatSession) -> None:
        if session.chat:
            builder.conversations.stop(session.owner, session.chat.id)

    gr.on([composer.send.click, composer.message.submit], send, [composer.message, tab.session, *inputs], _reply_outputs(tab),
          js="(...values) => mindcubes.withLists(values, 2)", **REPLY)
    tab.parts.welcome.example(send_example, [tab.session, *inputs], _reply_outputs(tab), js=WITH_LISTS_JS, **REPLY)
    composer.stop.click(stop, tab.session, **QUICK)


def _wire_buttons(builder: PageBuilder, tab: ChatTab) -> None:
    def act(event: gr.EventData, request: gr.Request, session: ChatSession, *values: Any) -> Iterator[Any]:
        context = builder.context(request)
        yield from _shown(tab, context, session, actions.perform(context, session, _click(context, session, event, values)))

    def new(request: gr.Request, session: ChatSession) -> Iterator[Any]:
        context = builder.context(request)
        yield from _shown(tab, context, session, actions.perform(context, session, ChatClick("new")))

    tab.parts.bus.act(act, [tab.session, *tab.options.asked], _reply_outputs(tab), js=WITH_LISTS_JS, **REPLY)
    tab.side.new.click(new, tab.session, _reply_outputs(tab), **REPLY)


def _wire_following(builder: PageBuilder, tab: ChatTab) -> None:
    parts = tab.parts

    def arrive(request: gr.Request, session: ChatSession) -> Iterator[Any]:
        context = builder.context(request)
        yield from _shown(tab, context, session, opening.arrive(context, session, dict(request.query_params or {})))

    def show_again(request: gr.Request, session: ChatSession) -> Iterator[Any]:
        context = builder.context(request)
        yield from _shown(tab, context, session, opening.show_again(context, session))

    def follow_replies(request: gr.Request, session: ChatSession) -> Iterator[Any]:
        context = builder.context(request)
        for _ in replies.follow_replies(context, session):
            left, right = view.pair(context, session)
            yield {parts.chatbot: messages(session, context.language), parts.left: left, parts.right: right}
        yield changes({tab.ended: session.following} if session.must_end else {})

    def end(request: gr.Request, session: ChatSession, wake: int) -> Iterator[Any]:
        context = builder.context(request)
        ended = replies.end(context, session)
        if ended is None:
            yield gr.skip()
            return
        update, is_more = ended
        yield {**update.values(parts), **({tab.wake: wake + 1} if is_more else {})}
        for newer in replies.again(context, session, update):
            yield newer.values(parts)

    tab.page.load(arrive, tab.session, _reply_outputs(tab), **REPLY)
    tab.wake.change(show_again, tab.session, _reply_outputs(tab), **REPLY)
    tab.follow.change(follow_replies, tab.session, [parts.chatbot, parts.left, parts.right, tab.ended], **REPLY)
    tab.ended.change(end, [tab.session, tab.wake], [*parts.all, tab.wake], **REPLY)


def _wire_files(builder: PageBuilder, tab: ChatTab) -> None:
    parts, composer = tab.parts, tab.composer

    def attach(paths: list[str] | None, request: gr.Request, session: ChatSession) -> Any:
        context, problem = builder.context(request), ""
        try:
            attach_files(context, session, paths or [])
        except (EngineError, PagesLeftOut) as error:
            problem = problem_box(error, context.language)
        return {parts.chips: view.chips(context, session), parts.problem: problem}

    def import_chats(path: str | None, request: gr.Request, session: ChatSession) -> Iterator[Any]:
        context = builder.context(request)
        yield from _shown(tab, context, session, opening.import_chats(context, session, path))

    composer.attach.upload(attach, [composer.attach, tab.session], [parts.chips, parts.problem],
                           trigger_mode="multiple", **busy(composer.message))      # files that are added while others are read
    tab.side.upload.upload(import_chats, [tab.side.upload, tab.session], _reply_outputs(tab), **REPLY)


def _wire_search(builder: PageBuilder, tab: ChatTab) -> None:
    def search(query: str, request: gr.Request, session: ChatSession) -> Any:
        session.query = query
        session.owner = session.owner or owner_of(request)
        return view.chats(builder.context(request), session)

    for asked in (tab.side.search.change, tab.side.chats.lag):
        asked(search, [tab.side.search, tab.session], tab.side.chats, trigger_mode="always_last", **QUICK)


def _reply_outputs(tab: ChatTab) -> list[gr.blocks.Block]:
    """The outputs of an event that may start a reply, which the page must then follow."""
    return [*tab.parts.all, tab.follow]


def _shown(tab: ChatTab, context: Context, session: ChatSession, updates: Iterator[Update]) -> Iterator[Any]:
    session.owner = session.owner or context.visitor.owner
    for update in updates:
        yield changes({**update.values(tab.parts), **({tab.follow: session.following} if session.must_follow else {})})
        for newer in replies.again(context, session, update):
            yield newer.values(tab.parts)


def _ask(context: Context, session: ChatSession, values: tuple[Any, ...]) -> AskInput:
    effort, adapter, removed, tools, system_prompt, is_pair, second_prompt, second_temperature, *fields = values
    status = context.engine.status()
    chosen = adapter and read_choice(adapter)
    return AskInput(system_prompt or "", tuple(fields), bool(is_pair), second_prompt or "", second_temperature or 0.0,
                    asked_effort(status, session.effort if effort is None else read_effort(status.thinking, effort)),
                    chosen or asked_adapter(status, session), asked_collections(context, session, removed or ""),
                    read_tools(tools), context.zone)


def _click(context: Context, session: ChatSession, event: gr.EventData, values: tuple[Any, ...]) -> ChatClick:
    """Make a click of {act, id, value}, which page.js sends for a button."""
    data = event_data(event)
    return ChatClick(str(data.get("act") or ""), str(data.get("id") or ""), str(data.get("value") or ""), _ask(context, session, values))
