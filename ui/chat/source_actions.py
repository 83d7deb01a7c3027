"""Buttons about files that a chat is answered from: open a source, and stop using a collection."""

from __future__ import annotations

from collections.abc import Iterator

from engine.chat import Source
from engine.knowledge import CollectionNotFound, DocumentNotFound

from ..shared.actions import Actions, whole_number
from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.language import text
from ..shared.sources import place_text, viewer
from . import view
from .chat_click import ChatClick
from .session import ChatSession
from .view import Update

actions: Actions[ChatSession, Iterator[Update]] = Actions()


@actions("source")
def open_source(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    message = next((each for each in session.path if each.id == click.number), None)
    wanted = whole_number(click.value)
    source = next((each for each in message.sources if each.number == wanted), None) if message else None
    if source is None:
        raise PageError("error.gone")
    yield Update(to_browser=_opened(context, session, source), problem="")


def _opened(context: Context, session: ChatSession, source: Source) -> str:
    """The file at the passage. If it is gone, was changed, or belongs to someone else: the passage as the model read it."""
    language = context.language
    note = " · ".join(filter(None, (source.collection, place_text(language, source.page, source.row, source.heading))))
    if source.document:
        try:
            _, content = context.knowledge.document_text(session.owner, source.document)
            if content[source.begin:source.end] == source.text:
                return viewer(language, source.name, content, source.begin, source.end, note)
        except (DocumentNotFound, CollectionNotFound):
            pass
    only = text(language, "source.only")
    return viewer(language, source.name, source.text, 0, len(source.text), " ".join(filter(None, (note, only))))


@actions("forget-files")
def forget_files(context: Context, session: ChatSession, click: ChatClick) -> Iterator[Update]:
    session.collections = tuple(each for each in session.collections if each != click.target)
    yield Update(chips=view.chips(context, session), problem="")
