"""What each visitor may use, and what is counted."""

from pathlib import Path

import pytest

from engine.errors import EngineBusy, InvalidRequest, NoModelLoaded, TooManyMessages, TooManyReplies, TooManyTokens
from engine.limits import Limits
from engine.storage.database import Database
from engine.visitors import VisitorBook

NOON = 1_764_417_600.0       # 2025-11-29 12:00 UTC
LIMITS = Limits(messages_per_minute=3, tokens_per_day=100, message_chars=50, replies_at_once=2)


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> VisitorBook:
    return VisitorBook(Database(tmp_path), LIMITS, clock)


def send(book: VisitorBook, visitor: str, tokens: int = 0, cached: int = 0) -> None:
    with book.reply(visitor, 10) as count:
        count(tokens - cached, 0)


def test_messages_of_a_minute_are_limited_for_each_visitor(book: VisitorBook, clock: Clock) -> None:
    for second in range(3):
        clock.now = NOON + 10 * second
        send(book, "ann")
    with pytest.raises(TooManyMessages, match=r"3 messages a minute here\. Try again in 40 s"):
        book.check("ann")
    send(book, "ben")
    clock.now = NOON + 60
    send(book, "ann")
    with pytest.raises(TooManyMessages):
        send(book, "ann")


def test_several_replies_to_one_message_count_each(book: VisitorBook) -> None:
    with pytest.raises(TooManyReplies):
        book.check("ann", 3)
    with book.reply("ann"), book.reply("ann"), pytest.raises(TooManyReplies, match="2 replies in progress"):
        book.check("ann")
    book.check("ann")


def test_tokens_of_a_day_are_limited_and_kept(book: VisitorBook, clock: Clock, tmp_path: Path) -> None:
    send(book, "ann", tokens=160, cached=70)
    send(book, "ann", tokens=10)
    again = VisitorBook(Database(tmp_path), LIMITS, clock)
    for each in (book, again):
        with pytest.raises(TooManyTokens, match="100 tokens a day here, and have used them"):
            each.check("ann")
    clock.now = NOON + 86_400
    again.check("ann")


def test_a_long_message_is_refused_with_both_sizes(book: VisitorBook) -> None:
    with pytest.raises(InvalidRequest, match=r"51 characters long.*at most 50"):
        book.check("ann", chars=51)


def test_a_refused_or_failed_reply_leaves_nothing_behind(book: VisitorBook) -> None:
    with pytest.raises(RuntimeError), book.reply("ann"):
        raise RuntimeError
    with pytest.raises(InvalidRequest), book.reply("ann", 51):
        pass
    with pytest.raises(NoModelLoaded), book.reply("ann"):
        raise NoModelLoaded
    [use] = book.today()
    assert (use.running, use.messages, use.tokens) == (0, 1, 0)


def test_the_program_itself_has_no_limits_and_is_not_counted(book: VisitorBook) -> None:
    for _ in range(5):
        send(book, "", tokens=1000)
    assert book.today() == ()


def test_the_operator_sees_counts_and_the_names_of_accounts(book: VisitorBook, clock: Clock, tmp_path: Path) -> None:
    send(book, "ann", tokens=10)
    book.know("hash-of-ben", "ben")
    send(book, "hash-of-ben", tokens=30)
    with book.reply("cem"):
        uses = VisitorBook(Database(tmp_path), LIMITS, clock).today()
        assert [(use.name or use.visitor, use.tokens) for use in uses] == [("ben", 30), ("ann", 10)]
        assert [(use.visitor, use.running) for use in book.today()] == [("cem", 1), ("hash-of-ben", 0), ("ann", 0)]


def test_limits_can_be_changed_and_stay(book: VisitorBook, clock: Clock, tmp_path: Path) -> None:
    book.set_limits(Limits(messages_per_minute=1))
    send(book, "ann")
    for each in (book, VisitorBook(Database(tmp_path), LIMITS, clock)):
        assert each.limits == Limits(messages_per_minute=1)
    with pytest.raises(TooManyMessages):
        send(book, "ann")


@pytest.mark.parametrize("value", [-1, 1.5, True, 10**10])
def test_impossible_limits_are_refused(value: int) -> None:
    with pytest.raises(InvalidRequest, match="tokens_per_day"):
        Limits(tokens_per_day=value)


def test_draining_refuses_new_replies_only(book: VisitorBook) -> None:
    with book.reply("ann"):
        book.drain(True)
        with pytest.raises(EngineBusy, match="maintenance"):
            book.check("ben")
    book.drain(False)
    book.check("ben")


def test_only_so_many_visitors_are_remembered(book: VisitorBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.visitors.book.MAX_VISITORS", 3)
    with book.reply("busy"):
        for number in range(10):
            book.check(f"visitor {number}")
        assert len(book._pages) == 3
        assert "busy" in book._pages
