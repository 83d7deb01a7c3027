"""What a page shows when it is opened, woken by another page's change, or given a file of chats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine import EngineError

from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.html import browser_message, problem_box
from ..shared.language import number, text
from . import replies, view
from .session import ChatSession
from .view import Update

MAX_IMPORT_BYTES = 50_000_000
MAX_REASONS = 5         # that are shown, of a file in which many chats cannot be read


def arrive(context: Context, session: ChatSession, address: Mapping[str, Any]) -> Iterator[Update]:
    """A page was opened or reloaded: show the chat or the share that its address names, and follow a reply in progress there."""
    try:
        if address.get("share"):
            session.turn_to(None, context.conversations.shared(str(address["share"])))
        elif address.get("chat"):
            session.turn_to(context.conversations.get(session.owner, str(address["chat"])))
    except EngineError as error:        # not there, or the database cannot be read: a new chat is still possible
        yield view.whole(context, session, problem=problem_box(error, context.language), system_prompt=None)
        return
    yield from replies.show(context, session, **({} if session.chat else {"system_prompt": None}))


def look_again(context: Context, session: ChatSession) -> Iterator[Update]:
    """This chat was changed on another page, or a queued message is being answered."""
    if session.chat is None or session.is_following:
        yield Update()
        return
    try:
        chat = context.conversations.get(session.owner, session.chat.id)
    except EngineError:
        session.turn_to(None)
        yield view.whole(context, session)
        return
    session.turn_to(chat)
    yield from replies.show(context, session, system_prompt=None, options=None)


def import_chats(context: Context, session: ChatSession, path: str | None) -> Iterator[Update]:
    """Import an uploaded file and show its last chat."""
    try:
        if not path:
            raise PageError("error.gone")
        with open(path, "rb") as file:
            content = file.read(MAX_IMPORT_BYTES + 1)
        if len(content) > MAX_IMPORT_BYTES:
            raise PageError("error.import_size")
        imported = context.conversations.import_chats(session.owner, content.decode("utf-8-sig", errors="replace"))
    except (PageError, EngineError) as error:
        yield Update(problem=problem_box(error, context.language))
        return
    session.turn_to(imported.chats[-1])
    done = browser_message("toast", text=text(context.language, "import.done", count=number(context.language, len(imported.chats))))
    skipped = _skipped(context, imported.skipped)       # a toast would lie over the reasons
    yield from replies.show(context, session, to_browser=None if skipped else done, **skipped)


def _skipped(context: Context, reasons: Sequence[str]) -> dict[str, str]:
    """The chats of a file that could not be read, each with its reason."""
    if not reasons:
        return {}
    count, shown = number(context.language, len(reasons)), " ".join(reasons[:MAX_REASONS])
    return {"problem": problem_box(PageError("import.skipped", count=count, reasons=shown), context.language)}
