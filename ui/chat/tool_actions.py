"""Buttons of a call that waits for approval. The reply that asks goes on by itself, and the page follows it already."""

from __future__ import annotations

from collections.abc import Iterator

from engine.chat import Decision

from ..shared.actions import Actions
from ..shared.context import Context
from ..shared.errors import PageError
from .chat_click import ChatClick
from .session import ChatSession
from .view import Update

DECISIONS: dict[str, Decision] = {"approve-call": "approve", "refuse-call": "refuse", "trust-tool": "always"}
actions: Actions[ChatSession, Iterator[Update]] = Actions()


@actions(*DECISIONS)
def decide(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    if not context.conversations.tools.approvals.decide(session.owner, click.number, click.value, DECISIONS[click.name]):
        raise PageError("error.no_question")
    yield Update(problem="")
