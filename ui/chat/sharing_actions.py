"""Buttons that export or share a chat, and the one that shows the prompt that the model reads."""

from __future__ import annotations

from collections.abc import Iterator

from ..shared.actions import Actions
from ..shared.context import Context
from ..shared.errors import PageError, told_again
from ..shared.html import browser_message
from ..shared.language import number, text
from . import replies
from .chat_click import ChatClick, show_chat, shown_chat
from .session import ChatSession
from .view import Update

actions: Actions[ChatSession, Iterator[Update]] = Actions()


@actions("export-md", "export-json")
def export(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    conversations, chat = context.conversations, context.conversations.get(session.owner, click.target)
    ending, write = ("md", conversations.export_markdown) if click.name == "export-md" else ("json", conversations.export_json)
    content = write(session.owner, chat.id)
    yield Update(to_browser=browser_message("download", name=f"{_file_name(chat.summary.title)}.{ending}", text=content))


@actions("export-all")
def export_all(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    content = context.conversations.export_all(session.owner)
    yield Update(to_browser=browser_message("download", name="mindcubes-chats.json", text=content))


def _file_name(title: str) -> str:
    return "".join(char if char.isalnum() or char in " -_" else "_" for char in title).strip()[:60] or "chat"


@actions("prompt")
def prompt(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    seen = replies.view_prompt(context, session, click.ask)
    counts = {"tokens": len(seen.tokens), "window": seen.window_tokens, "room": seen.room}
    note = text(context.language, "prompt.note", **{name: number(context.language, count) for name, count in counts.items()})
    notes = [told_again(each, context.language) for each in seen.notes]
    yield Update(to_browser=browser_message("prompt", title=text(context.language, "chat.see_prompt"), note=" ".join((note, *notes)),
                                tokens=list(seen.tokens)))


@actions("share")
def share(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    yield Update(to_browser=_share_dialog(context, context.conversations.share(session.owner, shown_chat(session).id).token))


@actions("share-anew")
def share_again(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    yield Update(to_browser=_share_dialog(context, context.conversations.share_again(session.owner, shown_chat(session).id).token))


def _share_dialog(context: Context, token: str) -> str:
    keys = ("share.title", "share.note", "share.revoke", "share.anew")
    return browser_message("share", token=token, **{key.split(".")[1]: text(context.language, key) for key in keys})


@actions("revoke")
def revoke(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    context.conversations.revoke(session.owner, click.target)
    yield Update(to_browser=browser_message("toast", text=text(context.language, "share.revoked")))


@actions("copy-share")
def copy_share(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    if session.share is None:
        raise PageError("error.gone")
    yield from show_chat(context, session, context.conversations.copy(session.owner, session.share.title, session.share.path))
