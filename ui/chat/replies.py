"""Sends messages, and follows the replies that the engine generates.

A reply belongs to its chat: it is generated and saved whether this page follows it or not, and any page of the chat's owner may
stop it. Errors are shown as sentences, and typed text stays in the message box.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, timezone
from typing import Any

from engine import EngineError
from engine.chat import Ask, Chat, ChatMessage, Question, ReplyProgress, Source, prompt_messages, with_sources
from engine.errors import ChatNotFound, StaleChat
from engine.messages import Effort, PromptView

from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.html import browser_message, problem_box
from ..shared.pace import Pace
from . import files, view
from .adapters import BASE, AskedAdapter
from .options_panel import read
from .session import ChatSession
from .view import Update


@dataclass(frozen=True)
class AskInput:
    """The values of the options panel. `second_*`: options of the second reply, which is shown side by side with the first.

    `effort`: of thought. `adapter`: with the base beside it, the options of both replies are the same.
    """

    system_prompt: str = ""
    values: tuple[Any, ...] = ()
    is_pair: bool = False
    second_system_prompt: str = ""
    second_temperature: float = 0.0
    effort: Effort | None = None
    adapter: AskedAdapter = BASE
    collections: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    zone: timezone = UTC

    def asks(self) -> list[Ask]:
        """One ask for each reply: two if a comparison is wanted, of adapters or of options. Raises InvalidRequest."""
        options = replace(read(self.values), reasoning_effort=self.effort, adapter=self.adapter.name)
        first = Ask(options, self.system_prompt.strip(), self.collections, self.tools, self.zone)
        if self.adapter.has_base:
            return [replace(first, options=replace(options, adapter="")), first]
        if not self.is_pair:
            return [first]
        second = replace(options, temperature=self.second_temperature)
        return [first, replace(first, options=second, system_prompt=self.second_system_prompt.strip())]


def send(context: Context, session: ChatSession, line: str, ask: AskInput) -> Iterator[Update]:
    """Send `line` and start the reply. During a reply it is queued; during an edit it is a new version of the edited message."""
    chat = session.chat
    try:
        if session.share:
            raise PageError("error.read_only")
        if session.too_long:
            raise PageError("error.attach_first")
        if not line.strip() and (session.searched or not session.attachments):
            raise PageError("error.nothing")
        ask = replace(ask, collections=files.with_mentioned(context, session, line, ask.collections))
        if chat and context.conversations.is_writing(chat.id) and _queue(context, session, chat, line):
            yield Update(problem="", chips=view.chips(context, session), to_browser=browser_message("sent", text=line))
            return
        if chat and session.editing:
            changed = context.conversations.edit(session.owner, chat.id, chat.version, session.editing, line, ask.asks())
        else:
            question = Question(line, tuple(file.attachment for file in session.attachments),
                                tuple(file.attachment for file in session.searched))
            changed = context.conversations.send(session.owner, chat.id if chat else None, chat.version if chat else None,
                                                 question, ask.asks())
    except StaleChat as error:
        yield newest(context, session, error)
        return
    except (PageError, EngineError) as error:
        yield Update(problem=problem_box(error, context.language))
        return
    session.attachments, session.searched, session.undo, session.collections = [], [], None, changed.collections
    if ask.adapter.name is not None:
        session.adapter = ask.adapter.value     # also for the next messages, whatever adapter is loaded meanwhile
    yield from show_begun(context, session, changed, to_browser=browser_message("sent", text=line))


def _queue(context: Context, session: ChatSession, chat: Chat, line: str) -> bool:
    """Queue `line` until the reply in progress has ended. False if it has ended already."""
    if session.attachments or session.searched:
        raise PageError("error.queue_no_files")
    if not context.conversations.queue(session.owner, chat.id, line):
        return False
    session.chat = replace(chat, queued=context.conversations.get(session.owner, chat.id).queued)
    return True


def show_begun(context: Context, session: ChatSession, chat: Chat, **changes: Any) -> Iterator[Update]:
    """Show a chat whose reply has just started."""
    adapter = session.adapter
    session.show_chat(chat)
    session.adapter = adapter or session.adapter
    replies = context.conversations.progress(session.owner, chat.id, with_ended=True)
    if len(replies) == 1 and replies[0].is_over:
        replies = ()      # `end` shows it, with its buttons; two ended replies stay side by side until one is kept
    yield _shown(context, session, replies, **{"system_prompt": None, "options": None, "is_writing": True, **changes})


def show(context: Context, session: ChatSession, **changes: Any) -> Iterator[Update]:
    """Show the session's chat. If a reply is in progress there, the next event follows it.

    A reply may end after the chat was read and before its progress is queried. Then no reply is in progress, but the chat, as it
    was read, still has a message in state "writing". It is followed as well, which finds its end at once.
    """
    replies = context.conversations.progress(session.owner, session.chat.id) if session.chat else ()
    yield _shown(context, session, replies, **changes)


def _shown(context: Context, session: ChatSession, replies: tuple[ReplyProgress, ...], **changes: Any) -> Update:
    session.replies = replies
    session.pair = tuple(reply.message.id for reply in session.replies) if len(session.replies) > 1 else ()
    session.is_following = session.must_follow = bool(session.replies) or _has_open_reply(session.chat)
    return view.whole(context, session, **changes)


def _has_open_reply(chat: Chat | None) -> bool:
    return chat is not None and any(message.state == "writing" for message in chat.path)


def newest(context: Context, session: ChatSession, error: StaleChat) -> Update:
    """Show the chat as another page has changed it, and why the action was refused."""
    assert session.chat is not None
    session.show_chat(context.conversations.get(session.owner, session.chat.id))
    return view.whole(context, session, problem=problem_box(error, context.language), system_prompt=None, options=None)


def follow_replies(context: Context, session: ChatSession) -> Iterator[None]:
    """Follow the replies in progress until they end or the page shows another chat. Yields when the page should be updated.

    This is a separate event that has only the conversation as output: at each update Gradio renders every output again, even a
    skipped one, and rendering the others takes several times as long as rendering the reply.
    """
    if session.chat is None or not session.must_follow:
        return
    chat_id, turn = session.chat.id, session.following
    session.must_follow, pace = False, Pace()
    try:
        for replies in context.conversations.follow(session.owner, chat_id):
            if session.following != turn:
                yield       # an earlier update may have arrived after the page showed another chat
                return
            session.replies = replies
            if pace.is_due() and session.is_writing:
                pace.began()
                yield
                pace.ended(sum(len(reply.message.text) + len(reply.message.thoughts) for reply in replies))
        session.must_end = session.following == turn
        if session.must_end:
            session.replies = _latest(context, session, chat_id)
    finally:
        if session.following == turn:
            session.is_following = False


def _latest(context: Context, session: ChatSession, chat_id: str) -> tuple[ReplyProgress, ...]:
    """The session's replies as they ended, also if they did so before they could be followed."""
    try:
        found = {reply.message.id: reply for reply in context.conversations.progress(session.owner, chat_id, with_ended=True)}
    except EngineError:         # the chat was deleted on another page: `end` shows that
        return session.replies
    return tuple(found.get(reply.message.id, reply) for reply in session.replies)


def end(context: Context, session: ChatSession) -> tuple[Update, bool] | None:
    """Show the chat as it was saved after its replies ended. None if no reply has ended.

    The second value says whether another reply, to a queued message, has started. If a reply could not be saved, the page keeps
    its text and shows the reason.
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
        session.show_chat(None)
    except EngineError as error:
        problems.append(error)
    shown = problem_box(problems[0], context.language) if problems else ""
    return view.whole(context, session, problem=shown, is_writing=is_more, system_prompt=None, options=None), is_more


def again(context: Context, session: ChatSession, update: Update) -> Iterator[Update]:
    """Render the page again if it has shown another chat since `update` was made.

    Two events that run at the same time may end in any order, so an older one could overwrite the page. Call this after `update`
    was sent.
    """
    while update.turn is not None and session.following != update.turn:
        update = view.whole(context, session, problem=None, system_prompt=None, options=None)
        yield update


def view_prompt(context: Context, session: ChatSession, ask: AskInput) -> PromptView:
    """The exact prompt of the last reply; for an empty chat, that of its first message. Raises EngineError."""
    first = ask.asks()[0]
    path, sources = list(session.path), tuple[Source, ...]()
    while path and path[-1].role != "user":
        sources = path.pop().sources
    messages = prompt_messages(path, first.system_prompt) if path else \
        prompt_messages([ChatMessage("user", "…")], first.system_prompt)
    return context.engine.view_prompt(with_sources(messages, sources), context.conversations.tools.options(first))
