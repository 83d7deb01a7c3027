"""The chat: the list of conversations, one of them, and the line one writes in. Handlers only unpack and pass on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import EngineError
from engine.chat import read_chats
from engine.errors import ChatNotFound, ShareNotFound

from ..compat import event_data
from ..shared.context import QUICK, SILENT, Context, PageBuilder, busy
from ..shared.errors import PageError
from ..shared.html import browser_message, problem_box
from ..shared.language import number, text
from ..shared.visitor import owner_of
from . import actions, replies, view
from .attachments import attach_files
from .options_panel import OptionsPanel, build_options_panel
from .rendering import messages
from .replies import AskInput
from .session import Session
from .sidebar import Sidebar, build_sidebar
from .view import Update

MAX_REPLIES = 64        # handlers at once; the engine has its own, stricter limit in public mode
MAX_IMPORT_BYTES = 50_000_000
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
REPLY: dict[str, Any] = {**SILENT, "concurrency_limit": MAX_REPLIES, "concurrency_id": "replies", "trigger_mode": "multiple"}


@dataclass(frozen=True)
class ChatTab:
    """What `ui/app.py` wires to the rest of the page."""

    session: gr.State
    wake: gr.State                  # counted up when the chat of this page needs a look: it is being written elsewhere
    chatbot: gr.Chatbot
    welcome: gr.HTML
    gauge: gr.HTML
    head: gr.HTML
    chips: gr.HTML
    side: Sidebar
    options: OptionsPanel


@dataclass(frozen=True)
class Composer:
    """The line one writes in and everything around it."""

    problem: gr.HTML
    chips: gr.HTML
    message: gr.Textbox
    attach: gr.UploadButton
    gauge: gr.HTML
    send: gr.Button
    stop: gr.Button


def build_chat_tab(shared: PageBuilder) -> ChatTab:
    session, wake = gr.State(Session()), gr.State(0)
    follow, ended = gr.State(0), gr.State(0)        # which answers to follow, and which have ended: a change of them is an event
    with gr.Row(elem_classes="mc-body"):
        side = build_sidebar(shared)
        with gr.Column(elem_classes="mc-chat", elem_id="mc-chat"):
            head = _html("head", HEAD_JS)
            welcome = _html("welcome", WELCOME_JS)
            chatbot = _chatbot(shared, "conversation")
            with gr.Row(elem_classes="mc-pair", visible=False) as pair:
                left, right = _chatbot(shared, "left"), _chatbot(shared, "right")
            composer = _build_composer(shared)
        options = build_options_panel(shared)
    bus = _html("bus", BUS_JS)
    gr.HTML('<div id="mc-said" role="status"></div>', elem_classes="mc-unseen", apply_default_css=False)     # for screen readers
    tab = ChatTab(session, wake, chatbot, welcome, composer.gauge, head, composer.chips, side, options)
    outputs = [chatbot, composer.problem, composer.gauge, composer.stop, welcome, side.chats, head,
               composer.chips, pair, left, right, bus, options.system_prompt, *options.fields]
    _wire(shared, tab, composer, bus, outputs, follow, ended)
    return tab


def _chatbot(shared: PageBuilder, name: str) -> gr.Chatbot:
    return shared.labelled(
        gr.Chatbot, {"label": f"chat.{name}"}, show_label=False, container=False, layout="panel", height="100%", buttons=[],
        feedback_options=None, elem_id=f"mc-{name}", elem_classes="mc-conversation", allow_tags=False, autoscroll=False)


def _build_composer(shared: PageBuilder) -> Composer:
    with gr.Column(scale=0, elem_classes="mc-composer"):
        _button(shared, "end", "chat.to_end")
        problem, chips = _html("problem"), _html("chips")
        message = shared.labelled(
            gr.Textbox, {"label": "chat.message", "placeholder": "chat.placeholder"}, show_label=False, container=False,
            lines=1, max_lines=8, autofocus=True, elem_id="mc-message", elem_classes="mc-message")
        with gr.Row(elem_classes="mc-actions"):
            attach = shared.labelled(gr.UploadButton, {"label": "attach.title"}, size="sm", elem_id="mc-attach", file_count="multiple",
                                     min_width=0)
            toggle = _button(shared, "options-toggle", "options.title")
            toggle.click(None, js="() => mindcubes.toggleOptions()", api_visibility="private")
            gauge = _html("gauge")
            stop = _button(shared, "stop", "chat.stop", variant="stop", visible=False)
            send = _button(shared, "send", "chat.send", variant="primary")
    return Composer(problem, chips, message, attach, gauge, send, stop)


def _html(name: str, js_on_load: str | None = None) -> gr.HTML:
    return gr.HTML("", elem_id=f"mc-{name}", elem_classes=f"mc-{name}-box", apply_default_css=False, js_on_load=js_on_load)


def _button(shared: PageBuilder, name: str, key: str, **properties: Any) -> gr.Button:
    return shared.labelled(gr.Button, {"value": key}, size="sm", min_width=0, elem_id=f"mc-{name}", **properties)


def _wire(shared: PageBuilder, tab: ChatTab, composer: Composer, bus: gr.HTML, outputs: list[Any], follow: gr.State,
          ended: gr.State) -> None:
    context_of = shared.context

    def rows(session: Session, request: gr.Request, updates: Iterator[Update]) -> Iterator[list[Any]]:
        session.owner = session.owner or owner_of(request)
        for update in updates:
            yield [*update.row(), session.following if session.must_follow else gr.skip()]
            for newer in replies.again(context_of(request), session, update):
                yield [*newer.row(), gr.skip()]

    def send(request: gr.Request, line: str, session: Session, *values: Any) -> Iterator[list[Any]]:
        yield from rows(session, request, replies.send(context_of(request), session, line, _ask(values)))

    def send_example(event: gr.EventData, request: gr.Request, session: Session, *values: Any) -> Iterator[list[Any]]:
        yield from send(request, str(event.text), session, *values)

    def act(event: gr.EventData, request: gr.Request, session: Session, *values: Any) -> Iterator[list[Any]]:
        detail = event_data(event)
        yield from rows(session, request, actions.perform(
            context_of(request), session, str(detail.get("act")), detail.get("id"), detail.get("value"), _ask(values)))

    def new(request: gr.Request, session: Session) -> Iterator[list[Any]]:
        yield from rows(session, request, actions.perform(context_of(request), session, "new", "", "", AskInput()))

    def arrive(request: gr.Request, session: Session) -> Iterator[list[Any]]:
        yield from rows(session, request, _arrive(context_of(request), session, request))

    def grow(request: gr.Request, session: Session) -> Iterator[list[Any]]:
        context = context_of(request)
        for _ in replies.grow(context, session):
            yield [messages(session, context.language), *view.pair(context, session), gr.skip()]
        yield [*[gr.skip()] * 3, session.following if session.must_end else gr.skip()]

    def end(request: gr.Request, session: Session, wake: int) -> Iterator[list[Any]]:
        context = context_of(request)
        ended = replies.end(context, session)
        if ended is None:
            yield [gr.skip()] * (len(outputs) + 1)
            return
        update, is_more = ended
        yield [*update.row(), wake + 1 if is_more else gr.skip()]
        for newer in replies.again(context, session, update):
            yield [*newer.row(), gr.skip()]

    def look_again(request: gr.Request, session: Session) -> Iterator[list[Any]]:
        yield from rows(session, request, _look_again(context_of(request), session))

    def stop(session: Session) -> None:
        if session.chat:
            shared.conversations.stop(session.owner, session.chat.id)

    def attach(paths: list[str] | None, request: gr.Request, session: Session) -> list[Any]:
        context, problem = context_of(request), ""
        try:
            attach_files(context, session, paths or [])
        except EngineError as error:
            problem = problem_box(error, context.language)
        return Update(chips=view.chips(context, session), problem=problem).row()

    def search(query: str, request: gr.Request, session: Session) -> Any:
        session.query = query
        session.owner = session.owner or owner_of(request)
        return view.chats(context_of(request), session)

    def import_chats(path: str | None, request: gr.Request, session: Session) -> Iterator[list[Any]]:
        yield from rows(session, request, _import(context_of(request), session, path))

    # Whatever an event names as an output is made anew by the browser, changed or not: following and ending have events of their own.
    settings, begun = list(tab.options.asked), [*outputs, follow]
    gr.on([composer.send.click, composer.message.submit], send, [composer.message, tab.session, *settings], begun, **REPLY)
    tab.welcome.example(send_example, [tab.session, *settings], begun, **REPLY)
    bus.act(act, [tab.session, *settings], begun, **REPLY)
    tab.side.new.click(new, tab.session, begun, **REPLY)
    tab.side.upload.upload(import_chats, [tab.side.upload, tab.session], begun, **REPLY)
    tab.wake.change(look_again, tab.session, begun, **REPLY)
    gr.context.Context.root_block.load(arrive, tab.session, begun, **REPLY)
    left, right = outputs[9:11]
    follow.change(grow, tab.session, [tab.chatbot, left, right, ended], **REPLY)
    ended.change(end, [tab.session, tab.wake], [*outputs, tab.wake], **REPLY)
    composer.stop.click(stop, tab.session, **QUICK)
    composer.attach.upload(attach, [composer.attach, tab.session], outputs, **busy(composer.message))
    for asked in (tab.side.search.change, tab.side.chats.lag):
        asked(search, [tab.side.search, tab.session], tab.side.chats, trigger_mode="always_last", **QUICK)


def _ask(values: tuple[Any, ...]) -> AskInput:
    system_prompt, is_pair, second_prompt, second_temperature, *fields = values
    return AskInput(system_prompt or "", tuple(fields), bool(is_pair), second_prompt or "", second_temperature or 0.0)


def _arrive(context: Context, session: Session, request: gr.Request) -> Iterator[Update]:
    """A page was opened or loaded again: it shows what its address names, and follows what is being written there."""
    where = dict(request.query_params or {})
    try:
        if where.get("share"):
            session.turn_to(None, context.conversations.shares.get(str(where["share"])))
        elif where.get("chat"):
            session.turn_to(context.conversations.store.get(session.owner, str(where["chat"])))
    except (ShareNotFound, ChatNotFound) as error:
        yield view.whole(context, session, problem=problem_box(error, context.language), system_prompt=None)
        return
    except EngineError as error:        # the database cannot be read: writing is still possible
        yield view.whole(context, session, problem=problem_box(error, context.language), system_prompt=None)
        return
    yield from replies.show(context, session, **({} if session.chat else {"system_prompt": None}))


def _look_again(context: Context, session: Session) -> Iterator[Update]:
    """This chat was changed on another page, or a queued message is being answered."""
    if session.chat is None or session.is_following:
        yield Update()
        return
    try:
        chat = context.conversations.store.get(session.owner, session.chat.id)
    except EngineError:
        session.turn_to(None)
        yield view.whole(context, session)
        return
    session.turn_to(chat)
    yield from replies.show(context, session, system_prompt=None, options=None)


def _import(context: Context, session: Session, path: str | None) -> Iterator[Update]:
    try:
        if not path:
            raise PageError("error.gone")
        with open(path, "rb") as file:
            content = file.read(MAX_IMPORT_BYTES + 1)
        if len(content) > MAX_IMPORT_BYTES:
            raise PageError("error.import_size")
        imported = read_chats(content.decode("utf-8-sig", errors="replace"))
        chats = [context.conversations.store.copy(session.owner, each.title, each.path) for each in imported]
    except (PageError, EngineError) as error:
        yield Update(problem=problem_box(error, context.language))
        return
    session.turn_to(chats[-1])
    done = browser_message("toast", text=text(context.language, "import.done", count=number(context.language, len(chats))))
    yield from replies.show(context, session, mail=done)


