"""The list of efforts of thought: a choice also brings the sampling options that are recommended for it."""

from __future__ import annotations

from collections.abc import Iterator

from ..shared.actions import Actions
from ..shared.context import Context
from ..shared.errors import PageError
from .chat_click import ChatClick
from .options_panel import read, values_of
from .session import ChatSession
from .thinking import read_effort
from .view import Update

actions: Actions[ChatSession, Iterator[Update]] = Actions()


@actions("think")
def think(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    """Choose an effort. Options that the visitor changed stay as they are."""
    engine = context.engine
    offered = engine.status().thinking
    effort = read_effort(offered, click.value)
    if effort is None and not (offered.may_be_unset and click.value == ""):
        raise PageError("error.gone")
    before, after = (values_of(engine.default_options(each)) for each in (session.effort, effort))
    shown = list(click.ask.values)
    changed = [new if value == old else value for value, old, new in zip(shown, before, after, strict=True)]
    session.effort = effort
    if session.adopted == shown:
        session.adopted = changed
    yield Update(options=None if changed == shown else read(changed))
