import time
from dataclasses import replace
from itertools import pairwise

import gradio as gr
import pytest

from engine import Finished, Prefill, ReasoningDelta, TextDelta, Waiting
from ui import rendering
from ui.conversation import Conversation, Turn

from .scripted_engine import USAGE


def finished(answer: str = "An answer.", **usage: object) -> Turn:
    return Turn("A question", answer=answer, finished=Finished("stop", replace(USAGE, **usage)))


def shown(turn: Turn, language: str = "en") -> str:
    return str(rendering.messages(Conversation([turn]), language))


def test_gradio_accepts_the_messages() -> None:
    turn = Turn("q", thoughts="hm", answer="a", finished=Finished("stop", USAGE))
    root = gr.Chatbot().postprocess(rendering.messages(Conversation([turn]), "en")).root
    assert [message.role for message in root] == ["user", "assistant", "assistant"]


def test_a_finished_answer_says_what_it_cost() -> None:
    assert all(fact in shown(finished()) for fact in ("182 tokens", "first 0.11 s", "64 tok/s", "512 cached"))


def test_an_answer_cut_at_the_limit_says_so() -> None:
    assert "cut at the token limit" in shown(Turn("q", answer="a", finished=Finished("length", USAGE)))


def test_dropped_turns_are_marked() -> None:
    assert "6 older messages no longer fit (1,204 tokens)" in shown(finished(dropped_messages=6, dropped_tokens=1204))
    assert "no longer fit" not in shown(finished())


def test_what_the_engine_notes_is_shown_and_escaped() -> None:
    assert "&lt;b&gt;" in shown(Turn("q", answer="a", finished=Finished("stop", USAGE, ("A note with <b>.",))))


def test_the_text_to_copy_cannot_break_out_of_its_attribute() -> None:
    assert 'data-text="&quot;&gt;&lt;script&gt;' in shown(finished('"><script>'))


def test_a_stopped_answer_keeps_its_text_and_says_so() -> None:
    turn = Turn("q", answer="Half an", is_stopped=True, counted_tokens=2, first_s=0.2)
    assert all(fact in shown(turn) for fact in ("Half an", "stopped", "about 2 tokens", "first 0.20 s"))


@pytest.mark.parametrize(("event", "expected"), [
    (Waiting(2, 0.1), "Waiting: 2 ahead"), (Prefill(100, 1600), "Reading 100 of 1,600 tokens"), (Waiting(0, 0.0), "Writing")])
def test_before_the_first_word_it_says_what_it_waits_for(event: Waiting | Prefill, expected: str) -> None:
    turn = Turn("q")
    turn.take(event)
    assert expected in shown(turn)


def test_only_the_last_answer_can_be_regenerated() -> None:
    assert str(rendering.messages(Conversation([finished(), finished()]), "en")).count("mc-again") == 1


def test_between_two_updates_only_the_growing_text_changes() -> None:
    turn = Turn("q", answer="One")
    before = rendering.messages(Conversation([finished(), turn]), "en")
    turn.take(TextDelta(" two"))
    after = rendering.messages(Conversation([finished(), turn]), "en")
    assert gr.utils.diff(before, after) == [["append", [3, "content", 0, "text"], " two"]]


def test_thoughts_are_folded_once_the_answer_begins() -> None:
    turn = Turn("q")
    turn.take(ReasoningDelta("hm"))
    assert "'pending'" in shown(turn)
    turn.take(TextDelta("Because"))
    assert "'done'" in shown(turn)


def test_thoughts_and_unanswered_turns_are_not_sent_back_to_the_model() -> None:
    conversation = Conversation([Turn("a", thoughts="hm", answer="b", is_stopped=True), Turn("lost", is_stopped=True)])
    conversation.begin("c")
    assert [(m.role, m.content) for m in conversation.messages(" be brief ")] == [
        ("system", "be brief"), ("user", "a"), ("assistant", "b"), ("user", "c")]


def test_the_gauge_shows_the_last_finished_exchange() -> None:
    assert "782 / 4,096" in rendering.gauge(Conversation([finished(), Turn("q", is_stopped=True)]), 4096, "en")
    assert "0 / 4,096" in rendering.gauge(Conversation(), 4096, "en")


def test_updates_are_at_least_50_ms_apart() -> None:
    pace, updates, until = rendering.Pace(), [], time.monotonic() + 0.3
    while time.monotonic() < until:
        if pace.is_due():
            pace.began()
            updates.append(time.monotonic())
            pace.ended(0)
    assert len(updates) <= 7
    assert all(later - earlier >= rendering.UPDATE_S * 0.99 for earlier, later in pairwise(updates))
