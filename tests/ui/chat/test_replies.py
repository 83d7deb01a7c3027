"""Sending and following, where an answer has ended before its page reads it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Conversations, Finished, TextDelta
from engine.chat import Ask, Question
from ui.chat import replies
from ui.chat.session import ChatSession
from ui.shared.context import Context, build_services

from ..scripted_engine import USAGE, ScriptedEngine, answer

OWNER = "visitor"


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    engine = ScriptedEngine(answer("quick"), data_dir=tmp_path)
    conversations = Conversations(engine)  # type: ignore[arg-type]
    yield Context.of(build_services(engine, conversations), None)  # type: ignore[arg-type]
    conversations.close()


def wait_until_over(context: Context, chat_id: str) -> None:
    for replies_now in context.conversations.follow(OWNER, chat_id):
        assert replies_now


def test_an_answer_that_ends_before_the_page_first_reads_it_is_shown_complete(context: Context) -> None:
    """The chat is read, the answer ends, the page asks for it: otherwise it would wait forever for an end that has passed."""
    session = ChatSession(owner=OWNER)
    chat = context.conversations.send(OWNER, None, None, Question("Hello"), [Ask(context.engine.default_options())])
    wait_until_over(context, chat.id)

    assert len(list(replies.show_begun(context, session, chat))) == 1
    assert session.must_follow
    assert list(replies.follow_replies(context, session)) == []
    assert session.must_end
    ended = replies.end(context, session)

    assert ended is not None
    assert session.chat is not None
    assert session.chat.path[-1].state == "done"
    assert "quick" in session.chat.path[-1].text
    assert not session.is_writing
    assert not session.is_following


def test_two_answers_that_end_before_the_page_first_reads_them_are_shown_side_by_side(context: Context) -> None:
    session = ChatSession(owner=OWNER)
    asks = [Ask(context.engine.default_options())] * 2
    chat = context.conversations.send(OWNER, None, None, Question("Hello"), asks)
    wait_until_over(context, chat.id)

    update = next(iter(replies.show_begun(context, session, chat)))
    assert update.pair is not None
    assert [len(side) for side in update.pair] == [1, 1]
    list(replies.follow_replies(context, session))
    assert replies.end(context, session) is not None
    assert session.pair == chat.path[-1].versions


def test_two_answers_that_end_between_being_shown_and_followed_are_shown_ended(context: Context) -> None:
    """Otherwise they would say "Generating" forever: the second of them is not in the chat that `end` reads."""
    session, go_on = ChatSession(owner=OWNER), threading.Event()
    context.engine.script = [TextDelta("slow"), go_on, Finished("stop", USAGE)]  # type: ignore[attr-defined]
    asks = [Ask(context.engine.default_options())] * 2
    chat = context.conversations.send(OWNER, None, None, Question("Hello"), asks)
    next(iter(replies.show_begun(context, session, chat)))
    assert session.is_writing
    go_on.set()
    wait_until_over(context, chat.id)
    list(replies.follow_replies(context, session))
    assert [reply.is_over for reply in session.replies] == [True, True]


def test_an_answer_that_ended_while_its_chat_was_being_read_is_followed_to_its_end(context: Context) -> None:
    """On a page that is being opened: the chat is read, the answer ends, the page asks for it."""
    session = ChatSession(owner=OWNER)
    chat = context.conversations.send(OWNER, None, None, Question("Hello"), [Ask(context.engine.default_options())])
    wait_until_over(context, chat.id)
    session.show_chat(chat)
    assert len(list(replies.show(context, session))) == 1
    assert session.replies == ()
    assert session.must_follow


def test_after_the_end_of_a_reply_in_another_chat_the_open_chat_is_shown_again(context: Context) -> None:
    """Of two events at the same time, the one that was made first may be sent last."""
    session = ChatSession(owner=OWNER)
    first, second = (context.conversations.send(OWNER, None, None, Question(text), [Ask(context.engine.default_options())])
                     for text in ("First", "Second"))
    for chat in (first, second):
        wait_until_over(context, chat.id)
    list(replies.show_begun(context, session, first))
    list(replies.follow_replies(context, session))
    ended = replies.end(context, session)
    assert ended is not None
    assert list(replies.again(context, session, ended[0])) == []

    session.show_chat(context.conversations.get(OWNER, second.id))
    newer = list(replies.again(context, session, ended[0]))
    assert ["Second" in str(update.messages) for update in newer] == [True]
    assert "First" not in str(newer[0].messages)


def test_a_chat_without_a_reply_in_progress_is_not_followed(context: Context) -> None:
    session = ChatSession(owner=OWNER)
    chat = context.conversations.send(OWNER, None, None, Question("Hello"), [Ask(context.engine.default_options())])
    wait_until_over(context, chat.id)
    session.show_chat(context.conversations.get(OWNER, chat.id))
    assert len(list(replies.show(context, session))) == 1
    assert not session.must_follow
    assert not session.is_following
