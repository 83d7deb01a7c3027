"""All buttons of the conversation and of the list of chats. Each changes the session and yields updates of the page."""

from __future__ import annotations

from collections.abc import Iterator

from engine import EngineError
from engine.errors import StaleChat

from ..shared.actions import Actions
from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.html import problem_box
from . import (
    adapter_actions,
    file_actions,
    list_actions,
    message_actions,
    replies,
    sharing_actions,
    source_actions,
    thinking_actions,
    tool_actions,
)
from .chat_click import ChatClick
from .session import ChatSession
from .view import Update

# These actions keep the chance to undo a deletion.
KEEP_UNDO = frozenset({"undo", "open", "older", "more-chats", "prompt", "think", "adapter", "source", "forget-files", "by-meaning",
                       *tool_actions.DECISIONS})
MAX_VALUE_CHARS = 1_000_000
actions: Actions[ChatSession, Iterator[Update]] = Actions(max_value_chars=MAX_VALUE_CHARS)
actions.include(list_actions.actions, message_actions.actions, file_actions.actions, sharing_actions.actions,
                thinking_actions.actions, adapter_actions.actions, source_actions.actions, tool_actions.actions)


def perform(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    """Run the action of a button. An error is shown as a sentence."""
    try:
        if click.name not in KEEP_UNDO:
            session.undo = None
        yield from actions.run(context, session, click)
    except StaleChat as error:
        yield replies.newest(context, session, error)
    except (PageError, EngineError) as error:
        yield Update(problem=problem_box(error, context.language))
