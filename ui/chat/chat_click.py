"""What every button of the chat starts from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.chat import Chat

from ..shared.actions import Click
from ..shared.context import Context
from ..shared.errors import PageError
from . import replies
from .replies import AskInput
from .session import ChatSession
from .view import Update


@dataclass(frozen=True)
class ChatClick(Click):
    """`target`: a chat, a message or a place in a list, as text. `ask`: what the options panel holds."""

    ask: AskInput = field(default_factory=AskInput)


def shown_chat(session: ChatSession) -> Chat:
    """The chat as this page last saw it. Raises PageError where none is shown."""
    if session.chat is None:
        raise PageError("error.gone")
    return session.chat


def turn_to(context: Context, session: ChatSession, chat: Chat | None, **changes: Any) -> Iterator[Update]:
    """Show another chat, and follow a reply in progress there."""
    session.turn_to(chat)
    yield from replies.show(context, session, **changes)
