"""Buttons of the list of chats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from engine import EngineError

from ..shared.actions import Actions
from ..shared.context import Context
from . import view
from .chat_click import ChatClick, show_chat
from .session import ChatSession, MeaningSearch
from .sidebar import LISTED
from .view import Update

actions: Actions[ChatSession, Iterator[Update]] = Actions()


@actions("open")
def open_chat(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    yield from show_chat(context, session, context.conversations.get(session.owner, click.target))


@actions("new")
def new_chat(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    yield from show_chat(context, session, None)


@actions("rename")
def rename_chat(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    context.conversations.rename(session.owner, click.target, click.value)
    yield _list_changed(context, session)


@actions("pin", "unpin")
def pin_chat(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    context.conversations.pin(session.owner, click.target, click.name == "pin")
    yield _list_changed(context, session)


@actions("delete")
def delete_chat(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    context.conversations.delete(session.owner, click.target)
    is_here = session.chat is not None and session.chat.id == click.target
    if is_here:
        session.show_chat(None)
    session.undo = ("chat", click.target, 0)
    if is_here:
        yield view.whole(context, session)
    else:
        yield Update(chats=view.chats(context, session), chips=view.chips(context, session))


@actions("by-meaning")
def search_by_meaning(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    """Search the chats by meaning too, which may take seconds: the list says so first."""
    asked = session.query
    session.by_meaning = MeaningSearch(asked)
    yield Update(chats=view.chats(context, session))
    try:
        done = MeaningSearch(asked, context.conversations.search_by_meaning(session.owner, asked))
    except EngineError as error:
        done = MeaningSearch(asked, problem=error)
    session.by_meaning = done
    yield Update(chats=view.chats(context, session))


@actions("more-chats")
def more_chats(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    session.list_size = (session.list_size or LISTED) + LISTED
    yield Update(chats=view.chats(context, session))


def _list_changed(context: Context, session: ChatSession) -> Update:
    """The list and the heading, after a chat was renamed or pinned."""
    if session.chat is not None:
        summary = context.conversations.get(session.owner, session.chat.id).summary
        session.chat = replace(session.chat, summary=replace(session.chat.summary, title=summary.title))
    return Update(chats=view.chats(context, session), head=view.head(context, session), problem="")
