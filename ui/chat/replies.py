"""Sending, and following the answers that the engine writes: what the page changes after each of their events.

An answer belongs to its chat: it is written and saved whether this page follows it or not. Stop is a wish that any page
of its owner can utter. Whatever goes wrong becomes a sentence, and typed text stays in its box.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from engine import EngineError, Message
from engine.chat import Ask, Chat, ChatMessage, Progress, Question, prompt_messages
from engine.errors import ChatNotFound, StaleChat
from engine.messages import PromptView

from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.html import browser_message, problem_box
from ..shared.pace import Pace
from . import view
from .options_panel import read
from .session import Session
from .view import Update


@dataclass(frozen=True)
class AskInput:
    """What the options panel holds. `second_*`: for another answer side by side."""

    system_prompt: str = ""
    values: tuple[Any, ...] = ()
    is_pair: bool = False
    second_system_prompt: str = ""
    second_temperature: float = 0.0

    def asks(self) -> list[Ask]:
        """Raises InvalidRequest."""
        options = read(self.values)
        first = Ask(options, self.system_prompt.strip())
        if not self.is_pair:
            return [first]
        return [first, Ask(replace(options, temperature=self.second_temperature), self.second_system_prompt.strip())]


def send(context: Context, session: Session, line: str, ask: AskInput) -> Iterator[Update]:
    """Answer `line`; queue it while an answer is being written; a new version of a message if one is being edited."""
    chat = session.chat
    try:
        if session.share:
            raise PageError("error.read_only")
        if session.too_long:
            raise PageError("error.attach_first")
        if not line.strip() and not session.attachments:
            raise PageError("error.nothing")
        if chat and context.conversations.is_writing(chat.id) and _queue(context, session, chat, line):
            yield Update(problem="", chips=view.chips(context, session), mail=browser_message("sent", text=line))
            return
        if chat and session.editing:
            begun_chat = context.conversations.edit(session.owner, chat.id, chat.version, session.editing, line, ask.asks())
        else:
            question = Question(line, tuple(session.attachments))
            begun_chat = context.conversations.send(session.owner, chat.id if chat else None, chat.version if chat else None,
                                                 question, ask.asks())
    except StaleChat as error:
        yield newest(context, session, error)
        return
    except (PageError, EngineError) as error:
        yield Update(problem=problem_box(error, context.language))
        return
    session.attachments, session.undo = [], None
    yield from begun(context, session, begun_chat, mail=browser_message("sent", text=line))


def _queue(context: Context, session: Session, chat: Chat, line: str) -> bool:
    """Keep `line` for the end of the answer. False if that has come meanwhile."""
    if session.attachments:
        raise PageError("error.queue_no_files")
    if not context.conversations.queue(session.owner, chat.id, line):
        return False
    session.chat = replace(chat, queued=context.conversations.store.get(session.owner, chat.id).queued)
    return True


def begun(context: Context, session: Session, chat: Chat, **changes: Any) -> Iterator[Update]:
    """Show a chat whose answer has just begun."""
    session.turn_to(chat)
    looks = context.conversations.look(session.owner, chat.id, with_ended=True)
    if len(looks) == 1 and looks[0].is_over:
        looks = ()      # its end shows it, and only then is it to be acted upon; of two, either can be kept
    yield _followed(context, session, looks, **{"system_prompt": None, "options": None, "is_writing": True, **changes})


def show(context: Context, session: Session, **changes: Any) -> Iterator[Update]:
    """Show what the session turned to; if something is being written there, the next event follows it.

    An answer may end between reading the chat and looking at it: then there is nothing to look at, and what was read still says
    that it is being written. Following it finds its end.
    """
    looks = context.conversations.look(session.owner, session.chat.id) if session.chat else ()
    yield _followed(context, session, looks, **changes)


def _followed(context: Context, session: Session, looks: tuple[Progress, ...], **changes: Any) -> Update:
    session.looks = looks
    session.pair = tuple(look.message.id for look in session.looks) if len(session.looks) > 1 else ()
    session.is_following = session.must_follow = bool(session.looks) or _is_open(session.chat)
    return view.whole(context, session, **changes)


def _is_open(chat: Chat | None) -> bool:
    return chat is not None and any(message.state == "writing" for message in chat.path)


def newest(context: Context, session: Session, error: StaleChat) -> Update:
    """The chat as another page has made it, and why it changed under this one's hands."""
    assert session.chat is not None
    session.turn_to(context.conversations.store.get(session.owner, session.chat.id))
    return view.whole(context, session, problem=problem_box(error, context.language), system_prompt=None, options=None)


def grow(context: Context, session: Session) -> Iterator[None]:
    """Follow the answers being written in the session's chat until they end or the page turns away; yields when it is time to show.

    An event of its own, with only the conversation as output: Gradio makes every other output anew at each update, even one
    that is skipped, which costs several times what the answer itself costs.
    """
    if session.chat is None or not session.must_follow:
        return
    chat_id, turn = session.chat.id, session.following
    session.must_follow, pace = False, Pace()
    try:
        for looks in context.conversations.follow(session.owner, chat_id):
            if session.following != turn:
                yield       # what was on its way may come after what the page has turned to
                return
            session.looks = looks
            if pace.is_due() and session.is_writing:
                pace.began()
                yield
                pace.ended(sum(len(look.message.text) + len(look.message.thoughts) for look in looks))
        session.must_end = session.following == turn
    finally:
        if session.following == turn:
            session.is_following = False


def end(context: Context, session: Session) -> tuple[Update, bool] | None:
    """The chat as it was saved, and whether another answer has begun there (to a queued message); None if nothing ended.

    If it could not be saved, what was seen stays, with the reason.
    """
    if session.chat is None or not session.must_end:
        return None
    session.must_end = False
    problems: list[Exception] = [look.save_problem for look in session.looks if look.save_problem]
    is_more = context.conversations.is_writing(session.chat.id)
    try:
        chat = context.conversations.store.get(session.owner, session.chat.id)
        if not problems:
            session.chat = chat
            session.looks = session.looks if session.pair else ()
    except ChatNotFound:        # deleted on another page
        session.turn_to(None)
    except EngineError as error:
        problems.append(error)
    shown = problem_box(problems[0], context.language) if problems else ""
    return view.whole(context, session, problem=shown, is_writing=is_more, system_prompt=None, options=None), is_more


def again(context: Context, session: Session, update: Update) -> Iterator[Update]:
    """The page once more, if it has turned to something else since `update` was made: two events may answer in any order.

    To be asked after `update` was sent: whoever turns the page later answers later.
    """
    while update.turn is not None and session.following != update.turn:
        update = view.whole(context, session, problem=None, system_prompt=None, options=None)
        yield update


def view_prompt(context: Context, session: Session, ask: AskInput) -> PromptView:
    """Exactly what the model read last, or with an empty chat what it would read first. Raises EngineError."""
    first = ask.asks()[0]
    path = list(session.path)
    while path and path[-1].role != "user":
        path.pop()
    messages = prompt_messages(path, first.system_prompt) if path else \
        prompt_messages([ChatMessage("user", "…")], first.system_prompt)
    return context.engine.view_prompt([Message(each.role, each.content) for each in messages], first.options)
