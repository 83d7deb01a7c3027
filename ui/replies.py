"""What Send, Regenerate and New chat do: follow the engine's events, and say after each what the page changes.

Stop is a wish in the visitor's own conversation that is read at every event (the engine sends one at least every
100 ms): what was written so far stays, and the device is free within a step. Whatever goes wrong becomes a sentence, and
the question goes back to where it came from.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import Engine, EngineError, GenerationOptions

from . import rendering
from .conversation import Conversation, Turn
from .errors import PageError, sentence
from .options_panel import read
from .welcome import welcome_html


@dataclass(frozen=True)
class Ask:
    """Everything around a question: who asks in which language, and what the options panel holds."""

    language: str
    system_prompt: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Update:
    """One change of the chat; None leaves a part as it is. `row` is in the order of the outputs in chat_tab.py."""

    messages: list[dict[str, Any]] | None = None
    line: str | None = None             # the text of the line one writes in
    problem: str | None = None
    gauge: str | None = None
    is_writing: bool | None = None
    welcome: str | None = None

    def row(self) -> list[Any]:
        known = self.is_writing is not None
        parts = [self.messages, self.line, self.problem, self.gauge,
                 gr.update(visible=not self.is_writing) if known else None, gr.update(visible=self.is_writing) if known else None,
                 self.welcome]
        return [gr.skip() if part is None else part for part in parts]


def respond(engine: Engine, conversation: Conversation, question: str, ask: Ask) -> Iterator[Update]:
    """Answer `question`."""
    try:
        options = _prepare(engine, conversation, question, ask)
    except (PageError, EngineError) as error:
        yield Update(problem=problem_html(error, ask.language))
        return
    yield from _follow(engine, conversation, question, options, ask)


def regenerate(engine: Engine, conversation: Conversation, ask: Ask) -> Iterator[Update]:
    """Answer the last question again; the old answer goes."""
    try:
        if not conversation.turns:
            raise PageError("error.no_answer")
        options = _prepare(engine, conversation, conversation.turns[-1].question, ask)
    except (PageError, EngineError) as error:
        yield Update(problem=problem_html(error, ask.language))
        return
    replaced = conversation.turns.pop()
    yield from _follow(engine, conversation, replaced.question, options, ask, replaced)


def start_anew(engine: Engine, conversation: Conversation, language: str) -> Update:
    """An empty conversation. A reply that is being written ends within 100 ms."""
    conversation.clear()
    status = engine.status()
    return Update([], problem="", gauge=rendering.gauge(conversation, status.window_tokens, language), is_writing=False,
                  welcome=welcome_html(status, language))


def problem_html(error: Exception, language: str) -> str:
    return f'<div class="mc-problem" role="alert">{html.escape(sentence(error, language))}</div>'


def _prepare(engine: Engine, conversation: Conversation, question: str, ask: Ask) -> GenerationOptions:
    """Refuse what cannot work before anything changes."""
    if conversation.writing is not None:
        raise PageError("error.busy")
    if not question.strip():
        raise PageError("error.nothing")
    return read(ask.values)


def _follow(engine: Engine, conversation: Conversation, question: str, options: GenerationOptions, ask: Ask,
            replaced: Turn | None = None) -> Iterator[Update]:
    """One turn being answered, until it ends, breaks or is stopped. `replaced` comes back if it breaks without a word."""
    turn = conversation.begin(question)
    try:
        # Before the first slow thing: from here on, a page that goes away is noticed.
        yield Update(rendering.messages(conversation, ask.language), line=None if replaced else "", problem="",
                     is_writing=True, welcome="")
        yield from _write(engine, conversation, turn, options, ask)
        yield _ended(engine, conversation, turn, ask.language)
    except Exception as error:      # the page's edge: everything becomes a sentence, the unexpected also a log entry
        yield _broken(engine, conversation, turn, replaced, error, ask.language)
    finally:
        conversation.end(turn)


def _write(engine: Engine, conversation: Conversation, turn: Turn, options: GenerationOptions, ask: Ask) -> Iterator[Update]:
    pace = rendering.Pace()
    with closing(engine.chat(conversation.messages(ask.system_prompt), options)) as events:  # type: ignore[type-var]
        for event in events:
            turn.take(event)
            if not conversation.wants(turn):
                return
            if pace.is_due() and not turn.is_over:
                turn.is_loading = not turn.first_s and engine.spec is None
                pace.began()
                yield Update(rendering.messages(conversation, ask.language))
                pace.ended(len(turn.answer) + len(turn.thoughts))


def _ended(engine: Engine, conversation: Conversation, turn: Turn, language: str) -> Update:
    if turn.finished is None and turn.answer:
        turn.counted_tokens = engine.count_tokens(turn.answer)
    conversation.end(turn)
    return Update(rendering.messages(conversation, language), is_writing=conversation.writing is not None,
                  gauge=rendering.gauge(conversation, engine.status().window_tokens, language))


def _broken(engine: Engine, conversation: Conversation, turn: Turn, replaced: Turn | None, error: Exception,
            language: str) -> Update:
    """What was written stays; a question without an answer goes back."""
    conversation.end(turn)
    if not turn.answer and turn in conversation.turns:
        conversation.turns[-1:] = [replaced] if replaced else []
    return Update(rendering.messages(conversation, language), line=None if replaced else turn.question,
                  problem=problem_html(error, language), is_writing=conversation.writing is not None,
                  welcome=None if conversation.turns else welcome_html(engine.status(), language))
