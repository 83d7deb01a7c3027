"""What the actions of the chat share: the click, the shown chat, and showing another one."""

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
    """`target`: the id of a chat or a message, or an index in a list, as text. `ask`: the values of the options panel."""

    ask: AskInput = field(default_factory=AskInput)


def shown_chat(session: ChatSession) -> Chat:
    """The chat as this page last saw it. Raises PageError if none is shown."""
    if session.chat is None:
        raise PageError("error.gone")
    return session.chat


def show_chat(context: Context, session: ChatSession, chat: Chat | None, **changes: Any) -> Iterator[Update]:
    """Show another chat, and follow its reply if one is in progress."""
    session.show_chat(chat)
    yield from replies.show(context, session, **changes)
