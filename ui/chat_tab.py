"""The chat: a conversation, the line one writes in, and the options beside it. Handlers only unpack and pass on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from . import replies
from .conversation import Conversation
from .language import language_of
from .options_panel import OptionsPanel, build_options_panel
from .replies import Ask
from .shared import Shared

MAX_REPLIES = 64        # handlers at once; the engine has its own, stricter limit in public mode
WELCOME_JS = """
element.addEventListener('click', event => {
  const example = event.target.closest('[data-example]');
  if (example) trigger('example', {text: example.dataset.example});
});
"""
REPLY: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": MAX_REPLIES,
                         "concurrency_id": "replies"}
QUICK: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}


@dataclass(frozen=True)
class ChatTab:
    """What `ui/app.py` wires to the rest of the page."""

    conversation: gr.State
    chatbot: gr.Chatbot
    welcome: gr.HTML
    gauge: gr.HTML
    options: OptionsPanel


@dataclass(frozen=True)
class Composer:
    """The line one writes in and everything around it."""

    problem: gr.HTML
    message: gr.Textbox
    new: gr.Button
    gauge: gr.HTML
    again: gr.Button
    send: gr.Button
    stop: gr.Button


def build_chat_tab(shared: Shared) -> ChatTab:
    conversation = gr.State(Conversation())
    with gr.Column(elem_classes="mc-chat"):
        welcome = _html("welcome", WELCOME_JS)
        chatbot = shared.labelled(
            gr.Chatbot, {"label": "chat.conversation"}, show_label=False, container=False, layout="panel", height="100%",
            buttons=[], feedback_options=None, elem_id="mc-conversation", elem_classes="mc-conversation", allow_tags=False)
        composer = _build_composer(shared)
    tab = ChatTab(conversation, chatbot, welcome, composer.gauge, build_options_panel(shared))
    _wire(shared, tab, composer)
    return tab


def _build_composer(shared: Shared) -> Composer:
    with gr.Column(scale=0, elem_classes="mc-composer"):
        problem = _html("problem")
        message = shared.labelled(
            gr.Textbox, {"label": "chat.message", "placeholder": "chat.placeholder"}, show_label=False, container=False,
            lines=1, max_lines=8, autofocus=True, elem_id="mc-message", elem_classes="mc-message")
        with gr.Row(elem_classes="mc-actions"):
            new = _button(shared, "new", "chat.new")
            toggle = _button(shared, "options-toggle", "options.title")
            toggle.click(None, js="() => mindcubes.toggleOptions()", api_visibility="private")
            gauge = _html("gauge")
            again = _button(shared, "regenerate", "chat.regenerate", visible="hidden")      # pressed by the one under an answer
            send = _button(shared, "send", "chat.send", variant="primary")
            stop = _button(shared, "stop", "chat.stop", variant="stop", visible=False)
    return Composer(problem, message, new, gauge, again, send, stop)


def _html(name: str, js_on_load: str | None = None) -> gr.HTML:
    return gr.HTML("", elem_id=f"mc-{name}", elem_classes=f"mc-{name}-box", apply_default_css=False, js_on_load=js_on_load)


def _button(shared: Shared, name: str, key: str, **properties: Any) -> gr.Button:
    return shared.labelled(gr.Button, {"value": key}, size="sm", min_width=0, elem_id=f"mc-{name}", **properties)


def _wire(shared: Shared, tab: ChatTab, composer: Composer) -> None:
    engine = shared.engine

    def send(request: gr.Request, question: str, conversation: Conversation, system_prompt: str,
             *values: Any) -> Iterator[list[Any]]:
        for update in replies.respond(engine, conversation, question, Ask(language_of(request), system_prompt, values)):
            yield update.row()

    def send_example(event: gr.EventData, request: gr.Request, conversation: Conversation, system_prompt: str,
                     *values: Any) -> Iterator[list[Any]]:
        yield from send(request, str(event.text), conversation, system_prompt, *values)

    def regenerate(request: gr.Request, conversation: Conversation, system_prompt: str, *values: Any) -> Iterator[list[Any]]:
        for update in replies.regenerate(engine, conversation, Ask(language_of(request), system_prompt, values)):
            yield update.row()

    def stop(conversation: Conversation) -> None:
        conversation.is_stopping = True

    def start_anew(request: gr.Request, conversation: Conversation) -> list[Any]:
        return replies.start_anew(engine, conversation, language_of(request)).row()

    outputs = [tab.chatbot, composer.message, composer.problem, composer.gauge, composer.send, composer.stop, tab.welcome]
    settings = [tab.options.system_prompt, *tab.options.fields]
    gr.on([composer.send.click, composer.message.submit], send, [composer.message, tab.conversation, *settings], outputs, **REPLY)
    tab.welcome.example(send_example, [tab.conversation, *settings], outputs, **REPLY)
    composer.again.click(regenerate, [tab.conversation, *settings], outputs, **REPLY)
    composer.stop.click(stop, tab.conversation, **QUICK)
    composer.new.click(start_anew, tab.conversation, outputs, **QUICK)
