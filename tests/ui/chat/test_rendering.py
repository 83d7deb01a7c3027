from dataclasses import replace

import gradio as gr
import pytest

from engine import Prefill, Waiting
from engine.chat import Attachment, Chat, ChatMessage, ChatSummary, ReplyProgress
from engine.generation.thinking import NEVER_NOTE
from ui.chat import rendering
from ui.chat.session import ChatSession

from ..scripted_engine import USAGE

SUMMARY = ChatSummary("c1", "A title", 0.0, 0.0)


def question(text: str = "A question", message_id: int = 1, **values: object) -> ChatMessage:
    return replace(ChatMessage("user", text, id=message_id, versions=(message_id,)), **values)


def answer(text: str = "An answer.", message_id: int = 2, **values: object) -> ChatMessage:
    made = ChatMessage("assistant", text, id=message_id, versions=(message_id,), usage=USAGE, reason="stop", model="tiny")
    return replace(made, **values)


def session_of(*path: ChatMessage, replies: tuple[ReplyProgress, ...] = ()) -> ChatSession:
    return ChatSession("o", Chat(SUMMARY, path), replies=replies)


def shown(*path: ChatMessage, language: str = "en") -> str:
    return str(rendering.messages(session_of(*path), language))


def test_gradio_accepts_the_messages() -> None:
    session = session_of(question(attachments=(Attachment("a.txt", "x", 3),)), answer(thoughts="hm", thought_s=2.0))
    root = gr.Chatbot().postprocess(rendering.messages(session, "en")).root
    assert [message.role for message in root] == ["user", "assistant", "assistant"]


def test_a_finished_answer_shows_its_usage() -> None:
    facts = ("tiny", "182 tokens", "first token 0.11 s", "64 tok/s", "512 cached")
    assert all(fact in shown(question(), answer()) for fact in facts)


@pytest.mark.parametrize(("values", "fact"), [
    ({"reason": "length"}, "token limit reached"), ({"state": "stopped"}, "stopped"), ({"state": "interrupted"}, "interrupted"),
    ({"state": "failed", "error": "It <broke>."}, "It &lt;broke&gt;.")])
def test_an_answer_that_was_cut_off_is_marked_and_can_be_continued(values: dict[str, object], fact: str) -> None:
    page = shown(question(), answer(**values))
    assert fact in page
    assert 'data-act="continue"' in page
    assert 'data-act="continue"' not in shown(question(), answer())


def test_dropped_turns_are_marked_at_the_first_message_that_the_model_read() -> None:
    usage = replace(USAGE, dropped_messages=2, dropped_tokens=1204)
    path = [question("one"), answer("1", 2), question("two", 3), answer("2", 4, usage=usage)]
    messages = rendering.messages(session_of(*path), "en")
    assert ["no longer fit" in str(message) for message in messages] == [False, False, True, False]
    assert "2 older messages no longer fit (1,204 tokens)" in str(messages)
    assert "no longer fit" not in shown(question(), answer())


def test_notes_of_the_engine_are_shown_and_escaped() -> None:
    assert "&lt;b&gt;" in shown(question(), answer(notes=("A note with <b>.",)))
    assert "Bu model yanıtlamadan önce düşünmez." in shown(question(), answer(notes=(NEVER_NOTE,)), language="tr")


def test_the_text_to_copy_cannot_break_out_of_its_attribute() -> None:
    assert 'data-text="&quot;&gt;&lt;script&gt;' in shown(question(), answer('"><script>'))


@pytest.mark.parametrize(("waiting", "expected"), [
    (Waiting(2, 0.1), "In queue: 2 ahead"), (Prefill(100, 1600), "Processing prompt: 100 of 1,600 tokens"),
    (Waiting(0, 0.0), "Generating")])
def test_before_the_first_token_the_reason_for_waiting_is_shown(waiting: Waiting | Prefill, expected: str) -> None:
    message = answer("", state="writing", usage=None)
    session = session_of(question(), message, replies=(ReplyProgress(message, waiting),))
    assert expected in str(rendering.messages(session, "en"))


def test_versions_can_be_switched_in_both_directions() -> None:
    page = shown(question(), answer(versions=(7, 2, 9)))
    assert "2 / 3" in page
    assert 'data-act="version" data-id="7"' in page
    assert 'data-act="version" data-id="9"' in page


def test_between_two_updates_only_the_growing_text_changes() -> None:
    message = answer("One", 4, state="writing", usage=None)
    path = (question(), answer(), question("q", 3), message)
    before = rendering.messages(session_of(*path, replies=(ReplyProgress(message),)), "en")
    grown = ReplyProgress(replace(message, text="One two"))
    after = rendering.messages(session_of(*path, replies=(grown,)), "en")
    assert gr.utils.diff(before, after) == [["append", [3, "content", 0, "text"], " two"]]


def test_thoughts_are_folded_once_the_answer_begins_and_say_how_long_they_took() -> None:
    thinking = answer("", thoughts="hm", state="writing", usage=None)
    assert "'pending'" in str(rendering.messages(session_of(question(), thinking, replies=(ReplyProgress(thinking),)), "en"))
    def title(**more: object) -> str:
        return str(rendering.messages(session_of(question(), answer(thoughts="hm", **more)), "en")[1]["metadata"])

    assert title(thought_s=2.34) == "{'title': 'Thought for 2.3 s', 'status': 'done'}"
    assert "Thought for 12 s · 1,340 tokens" in title(thought_s=12.4, thought_tokens=1340)
    assert "'Thoughts'" in title()


def test_thoughts_that_were_cut_off_can_be_continued() -> None:
    cut = answer("", thoughts="hm", reason="length")
    assert 'data-act="continue"' in str(rendering.messages(session_of(question(), cut), "en"))
    assert 'data-act="continue"' not in str(rendering.messages(session_of(question(), answer("", reason="length")), "en"))


def test_a_long_chat_shows_its_end_until_more_is_requested() -> None:
    path = [make(str(i), i) for i in range(1, 101, 2) for make in (question, answer)]
    session = session_of(*path)
    messages = rendering.messages(session, "en")
    assert len(messages) == rendering.SHOWN_MESSAGES
    assert "Show 70 older messages" in str(messages[0])
    session.num_older = 100
    assert len(rendering.messages(session, "en")) == 100


def test_a_shared_conversation_cannot_be_changed() -> None:
    page = str(rendering.messages(ChatSession("o", share=type("S", (), {"path": (question(), answer())})()), "en"))      # type: ignore[arg-type]
    assert "An answer." in page
    assert "data-act" not in page


def test_the_gauge_shows_the_last_exchange_and_what_is_left() -> None:
    gauge = rendering.gauge(session_of(question(), answer(), question("q", 3)), 4096, "en")
    assert "782 / 4,096" in gauge
    assert "3,314 left" in gauge
    assert "0 / 4,096" in rendering.gauge(ChatSession(), 4096, "en")
