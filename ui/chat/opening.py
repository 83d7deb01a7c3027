"""What a page shows when it is opened, when another page has changed its chat, and when a file of chats is imported."""

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
MAX_REASONS = 5         # reasons shown, if many chats of a file cannot be read


def arrive(context: Context, session: ChatSession, address: Mapping[str, Any]) -> Iterator[Update]:
    """A page was opened or reloaded: show the chat or the shared chat that its address names, and follow its reply in progress."""
    try:
        if address.get("share"):
            session.show_chat(None, context.conversations.shared(str(address["share"])))
        elif address.get("chat"):
            session.show_chat(context.conversations.get(session.owner, str(address["chat"])))
    except EngineError as error:        # it does not exist, or the database cannot be read: show an empty page with the reason
        yield view.whole(context, session, problem=problem_box(error, context.language), system_prompt=None)
        return
    yield from replies.show(context, session, **({} if session.chat else {"system_prompt": None}))


def show_again(context: Context, session: ChatSession) -> Iterator[Update]:
    """Another page changed this chat, or the reply to a queued message has started: show the chat again."""
    if session.chat is None or session.is_following:
        yield Update()
        return
    try:
        chat = context.conversations.get(session.owner, session.chat.id)
    except EngineError:
        session.show_chat(None)
        yield view.whole(context, session)
        return
    session.show_chat(chat)
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
    session.show_chat(imported.chats[-1])
    done = browser_message("toast", text=text(context.language, "import.done", count=number(context.language, len(imported.chats))))
    skipped = _skipped(context, imported.skipped, imported.left_out)        # a toast would cover the reasons
    yield from replies.show(context, session, to_browser=None if skipped else done, **skipped)


def _skipped(context: Context, reasons: Sequence[str], pictures: int) -> dict[str, str]:
    """How many chats of a file could not be read, and why, and how many pictures are left out. Empty if nothing is missing."""
    count, shown = number(context.language, len(reasons)), " ".join(reasons[:MAX_REASONS])
    problems = [PageError("import.skipped", count=count, reasons=shown)] if reasons else []
    if pictures:
        problems.append(PageError("import.pictures", count=number(context.language, pictures)))
    return {"problem": "".join(problem_box(each, context.language) for each in problems)} if problems else {}
