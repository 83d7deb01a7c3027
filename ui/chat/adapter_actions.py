"""The list of adapters: which one the next messages of this chat are answered with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..shared.actions import Actions
from ..shared.context import Context
from ..shared.errors import PageError
from .adapters import composer_html, read_choice
from .chat_click import ChatClick, show_chat
from .session import ChatSession
from .view import Update

actions: Actions[ChatSession, Iterator[Update]] = Actions()


@actions("adapter")
def choose_adapter(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    status, chosen = context.engine.status(), read_choice(click.value)
    if chosen is None or (chosen.name and chosen.name not in status.adapters):
        raise PageError("error.gone")
    session.adapter = chosen.value
    yield Update(problem="", thinking=composer_html(status, session, context.language))


@actions("compare")
def compare(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    """Begin a chat in which the base and an adapter answer side by side."""
    chosen = read_choice(click.value)
    if chosen is None or not chosen.name or chosen.name not in context.engine.status().adapters:
        raise PageError("error.gone")
    for update in show_chat(context, session, None):
        session.adapter = chosen.value
        yield replace(update, thinking=composer_html(context.engine.status(), session, context.language))
