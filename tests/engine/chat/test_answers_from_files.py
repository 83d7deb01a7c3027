"""A chat is answered from collections of files: what the model reads, what is stored, and what others may see of it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from engine import Conversations, Engine, GenerationOptions
from engine.background import Jobs
from engine.chat import NOTHING_FOUND, Ask, Attachment, Chat, Question
from engine.embedding import Embedders
from engine.errors import InvalidRequest, StaleChat
from engine.knowledge import CollectionNotFound, Knowledge
from engine.settings import NO_MODEL
from engine.storage.transfer import read_chats

from .test_conversations import ended

SHORT = Ask(GenerationOptions(max_new_tokens=8, temperature=0.0))
STEPS = "".join(f"## Part {n}\n\nStep {n} needs another tool.\n\n" for n in range(40))
GUIDE = f"# Guide\n\n{STEPS}## Door\n\nThe door is turquoise.\n"
QUESTION = "Which colour does the door have?"


class Desk:
    """Conversations and files of one person. Without an embedding model: words alone find the passages."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.owner = engine, secrets.token_hex(16)
        self.conversations, self.jobs = Conversations(engine), Jobs(engine.database)
        self.knowledge = Knowledge(engine, self.jobs, Embedders(replace(engine.settings, embedder=NO_MODEL), engine.database))
        self.conversations.answer_from(self.knowledge)

    def collection(self, text: str = GUIDE, name: str = "Guides") -> str:
        made = self.knowledge.create(self.owner, name)
        self.knowledge.add_files(self.owner, made.id, [("guide.md", text.encode())])
        for _ in self.knowledge.follow(self.owner, made.id):
            pass
        return made.id

    def send(self, question: Question, *collections: str, chat: Chat | None = None) -> Chat:
        ask = replace(SHORT, collections=collections)
        begun = self.conversations.send(self.owner, chat.id if chat else None, chat.version if chat else None, question, [ask])
        return ended(self.conversations, begun, self.owner)

    def close(self) -> None:
        self.conversations.close()
        self.jobs.close()


@pytest.fixture
def desk(builtin_engine: Engine) -> Iterator[Desk]:
    made = Desk(builtin_engine)
    yield made
    made.close()


def test_an_answer_keeps_the_passages_that_the_model_read(desk: Desk) -> None:
    guides = desk.collection()
    chat = desk.send(Question(QUESTION), guides)
    question, answer = chat.path
    source = answer.sources[0]
    text = desk.knowledge.document_text(desk.owner, source.document)[1]
    assert "turquoise" in source.text
    assert (source.number, source.name, source.collection, text[source.begin:source.end]) == (1, "guide.md", "Guides", source.text)
    assert (answer.state, answer.collections, chat.collections) == ("done", (guides,), (guides,))
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > desk.engine.count_tokens(source.text + question.text)
    assert question.text == QUESTION


def test_nothing_found_is_said_and_no_model_is_asked(desk: Desk) -> None:
    answer = desk.send(Question("xylophone zeppelin quorum"), desk.collection()).path[-1]
    assert (answer.text, answer.state, answer.model, answer.usage, answer.sources) == (NOTHING_FOUND, "done", "", None, ())


def test_another_answer_is_from_the_collections_that_are_chosen_then(desk: Desk) -> None:
    guides = desk.collection()
    chat = desk.send(Question(QUESTION), guides)
    begun = desk.conversations.regenerate(desk.owner, chat.id, chat.version, chat.path[-1].id, [SHORT])
    assert ended(desk.conversations, begun, desk.owner).path[-1].sources == ()


def test_an_answer_that_is_continued_keeps_its_passages(desk: Desk) -> None:
    guides = desk.collection()
    chat = desk.send(Question(QUESTION), guides)
    before = chat.path[-1]
    desk.knowledge.delete(desk.owner, guides)       # what the answer rests on is stored with it
    begun = desk.conversations.resume(desk.owner, chat.id, chat.version, before.id, replace(SHORT, collections=(guides,)))
    after = ended(desk.conversations, begun, desk.owner).path[-1]
    assert (after.state, after.sources) == ("done", before.sources)


def test_a_collection_of_someone_else_or_a_deleted_one_gives_no_passage(desk: Desk) -> None:
    other = Desk(desk.engine)
    theirs = other.collection()
    answer = desk.send(Question(QUESTION), theirs).path[-1]
    assert (answer.state, answer.sources) == ("failed", ())
    assert answer.error == str(CollectionNotFound(theirs))
    other.close()


def test_a_file_longer_than_the_window_is_searched_for_this_chat_alone(desk: Desk) -> None:
    long = Attachment("guide.md", GUIDE, 99_999)
    chat = desk.send(Question(QUESTION, searched=(long,)))
    held = chat.path[0].attachments[0]
    assert (held.name, held.text, held.tokens) == ("guide.md", "", 99_999)
    assert chat.path[-1].collections == (held.collection,)
    assert "turquoise" in chat.path[-1].sources[0].text
    assert desk.knowledge.list(desk.owner) == ()
    chat = desk.send(Question("How many tools does step 7 need?"), held.collection, chat=chat)
    assert "Step 7" in chat.path[-1].sources[0].text


def test_a_message_that_is_refused_leaves_no_collection_of_its_files(desk: Desk) -> None:
    chat = desk.send(Question("Hello"))
    stale, question = chat.version - 1, Question(QUESTION, searched=(Attachment("guide.md", GUIDE, 99_999),))
    with pytest.raises(StaleChat):
        desk.conversations.send(desk.owner, chat.id, stale, question, [SHORT])
    assert desk.knowledge.use(desk.owner).collections == 0


def test_a_stop_does_not_wait_for_the_search(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    guides, go_on, search = desk.collection(), threading.Event(), desk.knowledge.search

    def slowly(*given: Any) -> Any:
        go_on.wait(30)
        return search(*given)

    monkeypatch.setattr(desk.knowledge, "search", slowly)
    chat = desk.conversations.send(desk.owner, None, None, Question(QUESTION), [replace(SHORT, collections=(guides,))])
    desk.conversations.stop(desk.owner, chat.id)
    answer = ended(desk.conversations, chat, desk.owner).path[-1]
    assert (answer.state, answer.text, go_on.is_set()) == ("stopped", "", False)
    go_on.set()


def test_a_file_to_search_needs_a_question(desk: Desk) -> None:
    with pytest.raises(InvalidRequest, match="message"):
        desk.send(Question(" ", searched=(Attachment("guide.md", GUIDE, 9),)))
    assert desk.conversations.list(desk.owner) == ()


def test_shares_and_exports_have_the_passages_and_nothing_that_leads_to_their_files(desk: Desk) -> None:
    guides = desk.collection()
    chat = desk.send(Question(QUESTION), guides)
    source = chat.path[-1].sources[0]
    share = desk.conversations.shared(desk.conversations.share(desk.owner, chat.id).token)
    exported = desk.conversations.export_json(desk.owner, chat.id)
    for path in (share.path, read_chats(exported)[0].path):
        assert [each.text for each in path[-1].sources] == [each.text for each in chat.path[-1].sources]
        assert {(each.document, each.collection, each.begin) for each in path[-1].sources} == {(0, "", 0)}
        assert path[-1].collections == ()
    assert guides not in exported
    assert "Guides" not in exported
    unread = next(f"Step {n} " for n in range(40) if not any(f"Step {n} " in each.text for each in chat.path[-1].sources))
    assert unread in GUIDE
    assert unread not in exported
    assert f"[1] `guide.md`, {source.heading}" in desk.conversations.export_markdown(desk.owner, chat.id)


def test_a_chat_is_named_after_its_question_and_not_after_the_collection(desk: Desk) -> None:
    guides = desk.collection()
    assert desk.send(Question(f"#Guides {QUESTION}"), guides).summary.title == QUESTION
