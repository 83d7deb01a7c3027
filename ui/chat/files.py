"""Which collections of files the next message is answered from, and the sources under an answer."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from engine import EngineError
from engine.chat import ChatMessage, Source, mentioned
from engine.knowledge import Collection

from ..shared.context import Context
from ..shared.language import text
from ..shared.sources import place_text
from .session import ChatSession

MAX_COLLECTIONS = 16
TITLE_CHARS = 300
_CODE = re.compile(r"(```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`)", re.DOTALL)
_NUMBER = re.compile(r"\[(\d{1,2})\](?![(:])")


def in_use(context: Context, session: ChatSession) -> list[Collection]:
    """The collections that the chat is answered from, without those that were deleted meanwhile. Raises StorageError."""
    found = []
    for collection_id in session.collections:
        try:
            found.append(context.knowledge.get(session.owner, collection_id))
        except EngineError:
            continue
    return found


def asked_collections(context: Context, session: ChatSession, removed: str = "") -> tuple[str, ...]:
    """The ids for the next message. `removed`: ids that this page removed just now, separated by spaces."""
    gone = set(removed.split())
    return tuple(each.id for each in in_use(context, session) if each.id not in gone)


def with_mentioned(context: Context, session: ChatSession, line: str, collections: Sequence[str]) -> tuple[str, ...]:
    """`collections`, and those that `line` names as #name."""
    if "#" not in line:
        return tuple(collections)
    by_name = {each.name: each.id for each in context.knowledge.list(session.owner)}
    named = [by_name[name] for name in mentioned(line, list(by_name))]
    return tuple(dict.fromkeys([*collections, *named]))[:MAX_COLLECTIONS]


def linked(message: ChatMessage) -> str:
    """The text of an ended reply whose numbers of sources are links; files.js opens them. Code stays as it is."""
    numbers = {source.number for source in message.sources}
    if not numbers:
        return message.text

    def link(found: re.Match[str]) -> str:
        number = int(found[1])
        return f"[\\[{number}\\]](#mc-source-{message.id}-{number})" if number in numbers else found[0]

    return "".join(part if _CODE.fullmatch(part) else _NUMBER.sub(link, part) for part in _CODE.split(message.text))


def sources_html(message: ChatMessage, language: str) -> str:
    """The passages that the model read, as buttons that open them."""
    if not message.sources:
        return ""
    buttons = "".join(_button(message, source, language) for source in message.sources)
    label = html.escape(text(language, "source.title"))
    return f'<div class="mc-sources" role="group" aria-label="{label}"><span>{label}</span>{buttons}</div>'


def _button(message: ChatMessage, source: Source, language: str) -> str:
    where = " · ".join(filter(None, (source.name, place_text(language, source.page, source.row, source.heading))))
    beginning = " ".join(source.text[:TITLE_CHARS].split())
    return (f'<button type="button" data-act="source" data-id="{message.id}" value="{source.number}" title="{html.escape(beginning)}">'
            f"<b>{source.number}</b> {html.escape(where)}</button>")
