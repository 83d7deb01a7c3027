"""Buttons of messages: switch versions, edit, regenerate, continue, delete, branch, and take back the queued message."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..shared.actions import Actions
from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.language import text
from . import replies, view
from .chat_click import ChatClick, show_chat, shown_chat
from .pictures import large
from .rendering import MORE_MESSAGES, messages
from .session import ChatSession
from .view import Update

actions: Actions[ChatSession, Iterator[Update]] = Actions()


@actions("version", "keep")
def version(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    chat = shown_chat(session)
    yield from show_chat(context, session, context.conversations.select(session.owner, chat.id, chat.version, click.number))


@actions("edit")
def edit(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    message = shown_chat(session).message(click.number)
    if message is None:
        raise PageError("error.gone")
    session.editing = message.id
    yield Update(line=message.text, chips=view.chips(context, session), problem="")


@actions("see-picture")
def see_picture(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    message = next((each for each in session.path if each.id == click.number), None)
    pictures = [each for each in message.attachments if each.picture] if message else []
    if not click.value.isdecimal() or int(click.value) >= len(pictures):
        raise PageError("error.gone")
    yield Update(to_browser=large(pictures[int(click.value)]))


@actions("cancel-edit")
def cancel_edit(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    session.editing = None
    yield Update(line="", chips=view.chips(context, session))


@actions("regenerate")
def regenerate(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    chat, asks = shown_chat(session), click.ask.asks()
    regenerated = context.conversations.regenerate(session.owner, chat.id, chat.version, click.number, asks)
    yield from replies.show_begun(context, session, regenerated)


@actions("continue")
def continue_reply(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    chat = shown_chat(session)
    resumed = context.conversations.resume(session.owner, chat.id, chat.version, click.number, click.ask.asks()[0])
    yield from replies.show_begun(context, session, resumed)


@actions("delete-message")
def delete_message(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    chat = shown_chat(session)
    if context.conversations.is_writing(chat.id):
        raise PageError("error.busy")
    shorter = context.conversations.delete_message(session.owner, chat.id, chat.version, click.number)
    session.show_chat(shorter)
    session.undo = ("message", chat.id, click.number)
    yield view.whole(context, session)


@actions("undo")
def undo(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    if session.undo is None:
        raise PageError("error.gone")
    kind, chat_id, message_id = session.undo
    session.undo = None
    if kind == "chat":
        restored = context.conversations.restore(session.owner, chat_id)
    else:
        restored = context.conversations.restore_message(session.owner, chat_id, shown_chat(session).version, message_id)
    yield from show_chat(context, session, restored)


@actions("branch")
def branch(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    chat = shown_chat(session)
    end = next((i for i, message in enumerate(chat.path) if message.id == click.number), None)
    if end is None:
        raise PageError("error.gone")
    title = text(context.language, "chat.branch.name", title=chat.summary.title)
    yield from show_chat(context, session, context.conversations.copy(session.owner, title, chat.path[:end + 1]))


@actions("older")
def older(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    session.num_older += MORE_MESSAGES
    yield Update(messages=messages(session, context.language))


@actions("unqueue")
def unqueue(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    chat = shown_chat(session)
    queued = context.conversations.take_queued(session.owner, chat.id)
    session.chat = replace(chat, queued="")
    yield Update(line=queued or None, chips=view.chips(context, session))
