"""Sending, and following the replies that the engine generates: what the page changes after each of their events.

A reply belongs to its chat: it is generated and saved whether this page follows it or not, and any page of its owner may stop
it. Errors become sentences, and typed text stays in its box.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from engine import EngineError, Message
from engine.chat import Ask, Chat, ChatMessage, Question, ReplyProgress, prompt_messages
from engine.errors import ChatNotFound, StaleChat
from engine.messages import PromptView

from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.html import browser_message, problem_box
from ..shared.pace import Pace
from . import view
from .options_panel import read
from .session import ChatSession
from .view import Update


@dataclass(frozen=True)
class AskInput:
    """What the options panel holds. `second_*`: for another reply side by side."""

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


def send(context: Context, session: ChatSession, line: str, ask: AskInput) -> Iterator[Update]:
    """Reply to `line`; queue it while a reply is in progress; save a new version of a message if one is being edited."""
    chat = session.chat
    try:
        if session.share:
            raise PageError("error.read_only")
        if session.too_long:
            raise PageError("error.attach_first")
        if not line.strip() and not session.attachments:
            raise PageError("error.nothing")
        if chat and context.conversations.is_writing(chat.id) and _queue(context, session, chat, line):
            yield Update(problem="", chips=view.chips(context, session), to_browser=browser_message("sent", text=line))
            return
        if chat and session.editing:
            changed = context.conversations.edit(session.owner, chat.id, chat.version, session.editing, line, ask.asks())
        else:
            question = Question(line, tuple(file.attachment for file in session.attachments))
            changed = context.conversations.send(session.owner, chat.id if chat else None, chat.version if chat else None,
                                                 question, ask.asks())
    except StaleChat as error:
        yield newest(context, session, error)
        return
    except (PageError, EngineError) as error:
        yield Update(problem=problem_box(error, context.language))
        return
    session.attachments, session.undo = [], None
    yield from show_begun(context, session, changed, to_browser=browser_message("sent", text=line))


def _queue(context: Context, session: ChatSession, chat: Chat, line: str) -> bool:
    """Keep `line` for the end of the reply. False if it has ended meanwhile."""
    if session.attachments:
        raise PageError("error.queue_no_files")
    if not context.conversations.queue(session.owner, chat.id, line):
        return False
    session.chat = replace(chat, queued=context.conversations.get(session.owner, chat.id).queued)
    return True


def show_begun(context: Context, session: ChatSession, chat: Chat, **changes: Any) -> Iterator[Update]:
    """Show a chat whose reply has just begun."""
    session.turn_to(chat)
    replies = context.conversations.progress(session.owner, chat.id, with_ended=True)
    if len(replies) == 1 and replies[0].is_over:
        replies = ()      # shown by its end, with its buttons; of two, either can be kept at once
    yield _followed(context, session, replies, **{"system_prompt": None, "options": None, "is_writing": True, **changes})


def show(context: Context, session: ChatSession, **changes: Any) -> Iterator[Update]:
    """Show the session's chat; if a reply is in progress there, the next event follows it.

    A reply may end between reading the chat and asking for its progress: then there is none, and the chat that was read still
    calls it "writing". Following it finds its end.
    """
    replies = context.conversations.progress(session.owner, session.chat.id) if session.chat else ()
    yield _followed(context, session, replies, **changes)


def _followed(context: Context, session: ChatSession, replies: tuple[ReplyProgress, ...], **changes: Any) -> Update:
    session.replies = replies
    session.pair = tuple(reply.message.id for reply in session.replies) if len(session.replies) > 1 else ()
    session.is_following = session.must_follow = bool(session.replies) or _is_open(session.chat)
    return view.whole(context, session, **changes)


def _is_open(chat: Chat | None) -> bool:
    return chat is not None and any(message.state == "writing" for message in chat.path)


def newest(context: Context, session: ChatSession, error: StaleChat) -> Update:
    """The chat as another page changed it, and the reason."""
    assert session.chat is not None
    session.turn_to(context.conversations.get(session.owner, session.chat.id))
    return view.whole(context, session, problem=problem_box(error, context.language), system_prompt=None, options=None)


def grow(context: Context, session: ChatSession) -> Iterator[None]:
    """Follow the replies in progress until they end or the page turns to another chat; yields when the page should be updated.

    An event of its own, with only the conversation as output: Gradio renders every other output again at each update, even one
    that is skipped, and that costs several times as much as the reply itself.
    """
    if session.chat is None or not session.must_follow:
        return
    chat_id, turn = session.chat.id, session.following
    session.must_follow, pace = False, Pace()
    try:
        for replies in context.conversations.follow(session.owner, chat_id):
            if session.following != turn:
                yield       # an update on its way may arrive after the page turned
                return
            session.replies = replies
            if pace.is_due() and session.is_writing:
                pace.began()
                yield
                pace.ended(sum(len(reply.message.text) + len(reply.message.thoughts) for reply in replies))
        session.must_end = session.following == turn
    finally:
        if session.following == turn:
            session.is_following = False


def end(context: Context, session: ChatSession) -> tuple[Update, bool] | None:
    """The chat as it was saved, and whether another reply has begun there (to a queued message); None if nothing ended.

    If it could not be saved, the page keeps what it shows, with the reason.
    """
    if session.chat is None or not session.must_end:
        return None
    session.must_end = False
    problems: list[Exception] = [reply.save_problem for reply in session.replies if reply.save_problem]
    is_more = context.conversations.is_writing(session.chat.id)
    try:
        chat = context.conversations.get(session.owner, session.chat.id)
        if not problems:
            session.chat = chat
            session.replies = session.replies if session.pair else ()
    except ChatNotFound:        # deleted on another page
        session.turn_to(None)
    except EngineError as error:
        problems.append(error)
    shown = problem_box(problems[0], context.language) if problems else ""
    return view.whole(context, session, problem=shown, is_writing=is_more, system_prompt=None, options=None), is_more


def again(context: Context, session: ChatSession, update: Update) -> Iterator[Update]:
    """The page once more, if it has turned to another chat since `update` was made: two events may answer in any order.

    Call it after `update` was sent.
    """
    while update.turn is not None and session.following != update.turn:
        update = view.whole(context, session, problem=None, system_prompt=None, options=None)
        yield update


def view_prompt(context: Context, session: ChatSession, ask: AskInput) -> PromptView:
    """Exactly what the model read last, or with an empty chat what it would read first. Raises EngineError."""
    first = ask.asks()[0]
    path = list(session.path)
    while path and path[-1].role != "user":
        path.pop()
    messages = prompt_messages(path, first.system_prompt) if path else \
        prompt_messages([ChatMessage("user", "…")], first.system_prompt)
    return context.engine.view_prompt([Message(each.role, each.content) for each in messages], first.options)
