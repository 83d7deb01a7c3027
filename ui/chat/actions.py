"""Every button of the conversation and of the list of chats: one function for each, found by its name.

page.js sends {act, id, value}; nothing of it is trusted. Each function changes the session and says what the page shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from engine import EngineError
from engine.chat import Attachment, Chat, export_json, export_markdown, first_part
from engine.errors import StaleChat

from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.html import browser_message, problem_box
from ..shared.language import number, text
from . import replies, view
from .attachments import attach_text
from .rendering import MORE_MESSAGES, messages
from .replies import AskInput
from .session import Session
from .sidebar import LISTED
from .view import Update

MAX_VALUE_CHARS = 1_000_000


@dataclass(frozen=True)
class Act:
    """What a button asked for. `target`: a chat, a message or a place in a list, as text."""

    name: str
    target: str
    value: str
    ask: AskInput

    @property
    def number(self) -> int:
        if not self.target.isdecimal() or len(self.target) > 18:
            raise PageError("error.gone")
        return int(self.target)


Handler = Callable[[Context, Session, Act], Iterator[Update]]
_HANDLERS: dict[str, Handler] = {}


def perform(context: Context, session: Session, name: str, target: Any, value: Any, ask: AskInput) -> Iterator[Update]:
    """Do what a button asks for; whatever goes wrong becomes a sentence."""
    handler = _HANDLERS.get(name)
    act = Act(name, str(target), str(value or "")[:MAX_VALUE_CHARS], ask)
    try:
        if handler is None:
            raise PageError("error.gone")
        if name != "undo" and session.undo and name not in ("open", "older", "more-chats", "prompt"):
            session.undo = None
        yield from handler(context, session, act)
    except StaleChat as error:
        yield replies.newest(context, session, error)
    except (PageError, EngineError) as error:
        yield Update(problem=problem_box(error, context.language))


def _handler(name: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        _HANDLERS[name] = handler
        return handler
    return register


def _chat(session: Session) -> Chat:
    if session.chat is None:
        raise PageError("error.gone")
    return session.chat


def _current(context: Context, session: Session) -> Chat:
    """The session's chat as it is kept now."""
    return context.conversations.store.get(session.owner, _chat(session).id)


def _shown(context: Context, session: Session, chat: Chat | None, **changes: Any) -> Iterator[Update]:
    """Turn to a chat, and follow what is being written there."""
    session.turn_to(chat)
    yield from replies.show(context, session, **changes)


# --- the list of chats ---

@_handler("open")
def _open(context: Context, session: Session, act: Act) -> Iterator[Update]:
    yield from _shown(context, session, context.conversations.store.get(session.owner, act.target))


@_handler("new")
def _new(context: Context, session: Session, act: Act) -> Iterator[Update]:
    yield from _shown(context, session, None)


@_handler("rename")
def _rename(context: Context, session: Session, act: Act) -> Iterator[Update]:
    context.conversations.store.rename(session.owner, act.target, act.value)
    yield _listed(context, session)


@_handler("pin")
@_handler("unpin")
def _pin(context: Context, session: Session, act: Act) -> Iterator[Update]:
    context.conversations.store.pin(session.owner, act.target, act.name == "pin")
    yield _listed(context, session)


@_handler("delete")
def _delete(context: Context, session: Session, act: Act) -> Iterator[Update]:
    context.conversations.stop(session.owner, act.target)
    context.conversations.store.delete(session.owner, act.target)
    is_here = session.chat is not None and session.chat.id == act.target
    if is_here:
        session.turn_to(None)
    session.undo = ("chat", act.target, 0)
    if is_here:
        yield view.whole(context, session)
    else:
        yield Update(chats=view.chats(context, session), chips=view.chips(context, session))


@_handler("more-chats")
def _more_chats(context: Context, session: Session, act: Act) -> Iterator[Update]:
    session.list_size = (session.list_size or LISTED) + LISTED
    yield Update(chats=view.chats(context, session))


def _listed(context: Context, session: Session) -> Update:
    """After a change of a chat's name or place."""
    if session.chat is not None:
        summary = context.conversations.store.get(session.owner, session.chat.id).summary
        session.chat = replace(session.chat, summary=replace(session.chat.summary, title=summary.title))
    return Update(chats=view.chats(context, session), head=view.head(context, session), problem="")


# --- messages ---

@_handler("version")
@_handler("keep")
def _version(context: Context, session: Session, act: Act) -> Iterator[Update]:
    chat = _chat(session)
    yield from _shown(context, session, context.conversations.store.select(session.owner, chat.id, chat.version, act.number))


@_handler("edit")
def _edit(context: Context, session: Session, act: Act) -> Iterator[Update]:
    message = _chat(session).message(act.number)
    if message is None:
        raise PageError("error.gone")
    session.editing = message.id
    yield Update(line=message.text, chips=view.chips(context, session), problem="")


@_handler("cancel-edit")
def _cancel_edit(context: Context, session: Session, act: Act) -> Iterator[Update]:
    session.editing = None
    yield Update(line="", chips=view.chips(context, session))


@_handler("regenerate")
def _regenerate(context: Context, session: Session, act: Act) -> Iterator[Update]:
    chat = _chat(session)
    asks = act.ask.asks()
    yield from replies.begun(context, session, context.conversations.regenerate(session.owner, chat.id, chat.version, act.number, asks))


@_handler("continue")
def _continue(context: Context, session: Session, act: Act) -> Iterator[Update]:
    chat = _chat(session)
    resumed = context.conversations.resume(session.owner, chat.id, chat.version, act.number, act.ask.asks()[0])
    yield from replies.begun(context, session, resumed)


@_handler("delete-message")
def _delete_message(context: Context, session: Session, act: Act) -> Iterator[Update]:
    chat = _chat(session)
    if context.conversations.is_writing(chat.id):
        raise PageError("error.busy")
    shorter = context.conversations.store.delete_message(session.owner, chat.id, chat.version, act.number)
    session.turn_to(shorter)
    session.undo = ("message", chat.id, act.number)
    yield view.whole(context, session)


@_handler("undo")
def _undo(context: Context, session: Session, act: Act) -> Iterator[Update]:
    if session.undo is None:
        raise PageError("error.gone")
    kind, chat_id, message_id = session.undo
    session.undo = None
    store = context.conversations.store
    if kind == "chat":
        store.restore(session.owner, chat_id)
        yield from _shown(context, session, store.get(session.owner, chat_id))
    else:
        yield from _shown(context, session, store.restore_message(session.owner, chat_id, _chat(session).version, message_id))


@_handler("branch")
def _branch(context: Context, session: Session, act: Act) -> Iterator[Update]:
    chat = _chat(session)
    end = next((i for i, message in enumerate(chat.path) if message.id == act.number), None)
    if end is None:
        raise PageError("error.gone")
    title = text(context.language, "chat.branch.name", title=chat.summary.title)
    yield from _shown(context, session, context.conversations.store.copy(session.owner, title, chat.path[:end + 1]))


@_handler("older")
def _older(context: Context, session: Session, act: Act) -> Iterator[Update]:
    session.num_older += MORE_MESSAGES
    yield Update(messages=messages(session, context.language))


@_handler("unqueue")
def _unqueue(context: Context, session: Session, act: Act) -> Iterator[Update]:
    chat = _chat(session)
    queued = context.conversations.store.take_queued(session.owner, chat.id)
    session.chat = replace(chat, queued="")
    yield Update(line=queued or None, chips=view.chips(context, session))


# --- files ---

@_handler("attach-text")
def _attach_text(context: Context, session: Session, act: Act) -> Iterator[Update]:
    attach_text(context, session, text(context.language, "attach.pasted"), act.value)
    yield Update(chips=view.chips(context, session), problem="")


@_handler("detach")
@_handler("drop")
def _detach(context: Context, session: Session, act: Act) -> Iterator[Update]:
    files = session.attachments if act.name == "detach" else session.too_long
    if act.number < len(files):
        files.pop(act.number)
    yield Update(chips=view.chips(context, session), problem="")


@_handler("first-part")
def _first_part(context: Context, session: Session, act: Act) -> Iterator[Update]:
    if act.number >= len(session.too_long):
        raise PageError("error.gone")
    whole = session.too_long[act.number]
    room = context.engine.status().window_tokens // 2
    part = first_part(whole.text, room, context.engine.count_tokens)
    session.too_long.pop(act.number)
    session.attachments.append(Attachment(whole.name, part, context.engine.count_tokens(part)))
    yield Update(chips=view.chips(context, session), problem="")


# --- what leaves the page ---

@_handler("export-md")
@_handler("export-json")
def _export(context: Context, session: Session, act: Act) -> Iterator[Update]:
    chat = context.conversations.store.get(session.owner, act.target)
    is_markdown = act.name == "export-md"
    content = export_markdown(chat) if is_markdown else export_json([chat])
    yield Update(mail=browser_message("download", name=f"{_file_name(chat.summary.title)}.{'md' if is_markdown else 'json'}", text=content))


@_handler("export-all")
def _export_all(context: Context, session: Session, act: Act) -> Iterator[Update]:
    store = context.conversations.store
    content = export_json([store.get(session.owner, each.id) for each in store.list(session.owner, 100_000)])
    yield Update(mail=browser_message("download", name="mindcubes-chats.json", text=content))


def _file_name(title: str) -> str:
    return "".join(char if char.isalnum() or char in " -_" else "_" for char in title).strip()[:60] or "chat"


@_handler("prompt")
def _prompt(context: Context, session: Session, act: Act) -> Iterator[Update]:
    seen = replies.view_prompt(context, session, act.ask)
    counts = {"tokens": len(seen.tokens), "window": seen.window_tokens, "room": seen.room}
    note = text(context.language, "prompt.note", **{name: number(context.language, count) for name, count in counts.items()})
    yield Update(mail=browser_message("prompt", title=text(context.language, "chat.see_prompt"), note=" ".join((note, *seen.notes)),
                                tokens=list(seen.tokens)))


@_handler("share")
def _share(context: Context, session: Session, act: Act) -> Iterator[Update]:
    shares, chat = context.conversations.shares, _current(context, session)
    links = shares.of_chat(session.owner, chat.id) or (shares.add(session.owner, chat),)
    yield Update(mail=_share_mail(context, links[0].token))


@_handler("share-anew")
def _share_anew(context: Context, session: Session, act: Act) -> Iterator[Update]:
    shares, chat = context.conversations.shares, _current(context, session)
    for old in shares.of_chat(session.owner, chat.id):
        shares.revoke(session.owner, old.token)
    yield Update(mail=_share_mail(context, shares.add(session.owner, chat).token))


def _share_mail(context: Context, token: str) -> str:
    keys = ("share.title", "share.note", "share.revoke", "share.anew")
    return browser_message("share", token=token, **{key.split(".")[1]: text(context.language, key) for key in keys})


@_handler("revoke")
def _revoke(context: Context, session: Session, act: Act) -> Iterator[Update]:
    context.conversations.shares.revoke(session.owner, act.target)
    yield Update(mail=browser_message("toast", text=text(context.language, "share.revoked")))


@_handler("copy-share")
def _copy_share(context: Context, session: Session, act: Act) -> Iterator[Update]:
    if session.share is None:
        raise PageError("error.gone")
    yield from _shown(context, session, context.conversations.store.copy(session.owner, session.share.title, session.share.path))
