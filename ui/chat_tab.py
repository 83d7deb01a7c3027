"""The chat: a conversation, the line one writes in, and the options beside it.

Handlers only translate: read the fields, follow the engine's events, show them. Stop is a wish in the visitor's own
conversation that the handler reads at every event (the engine sends one at least every 100 ms), so what was written so
far stays, and the device is free within a step.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import EngineError, GenerationOptions, Status

from . import rendering
from .conversation import Conversation, Turn
from .errors import PageError, sentence
from .language import language_of, text
from .options_panel import OptionsPanel, build_options_panel, read
from .shared import Shared
from .status_bar import stage_text

MAX_REPLIES = 64        # handlers at once; the engine has its own, stricter limit in public mode
NUM_EXAMPLES = 4
WELCOME_JS = """
element.addEventListener('click', event => {
  const example = event.target.closest('[data-example]');
  if (example) trigger('example', {text: example.dataset.example});
});
"""
KEEP = gr.skip()


@dataclass(frozen=True)
class ChatTab:
    """What `ui/app.py` wires to the rest of the page."""

    conversation: gr.State
    chatbot: gr.Chatbot
    welcome: gr.HTML
    gauge: gr.HTML
    options: OptionsPanel


def build_chat_tab(shared: Shared) -> ChatTab:
    engine = shared.engine
    conversation = gr.State(Conversation())
    with gr.Column(elem_classes="mc-chat"):
        welcome = gr.HTML("", elem_id="mc-welcome", apply_default_css=False, elem_classes="mc-welcome-box", js_on_load=WELCOME_JS)
        chatbot = shared.labelled(
            gr.Chatbot, {"label": "chat.conversation"}, show_label=False, container=False, layout="panel", height="100%",
            buttons=[], feedback_options=None, elem_id="mc-conversation", elem_classes="mc-conversation", allow_tags=False,
            group_consecutive_messages=True)
        with gr.Column(scale=0, elem_classes="mc-composer"):
            problem = gr.HTML("", elem_id="mc-problem", apply_default_css=False, elem_classes="mc-problem-box")
            message = shared.labelled(
                gr.Textbox, {"label": "chat.message", "placeholder": "chat.placeholder"}, show_label=False, container=False,
                lines=1, max_lines=8, autofocus=True, elem_id="mc-message", elem_classes="mc-message")
            with gr.Row(elem_classes="mc-actions"):
                new = shared.labelled(gr.Button, {"value": "chat.new"}, size="sm", elem_id="mc-new", min_width=0)
                toggle = shared.labelled(gr.Button, {"value": "options.title"}, size="sm", elem_id="mc-options-toggle", min_width=0)
                gauge = gr.HTML("", elem_id="mc-gauge", apply_default_css=False, elem_classes="mc-gauge-box")
                again = shared.labelled(gr.Button, {"value": "chat.regenerate"}, elem_id="mc-regenerate", visible="hidden")
                send = shared.labelled(gr.Button, {"value": "chat.send"}, variant="primary", size="sm", elem_id="mc-send", min_width=0)
                stop = shared.labelled(gr.Button, {"value": "chat.stop"}, variant="stop", size="sm", elem_id="mc-stop", min_width=0, visible=False)
    options = build_options_panel(shared)

    # --- events ---

    outputs = [chatbot, message, problem, gauge, send, stop, welcome]

    def show(conversation: Conversation, language: str, **changed: Any) -> list[Any]:
        """One update. Text of the line, the problem and the gauge stay unless they are given."""
        is_writing = conversation.writing is not None
        return [rendering.messages(conversation, language), changed.get("message", KEEP), changed.get("problem", KEEP),
                changed.get("gauge", KEEP), gr.update(visible=not is_writing), gr.update(visible=is_writing),
                changed.get("welcome", KEEP)]

    def respond(request: gr.Request, question: str, conversation: Conversation, system_prompt: str, *values: Any) -> Iterator[list[Any]]:
        """Answer `question`. Whatever goes wrong becomes a sentence, and the question goes back into the line."""
        language = language_of(request)
        try:
            options = prepare(question, conversation, values)
        except (PageError, EngineError) as error:
            yield [KEEP, KEEP, problem_html(error, language), KEEP, KEEP, KEEP, KEEP]
            return
        yield from follow(conversation, conversation.begin(question), system_prompt, options, language)

    def prepare(question: str, conversation: Conversation, values: tuple[Any, ...]) -> GenerationOptions:
        if conversation.writing is not None:
            raise PageError("error.busy")
        if not question.strip():
            raise PageError("error.nothing")
        if engine.status().state == "loading" and engine.spec is None:
            raise PageError("error.loading")
        return read(values)

    def follow(conversation: Conversation, turn: Turn, system_prompt: str, options: GenerationOptions, language: str) -> Iterator[list[Any]]:
        """Show one turn being answered, until it ends, breaks or is stopped."""
        pace = rendering.Pace()
        try:
            yield show(conversation, language, message="", problem="", welcome="")
            with closing(engine.chat(conversation.messages(system_prompt), options)) as events:  # type: ignore[type-var]
                for event in events:
                    turn.take(event)
                    if not conversation.wants(turn):
                        break
                    if pace.is_due() and not turn.is_over:
                        pace.began()
                        yield show(conversation, language)
                        pace.ended(len(turn.answer) + len(turn.thoughts))
                    if not conversation.wants(turn):
                        break
            finish(conversation, turn)
            yield show(conversation, language, gauge=gauge_html(conversation, language))
        except Exception as error:      # the page's edge: everything becomes a sentence, the unexpected also a log entry
            yield give_back(conversation, turn, error, language)
        finally:
            conversation.end(turn)

    def finish(conversation: Conversation, turn: Turn) -> None:
        if turn.finished is None and turn.answer:
            turn.counted_tokens = engine.count_tokens(turn.answer)
        conversation.end(turn)

    def give_back(conversation: Conversation, turn: Turn, error: Exception, language: str) -> list[Any]:
        """After an error: what was written stays; a question without an answer goes back into the line."""
        conversation.end(turn)
        if not turn.answer and turn in conversation.turns:
            conversation.turns.remove(turn)
        welcome = KEEP if conversation.turns else welcome_html(engine.status(), language)
        return show(conversation, language, message=turn.question, problem=problem_html(error, language), welcome=welcome)

    def regenerate(request: gr.Request, conversation: Conversation, system_prompt: str, *values: Any) -> Iterator[list[Any]]:
        """Answer the last question again; the old answer goes."""
        if conversation.writing is None and conversation.turns:
            question = conversation.turns.pop().question
            for update in respond(request, question, conversation, system_prompt, *values):
                update[1] = KEEP if update[1] == "" else update[1]      # what is being typed meanwhile stays
                yield update
            return
        key = "error.busy" if conversation.writing else "error.no_answer"
        yield [KEEP, KEEP, problem_html(PageError(key), language_of(request)), KEEP, KEEP, KEEP, KEEP]

    def respond_to_example(event: gr.EventData, request: gr.Request, conversation: Conversation, system_prompt: str, *values: Any) -> Iterator[list[Any]]:
        yield from respond(request, str(event.text), conversation, system_prompt, *values)

    def ask_to_stop(conversation: Conversation) -> None:
        conversation.is_stopping = True

    def start_anew(conversation: Conversation, request: gr.Request) -> list[Any]:
        language = language_of(request)
        conversation.clear()
        return show(conversation, language, problem="", gauge=gauge_html(conversation, language),
                    welcome=welcome_html(engine.status(), language))

    def gauge_html(conversation: Conversation, language: str) -> str:
        return rendering.gauge(conversation, engine.status().window_tokens, language)

    settings = [options.system_prompt, *options.fields]
    reply: dict[str, Any] = {"outputs": outputs, "show_progress": "hidden", "api_visibility": "private",
                             "concurrency_limit": MAX_REPLIES, "concurrency_id": "replies"}
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    gr.on([send.click, message.submit], respond, [message, conversation, *settings], **reply)
    welcome.example(respond_to_example, [conversation, *settings], **reply)
    again.click(regenerate, [conversation, *settings], **reply)
    stop.click(ask_to_stop, conversation, **quick)
    new.click(start_anew, conversation, outputs, **quick)
    toggle.click(None, js="() => mindcubes.toggleOptions()", api_visibility="private")
    return ChatTab(conversation, chatbot, welcome, gauge, options)


def problem_html(error: Exception, language: str) -> str:
    return f'<div class="mc-problem" role="alert">{html.escape(sentence(error, language))}</div>'


def welcome_html(status: Status, language: str) -> str:
    """The empty page: what to do first, or how far the model is."""
    if status.state == "ready":
        title, note = text(language, "welcome.title"), text(language, "welcome.note", model=status.model)
        body = _examples(language)
    elif status.state in ("loading", "unloading"):
        title, note = text(language, "welcome.loading.title"), text(language, "welcome.loading.note")
        body = _stage(status, language)
    else:
        title = text(language, "welcome.failed.title" if status.error else "welcome.empty.title")
        note, body = status.error or text(language, "welcome.empty.note"), ""
    return f'<div class="mc-welcome"><h2>{html.escape(title)}</h2><p>{html.escape(note)}</p>{body}</div>'


def _examples(language: str) -> str:
    questions = [html.escape(text(language, f"example.{number}")) for number in range(1, NUM_EXAMPLES + 1)]
    buttons = "".join(f'<button type="button" data-example="{question}">{question}</button>' for question in questions)
    return f'<div class="mc-examples" role="group" aria-label="{html.escape(text(language, "welcome.examples"))}">{buttons}</div>'


def _stage(status: Status, language: str) -> str:
    stage = status.stage
    label = html.escape(stage_text(stage, language))
    numbers = f' max="{stage.total}" value="{stage.done}"' if stage and stage.total else ""
    return f'<div class="mc-stage"><progress aria-label="{label}"{numbers}></progress><span>{label}</span></div>'
