"""Replies belong to their chat: they are generated, saved, followed and stopped with or without an open page."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from engine import Conversations, Engine, GenerationOptions, ModelSpec, Settings
from engine.chat import Ask, Attachment, Chat, ChatMessage, Question, ReplyProgress, prompt_messages
from engine.errors import EngineBusy, InvalidRequest, MessageTooLong, StaleChat, TooManyReplies
from engine.pictures import picture_of, to_base64
from engine.storage.database import Database
from tests import thinking_templates, tiny_models, vision_models

ANN, BOB = "a" * 32, "b" * 32
SHORT = Ask(GenerationOptions(max_new_tokens=8, temperature=0.0))
LONG = Ask(GenerationOptions(max_new_tokens=400, temperature=0.0))


@pytest.fixture
def conversations(llama_engine: Engine, tmp_path: Path) -> Iterator[Conversations]:
    made = Conversations(llama_engine, Database(tmp_path))
    yield made
    made.close()


def ended(conversations: Conversations, chat: Chat, owner: str = ANN) -> Chat:
    """The chat once no reply is in progress."""
    deadline = time.monotonic() + 60
    while conversations.is_writing(chat.id):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return conversations.get(owner, chat.id)


def test_an_answer_is_written_and_saved_without_an_open_page(conversations: Conversations) -> None:
    chat = conversations.send(ANN, None, None, Question("hello world"), [SHORT])
    assert chat.path[-1].state == "writing"
    answer = ended(conversations, chat).path[-1]
    assert (answer.state, answer.reason) == ("done", "length")
    assert answer.usage is not None
    assert answer.usage.new_tokens == 8
    assert answer.text


def test_a_chats_options_are_those_of_the_first_of_two_replies_side_by_side(conversations: Conversations) -> None:
    asks = [SHORT, Ask(replace(SHORT.options, temperature=1.5), "Rhyme.")]
    chat = conversations.send(ANN, None, None, Question("hello"), asks)
    chat = ended(conversations, chat)
    assert (chat.options, chat.system_prompt) == (SHORT.options, "")


def test_two_followers_see_the_same_answer_and_one_may_leave(conversations: Conversations) -> None:
    chat = conversations.send(ANN, None, None, Question("hello world"), [LONG])
    leaver = conversations.follow(ANN, chat.id)
    next(leaver)
    leaver.close()
    seen: list[list[tuple[ReplyProgress, ...]]] = [[], []]
    threads = [threading.Thread(target=lambda i=i: seen[i].extend(conversations.follow(ANN, chat.id))) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    stored = ended(conversations, chat).path[-1]
    for looks in seen:
        assert looks[-1][0].message.text == stored.text
        texts = [look[0].message.text for look in looks]
        assert all(later.startswith(earlier) for earlier, later in pairwise(texts))


def test_a_visitor_cannot_follow_or_stop_another_visitors_answer(conversations: Conversations) -> None:
    chat = conversations.send(ANN, None, None, Question("hello"), [LONG])
    assert list(conversations.follow(BOB, chat.id)) == []
    assert conversations.progress(BOB, chat.id) == ()
    conversations.stop(BOB, chat.id)
    assert ended(conversations, chat).path[-1].state == "done"


def test_stop_keeps_the_text_so_far_and_its_usage(conversations: Conversations) -> None:
    chat = conversations.send(ANN, None, None, Question("hello"), [LONG])
    for looks in conversations.follow(ANN, chat.id):
        if looks[0].message.text:
            conversations.stop(ANN, chat.id)
    answer = ended(conversations, chat).path[-1]
    assert (answer.state, answer.reason) == ("stopped", "stopped")
    assert answer.usage is not None
    assert 0 < answer.usage.new_tokens < 400


def test_a_stopped_answer_can_be_continued(conversations: Conversations) -> None:
    whole = ended(conversations, conversations.send(ANN, None, None, Question("hello"), [LONG])).path[-1].text
    chat = conversations.send(ANN, None, None, Question("hello"), [LONG])
    for looks in conversations.follow(ANN, chat.id):
        if len(looks[0].message.text) > 20:
            conversations.stop(ANN, chat.id)
    chat = ended(conversations, chat)
    begun = chat.path[-1].text
    assert len(begun) < len(whole)
    chat = ended(conversations, conversations.resume(ANN, chat.id, chat.version, chat.path[-1].id, LONG))
    assert chat.path[-1].text.startswith(begun)
    assert len(chat.path[-1].text) > len(begun)
    assert len(chat.path) == 2


@pytest.fixture(scope="module")
def thinker(new_engine: Callable[..., Engine], tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return new_engine(tiny_models.llama(tmp_path_factory.mktemp("thinker") / "tiny-thinker", template=thinking_templates.KEEPS_OPEN))


def test_thoughts_that_were_cut_off_can_be_continued_to_an_answer(thinker: Engine, tmp_path: Path) -> None:
    conversations = Conversations(thinker, Database(tmp_path))
    cut, limited = (Ask(replace(SHORT.options, ignores_end=True, **more)) for more in (
        {"max_new_tokens": 12}, {"max_new_tokens": 30, "reasoning_budget": 6}))
    chat = ended(conversations, conversations.send(ANN, None, None, Question("hello"), [cut]))
    first = chat.path[-1]
    assert (first.text, first.reason, first.thought_tokens) == ("", "length", 12)
    whole = ended(conversations, conversations.resume(ANN, chat.id, chat.version, first.id, limited)).path[-1]
    assert whole.thoughts.startswith(first.thoughts)
    assert whole.text
    assert whole.thought_tokens > first.thought_tokens + 6
    assert whole.thought_s >= first.thought_s > 0
    conversations.close()


def test_the_next_turn_reads_earlier_thoughts_where_the_template_keeps_them(thinker: Engine, tmp_path: Path) -> None:
    conversations = Conversations(thinker, Database(tmp_path))
    ask = Ask(replace(SHORT.options, max_new_tokens=30, reasoning_budget=6, ignores_end=True))
    chat = ended(conversations, conversations.send(ANN, None, None, Question("hello"), [ask]))
    assert chat.path[-1].thoughts.strip() in thinker.view_prompt(
        prompt_messages((*chat.path, ChatMessage("user", "again")), ""), ask.options).text
    conversations.close()


def test_edit_and_regenerate_make_versions_and_reuse_the_cache(conversations: Conversations) -> None:
    long_start = Question("the quick brown fox jumps over the lazy dog " * 4)
    chat = ended(conversations, conversations.send(ANN, None, None, long_start, [SHORT]))
    question, answer = chat.path
    chat = ended(conversations, conversations.regenerate(ANN, chat.id, chat.version, answer.id, [SHORT]))
    assert chat.path[-1].versions == (answer.id, chat.path[-1].id)
    assert chat.path[-1].usage is not None
    assert chat.path[-1].usage.cached_tokens > 16
    chat = ended(conversations, conversations.edit(ANN, chat.id, chat.version, question.id, question.text + " again", [SHORT]))
    assert chat.path[0].versions == (question.id, chat.path[0].id)
    assert chat.path[-1].usage is not None
    assert chat.path[-1].usage.cached_tokens > 16


def test_two_asks_are_two_versions_generated_at_once(conversations: Conversations) -> None:
    asks = [replace(LONG, system_prompt="one"), replace(LONG, system_prompt="two")]
    chat = conversations.send(ANN, None, None, Question("hello"), asks)
    assert any(all(look.message.text and not look.is_over for look in looks) for looks in conversations.follow(ANN, chat.id))
    chat = ended(conversations, chat)
    assert chat.path[-1].id == min(chat.path[-1].versions)
    assert len(chat.path[-1].versions) == 2
    other = conversations.select(ANN, chat.id, chat.version, chat.path[-1].versions[1]).path[-1]
    assert (chat.path[-1].system_prompt, other.system_prompt) == ("one", "two")


def test_a_queued_message_is_sent_when_the_answer_ends_even_without_a_page(conversations: Conversations) -> None:
    chat = conversations.send(ANN, None, None, Question("hello"), [LONG])
    conversations.store.queue(ANN, chat.id, "and then?")
    deadline = time.monotonic() + 60
    while len(conversations.get(ANN, chat.id).path) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    chat = ended(conversations, chat)
    assert [message.text for message in chat.path if message.role == "user"] == ["hello", "and then?"]
    assert chat.queued == ""


def test_a_second_message_while_one_is_answered_is_refused(conversations: Conversations) -> None:
    chat = conversations.send(ANN, None, None, Question("hello"), [LONG])
    with pytest.raises(EngineBusy):
        conversations.send(ANN, chat.id, chat.version, Question("me too"), [SHORT])
    assert len(ended(conversations, chat).path) == 2


def test_a_stale_page_is_refused_and_nothing_is_left_behind(conversations: Conversations) -> None:
    chat = ended(conversations, conversations.send(ANN, None, None, Question("hello"), [SHORT]))
    newer = ended(conversations, conversations.send(ANN, chat.id, chat.version, Question("from page one"), [SHORT]))
    with pytest.raises(StaleChat):
        conversations.send(ANN, chat.id, chat.version, Question("from page two"), [SHORT])
    assert not conversations.is_writing(chat.id)
    assert conversations.get(ANN, chat.id) == newer


def test_a_message_that_does_not_fit_is_refused_before_anything_is_kept(conversations: Conversations) -> None:
    with pytest.raises(MessageTooLong):
        conversations.send(ANN, None, None, Question("word " * 3000), [SHORT])
    with pytest.raises(InvalidRequest):
        conversations.send(ANN, None, None, Question("   "), [SHORT])
    assert conversations.list(ANN) == ()


def test_attachments_are_read_by_the_model_and_kept(conversations: Conversations) -> None:
    question = Question("what is this?", (Attachment("notes.txt", "the lazy dog"),))
    chat = ended(conversations, conversations.send(ANN, None, None, question, [SHORT]))
    plain = ended(conversations, conversations.send(ANN, None, None, Question("what is this?"), [SHORT]))
    assert chat.path[0].attachments == question.attachments
    assert chat.path[1].usage is not None
    assert plain.path[1].usage is not None
    assert chat.path[1].usage.prompt_tokens > plain.path[1].usage.prompt_tokens + 4


def test_a_failed_answer_is_kept_with_its_reason(
        conversations: Conversations, new_engine: Callable[..., Engine], tmp_path: Path) -> None:
    engine = new_engine()
    broken = Conversations(engine, Database(tmp_path))
    chat = conversations.copy(ANN, "x", [])
    engine.check_prompt = lambda *_: None       # type: ignore[method-assign]   # as while a model is being loaded
    chat = ended(broken, broken.send(ANN, chat.id, None, Question("hello"), [SHORT]))
    assert chat.path[-1].state == "failed"
    assert "No model is loaded" in chat.path[-1].error


def test_an_unwritable_folder_loses_no_answer(conversations: Conversations, tmp_path: Path) -> None:
    chat = conversations.send(ANN, None, None, Question("hello"), [LONG])
    path = tmp_path / "mindcubes.db"
    looks = conversations.follow(ANN, chat.id)
    next(looks)
    import sqlite3

    with sqlite3.connect(path) as holder:       # a full disk shows itself in the same place: a write that fails
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        last = list(looks)[-1][0]
    assert last.message.text
    assert last.is_over


def test_public_mode_limits_the_simultaneous_replies_of_one_visitor(
        new_engine: Callable[..., Engine], llama_folder: Path, settings: Settings, tmp_path: Path) -> None:
    engine = new_engine(llama_folder, replace(settings, is_public=True, model=str(llama_folder), data_dir=tmp_path))
    public = Conversations(engine)
    for _ in range(4):
        public.send(ANN, None, None, Question("hello"), [LONG])
    with pytest.raises(TooManyReplies):
        public.send(ANN, None, None, Question("one more"), [LONG])
    public.send(BOB, None, None, Question("me"), [SHORT])
    public.close()


def test_a_picture_stays_with_its_message(new_engine: Callable[..., Engine], tmp_path: Path) -> None:
    """Sent, asked about again, edited, answered anew, read by another process: the model sees it each time."""
    engine = new_engine()
    for _ in engine.load(ModelSpec(str(vision_models.FAMILIES[0].write(tmp_path / "model")))):
        pass
    conversations = Conversations(engine, Database(tmp_path))
    picture = picture_of(np.arange(3072, dtype=np.uint8).reshape(32, 32, 3), "a.png")
    attached = Attachment("a.png", "", engine.count_picture_tokens(picture), to_base64(picture))
    without = ended(conversations, conversations.send(ANN, None, None, Question("hello"), [SHORT])).path[-1].usage
    chat = ended(conversations, conversations.send(ANN, None, None, Question("hello", (attached,)), [SHORT]))
    chat = ended(conversations, conversations.regenerate(ANN, chat.id, chat.version, chat.path[-1].id, [SHORT]))
    usage = chat.path[-1].usage
    assert usage
    assert without
    assert usage.prompt_tokens == without.prompt_tokens + attached.tokens
    chat = ended(conversations, conversations.edit(ANN, chat.id, chat.version, chat.path[0].id, "hello again", [SHORT]))
    conversations.close()
    again = Conversations(engine, Database(tmp_path))
    assert again.get(ANN, chat.id).path[0].attachments == (attached,)
    assert prompt_messages(again.get(ANN, chat.id).path, "")[0].pictures == (picture,)
    again.close()


def test_a_picture_for_a_model_that_reads_none_is_refused_before_anything_is_stored(conversations: Conversations) -> None:
    attached = Attachment("a.png", "", 0, to_base64(picture_of(np.zeros((8, 8, 3), dtype=np.uint8), "a.png")))
    with pytest.raises(InvalidRequest, match="reads text only"):
        conversations.send(ANN, None, None, Question("what is this?", (attached,)), [SHORT])
    assert conversations.list(ANN) == ()
