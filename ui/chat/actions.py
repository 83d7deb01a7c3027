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

from ..shared.errors import PageError
from ..shared.html import browser_message, problem_box
from ..shared.language import number, text
from . import replies, view
from .attachments import attach_text
from .rendering import MORE_MESSAGES, messages
from .replies import AskInput
from .session import Session
from .sidebar import LISTED
from .view import Desk, Update

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


Handler = Callable[[Desk, Session, Act], Iterator[Update]]
_HANDLERS: dict[str, Handler] = {}


def perform(desk: Desk, session: Session, name: str, target: Any, value: Any, ask: AskInput) -> Iterator[Update]:
    """Do what a button asks for; whatever goes wrong becomes a sentence."""
    handler = _HANDLERS.get(name)
    act = Act(name, str(target), str(value or "")[:MAX_VALUE_CHARS], ask)
    try:
        if handler is None:
            raise PageError("error.gone")
        if name != "undo" and session.undo and name not in ("open", "older", "more-chats", "prompt"):
            session.undo = None
        yield from handler(desk, session, act)
    except StaleChat as error:
        yield replies.newest(desk, session, error)
    except (PageError, EngineError) as error:
        yield Update(problem=problem_box(error, desk.language))


def _handler(name: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        _HANDLERS[name] = handler
        return handler
    return register


def _chat(session: Session) -> Chat:
    if session.chat is None:
        raise PageError("error.gone")
    return session.chat


def _current(desk: Desk, session: Session) -> Chat:
    """The session's chat as it is kept now."""
    return desk.conversations.store.get(session.owner, _chat(session).id)


def _shown(desk: Desk, session: Session, chat: Chat | None, **changes: Any) -> Iterator[Update]:
    """Turn to a chat, and follow what is being written there."""
    session.turn_to(chat)
    yield from replies.show(desk, session, **changes)


# --- the list of chats ---

@_handler("open")
def _open(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    yield from _shown(desk, session, desk.conversations.store.get(session.owner, act.target))


@_handler("new")
def _new(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    yield from _shown(desk, session, None)


@_handler("rename")
def _rename(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    desk.conversations.store.rename(session.owner, act.target, act.value)
    yield _listed(desk, session)


@_handler("pin")
@_handler("unpin")
def _pin(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    desk.conversations.store.pin(session.owner, act.target, act.name == "pin")
    yield _listed(desk, session)


@_handler("delete")
def _delete(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    desk.conversations.stop(session.owner, act.target)
    desk.conversations.store.delete(session.owner, act.target)
    is_here = session.chat is not None and session.chat.id == act.target
    if is_here:
        session.turn_to(None)
    session.undo = ("chat", act.target, 0)
    if is_here:
        yield view.whole(desk, session)
    else:
        yield Update(chats=view.chats(desk, session), chips=view.chips(desk, session))


@_handler("more-chats")
def _more_chats(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    session.list_size = (session.list_size or LISTED) + LISTED
    yield Update(chats=view.chats(desk, session))


def _listed(desk: Desk, session: Session) -> Update:
    """After a change of a chat's name or place."""
    if session.chat is not None:
        summary = desk.conversations.store.get(session.owner, session.chat.id).summary
        session.chat = replace(session.chat, summary=replace(session.chat.summary, title=summary.title))
    return Update(chats=view.chats(desk, session), head=view.head(desk, session), problem="")


# --- messages ---

@_handler("version")
@_handler("keep")
def _version(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    chat = _chat(session)
    yield from _shown(desk, session, desk.conversations.store.select(session.owner, chat.id, chat.version, act.number))


@_handler("edit")
def _edit(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    message = _chat(session).message(act.number)
    if message is None:
        raise PageError("error.gone")
    session.editing = message.id
    yield Update(line=message.text, chips=view.chips(desk, session), problem="")


@_handler("cancel-edit")
def _cancel_edit(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    session.editing = None
    yield Update(line="", chips=view.chips(desk, session))


@_handler("regenerate")
def _regenerate(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    chat = _chat(session)
    asks = act.ask.asks()
    yield from replies.begun(desk, session, desk.conversations.regenerate(session.owner, chat.id, chat.version, act.number, asks))


@_handler("continue")
def _continue(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    chat = _chat(session)
    yield from replies.begun(desk, session, desk.conversations.resume(session.owner, chat.id, chat.version, act.number, act.ask.asks()[0]))


@_handler("delete-message")
def _delete_message(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    chat = _chat(session)
    if desk.conversations.is_writing(chat.id):
        raise PageError("error.busy")
    shorter = desk.conversations.store.delete_message(session.owner, chat.id, chat.version, act.number)
    session.turn_to(shorter)
    session.undo = ("message", chat.id, act.number)
    yield view.whole(desk, session)


@_handler("undo")
def _undo(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    if session.undo is None:
        raise PageError("error.gone")
    kind, chat_id, message_id = session.undo
    session.undo = None
    store = desk.conversations.store
    if kind == "chat":
        store.restore(session.owner, chat_id)
        yield from _shown(desk, session, store.get(session.owner, chat_id))
    else:
        yield from _shown(desk, session, store.restore_message(session.owner, chat_id, _chat(session).version, message_id))


@_handler("branch")
def _branch(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    chat = _chat(session)
    end = next((i for i, message in enumerate(chat.path) if message.id == act.number), None)
    if end is None:
        raise PageError("error.gone")
    title = text(desk.language, "chat.branch.name", title=chat.summary.title)
    yield from _shown(desk, session, desk.conversations.store.copy(session.owner, title, chat.path[:end + 1]))


@_handler("older")
def _older(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    session.num_older += MORE_MESSAGES
    yield Update(messages=messages(session, desk.language))


@_handler("unqueue")
def _unqueue(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    chat = _chat(session)
    queued = desk.conversations.store.take_queued(session.owner, chat.id)
    session.chat = replace(chat, queued="")
    yield Update(line=queued or None, chips=view.chips(desk, session))


# --- files ---

@_handler("attach-text")
def _attach_text(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    attach_text(desk, session, text(desk.language, "attach.pasted"), act.value)
    yield Update(chips=view.chips(desk, session), problem="")


@_handler("detach")
@_handler("drop")
def _detach(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    files = session.attachments if act.name == "detach" else session.too_long
    if act.number < len(files):
        files.pop(act.number)
    yield Update(chips=view.chips(desk, session), problem="")


@_handler("first-part")
def _first_part(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    if act.number >= len(session.too_long):
        raise PageError("error.gone")
    whole = session.too_long[act.number]
    room = desk.engine.status().window_tokens // 2
    part = first_part(whole.text, room, desk.engine.count_tokens)
    session.too_long.pop(act.number)
    session.attachments.append(Attachment(whole.name, part, desk.engine.count_tokens(part)))
    yield Update(chips=view.chips(desk, session), problem="")


# --- what leaves the page ---

@_handler("export-md")
@_handler("export-json")
def _export(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    chat = desk.conversations.store.get(session.owner, act.target)
    is_markdown = act.name == "export-md"
    content = export_markdown(chat) if is_markdown else export_json([chat])
    yield Update(mail=browser_message("download", name=f"{_file_name(chat.summary.title)}.{'md' if is_markdown else 'json'}", text=content))


@_handler("export-all")
def _export_all(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    store = desk.conversations.store
    content = export_json([store.get(session.owner, each.id) for each in store.list(session.owner, 100_000)])
    yield Update(mail=browser_message("download", name="mindcubes-chats.json", text=content))


def _file_name(title: str) -> str:
    return "".join(char if char.isalnum() or char in " -_" else "_" for char in title).strip()[:60] or "chat"


@_handler("prompt")
def _prompt(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    seen = replies.view_prompt(desk, session, act.ask)
    counts = {"tokens": len(seen.tokens), "window": seen.window_tokens, "room": seen.room}
    note = text(desk.language, "prompt.note", **{name: number(desk.language, count) for name, count in counts.items()})
    yield Update(mail=browser_message("prompt", title=text(desk.language, "chat.see_prompt"), note=" ".join((note, *seen.notes)),
                                tokens=list(seen.tokens)))


@_handler("share")
def _share(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    shares, chat = desk.conversations.shares, _current(desk, session)
    links = shares.of_chat(session.owner, chat.id) or (shares.add(session.owner, chat),)
    yield Update(mail=_share_mail(desk, links[0].token))


@_handler("share-anew")
def _share_anew(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    shares, chat = desk.conversations.shares, _current(desk, session)
    for old in shares.of_chat(session.owner, chat.id):
        shares.revoke(session.owner, old.token)
    yield Update(mail=_share_mail(desk, shares.add(session.owner, chat).token))


def _share_mail(desk: Desk, token: str) -> str:
    keys = ("share.title", "share.note", "share.revoke", "share.anew")
    return browser_message("share", token=token, **{key.split(".")[1]: text(desk.language, key) for key in keys})


@_handler("revoke")
def _revoke(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    desk.conversations.shares.revoke(session.owner, act.target)
    yield Update(mail=browser_message("toast", text=text(desk.language, "share.revoked")))


@_handler("copy-share")
def _copy_share(desk: Desk, session: Session, act: Act) -> Iterator[Update]:
    if session.share is None:
        raise PageError("error.gone")
    yield from _shown(desk, session, desk.conversations.store.copy(session.owner, session.share.title, session.share.path))
