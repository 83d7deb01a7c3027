"""Buttons of attachments."""

from __future__ import annotations

from collections.abc import Iterator

from engine.chat import Attachment, first_part

from ..shared.actions import Actions
from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.html import problem_box
from ..shared.language import text
from . import view
from .attachments import PagesLeftOut, attach_pages, attach_text, choose_encoding
from .chat_click import ChatClick
from .pictures import large
from .session import AttachedFile, ChatSession
from .view import Update

actions: Actions[ChatSession, Iterator[Update]] = Actions()


@actions("attach-text")
def attach_pasted_text(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    attach_text(context, session, text(context.language, "attach.pasted"), click.value)
    yield Update(chips=view.chips(context, session), problem="")


@actions("search-in")
def search_in(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    """Search in a file that is longer than the window, instead of reading all of it."""
    if click.number >= len(session.too_long):
        raise PageError("error.gone")
    session.searched.append(session.too_long.pop(click.number))
    yield Update(chips=view.chips(context, session), problem="")


@actions("detach", "drop", "drop-searched")
def detach(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    files = {"detach": session.attachments, "drop": session.too_long, "drop-searched": session.searched}[click.name]
    if click.number < len(files):
        files.pop(click.number)
    yield Update(chips=view.chips(context, session), problem="")


@actions("see-attached")
def see_attached(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    if click.number >= len(session.attachments) or not session.attachments[click.number].attachment.picture:
        raise PageError("error.gone")
    yield Update(to_browser=large(session.attachments[click.number].attachment))


@actions("pages", "pages-of-long")
def attach_pages_of_file(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    files = session.attachments if click.name == "pages" else session.too_long
    if click.number >= len(files) or not files[click.number].is_pdf:
        raise PageError("error.gone")
    file, problem = files[click.number], ""
    try:
        attach_pages(context, session, file.attachment.name, file.content, instead_of=file)
    except PagesLeftOut as error:
        problem = problem_box(error, context.language)
    yield Update(chips=view.chips(context, session), problem=problem)


@actions("first-part")
def attach_first_part(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    if click.number >= len(session.too_long):
        raise PageError("error.gone")
    whole = session.too_long[click.number].attachment
    room = context.engine.status().window_tokens // 2
    part = first_part(whole.text, room, context.engine.count_tokens)
    session.too_long.pop(click.number)
    session.attachments.append(AttachedFile(Attachment(whole.name, part, context.engine.count_tokens(part))))
    yield Update(chips=view.chips(context, session), problem="")


@actions("encoding", "encoding-of-long")
def read_again(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    files = session.attachments if click.name == "encoding" else session.too_long
    if click.number >= len(files):
        raise PageError("error.gone")
    choose_encoding(context, session, files, click.number, click.value)
    yield Update(chips=view.chips(context, session), problem="")
