"""Every button of the chat, and sending, called without a page. What only a browser can show is in tests/browser."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy
import pytest

from engine import Conversations, Finished, TextDelta
from engine.errors import AttachmentRefused, MessageTooLong
from engine.pictures import picture_of
from tests.engine.chat import test_attachments as files
from ui.chat import opening
from ui.chat.attachments import attach_files
from ui.chat.session import ChatSession
from ui.shared.context import Context, build_services

from ..scripted_engine import USAGE, ScriptedEngine, answer
from .page import ChatPage, plain

PARTIAL = [TextDelta("Half an answer"), Finished("stopped", USAGE)]


@pytest.fixture
def engine(tmp_path: Path) -> ScriptedEngine:
    return ScriptedEngine(answer("Words"), data_dir=tmp_path)


@pytest.fixture
def context(engine: ScriptedEngine) -> Iterator[Context]:
    conversations = Conversations(engine)  # type: ignore[arg-type]
    yield Context.of(build_services(engine, conversations), None)  # type: ignore[arg-type]
    conversations.close()


@pytest.fixture
def page(context: Context) -> ChatPage:
    return ChatPage(context)


# --- sending ---

def test_an_unexpected_error_shows_one_sentence_and_keeps_the_message(page: ChatPage, engine: ScriptedEngine) -> None:
    engine.script = [RuntimeError("secret path")]
    page.send("My words")
    assert "something unexpected happened" in page.conversation
    assert "secret" not in page.conversation
    engine.script = answer("Better")
    page.click("regenerate", page.ids[-1])
    assert page.texts == ["My words", "Better"]
    assert engine.asked[-1][0][-1].content == "My words"


def test_a_message_that_does_not_fit_is_refused_and_nothing_is_stored(page: ChatPage, engine: ScriptedEngine) -> None:
    engine.refusal = MessageTooLong(9003, 2032)
    update = page.send("word " * 20_000)
    assert "9,003 tokens" in plain(update.problem)
    assert 'role="alert"' in (update.problem or "")
    assert update.to_browser is None        # only a message that was sent leaves its box
    assert (page.texts, page.listed) == ([], [])


def test_a_message_removed_from_the_queue_returns_to_its_box_and_is_not_sent(page: ChatPage, engine: ScriptedEngine) -> None:
    go_on = threading.Event()
    engine.script = [TextDelta("Slow"), go_on, Finished("stop", USAGE)]
    page.begin("First")
    page.begin("Second")
    assert "Queued: Second" in plain(page.parts.chips)
    assert page.press("unqueue").line == "Second"
    assert not page.parts.chips
    go_on.set()
    page.follow()
    assert page.texts == ["First", "Slow"]
    assert len(engine.asked) == 1


# --- versions ---

def test_regenerate_asks_the_same_and_makes_a_second_version(page: ChatPage, engine: ScriptedEngine) -> None:
    page.send("Hello")
    first = page.ids[-1]
    engine.script = answer("Second")
    page.click("regenerate", first)
    assert page.texts == ["Hello", "Second"]
    assert "2 / 2" in page.conversation
    assert [message.content for message in engine.asked[-1][0]] == ["Hello"]
    second = page.ids[-1]
    page.click("version", first)
    assert page.texts == ["Hello", "Words"]
    assert "1 / 2" in page.conversation
    page.click("version", second)
    assert page.texts == ["Hello", "Second"]


def test_a_failed_regeneration_leaves_the_old_answer_one_click_away(page: ChatPage, engine: ScriptedEngine) -> None:
    page.send("Hello")
    first = page.ids[-1]
    engine.script = [MessageTooLong(9003, 2032)]
    page.click("regenerate", first)
    assert "9,003" in page.conversation
    page.click("version", first)
    assert page.texts == ["Hello", "Words"]


def test_an_edited_message_is_a_second_version_beside_the_first(page: ChatPage, engine: ScriptedEngine) -> None:
    page.send("Question one")
    question = page.ids[0]
    engine.script = answer("Answer two")
    assert page.click("edit", question).line == "Question one"
    page.send("Question two")
    assert page.texts == ["Question two", "Answer two"]
    assert [message.content for message in engine.asked[-1][0]] == ["Question two"]
    page.click("version", question)
    assert page.texts == ["Question one", "Words"]
    assert "1 / 2" in page.conversation


def test_cancelling_an_edit_leaves_the_message_as_it_was(page: ChatPage) -> None:
    page.send("Hello")
    page.click("edit", page.ids[0])
    assert page.parts.chips
    update = page.click("cancel-edit")
    assert (update.line, update.chips) == ("", "")
    page.send("Next")
    assert page.texts == ["Hello", "Words", "Next", "Words"]


def test_a_stopped_answer_is_continued_where_it_ended(page: ChatPage, engine: ScriptedEngine) -> None:
    engine.script = PARTIAL
    page.send("Hello")
    assert 'data-act="continue"' in page.conversation
    engine.script = [TextDelta(" and its end."), Finished("stop", USAGE)]
    page.click("continue", page.ids[-1])
    assert page.texts == ["Hello", "Half an answer and its end."]
    assert 'data-act="continue"' not in page.conversation
    assert [message.content for message in engine.asked[-1][0]] == ["Hello", "Half an answer"]


def test_a_branch_is_a_new_chat_and_the_old_one_stays(page: ChatPage) -> None:
    page.send("Hello")
    page.send("And then")
    before = page.chat_id
    page.click("branch", page.ids[1])
    assert page.texts == ["Hello", "Words"]
    assert page.chat_id != before
    assert page.listed == ["Hello (branch)", "Hello"]
    page.click("open", before)
    assert page.texts == ["Hello", "Words", "And then", "Words"]


# --- deleting, and second thoughts ---

def test_undo_restores_a_deleted_message(page: ChatPage) -> None:
    page.send("Hello")
    page.click("delete-message", page.ids[-1])
    assert "Message deleted" in plain(page.parts.chips)
    assert page.texts == ["Hello"]
    page.click("undo")
    assert page.texts == ["Hello", "Words"]
    assert not page.parts.chips


def test_undo_restores_a_deleted_chat(page: ChatPage) -> None:
    page.send("Hello")
    page.click("delete", page.chat_id)
    assert "Chat deleted" in plain(page.parts.chips)
    assert (page.listed, page.session.chat) == ([], None)
    assert page.parts.welcome
    page.click("undo")
    assert page.texts == ["Hello", "Words"]
    assert page.listed == ["Hello"]


# --- the list ---

def test_a_renamed_chat_has_its_new_title_in_the_list_and_above_the_conversation(page: ChatPage) -> None:
    page.send("Hello")
    page.click("rename", page.chat_id, "Better name")
    assert page.listed == ["Better name"]
    assert "Better name" in plain(page.parts.head)


def test_a_pinned_chat_moves_to_the_group_of_pinned_chats(page: ChatPage) -> None:
    page.send("Apples")
    apples = page.chat_id
    page.click("new")
    page.send("Pears")
    assert page.listed == ["Pears", "Apples"]
    page.click("pin", apples)
    assert groups(page) == ["Pinned", "Today"]
    assert page.listed == ["Apples", "Pears"]
    page.click("unpin", apples)
    assert groups(page) == ["Today"]


def groups(page: ChatPage) -> list[str]:
    return re.findall(r"<h3>(.*?)</h3>", page.parts.chats or "")


@pytest.mark.parametrize(("said", "query", "match"), [
    ("There is a needle in here", "needle", "needle"),
    ("Perdeden ışık sızıyor", "isik", "ışık"),
    ("今天的天气很好", "天气", "天气"),
], ids=["english", "turkish", "chinese"])
def test_search_finds_a_word_inside_a_message(page: ChatPage, engine: ScriptedEngine, said: str, query: str, match: str) -> None:
    engine.script = answer(said)
    page.send("Hello")
    page.click("new")
    engine.script = answer("Nothing")
    page.send("Other")
    assert re.findall(r"<mark>(.*?)</mark>", page.search(query)) == [match]
    assert len(page.list_items) == 1
    page.click("open", page.list_items[0][1])
    assert page.texts == ["Hello", said]
    page.search("")
    assert page.listed == ["Other", "Hello"]


def test_a_new_chat_contains_nothing_of_the_old_one(page: ChatPage, engine: ScriptedEngine) -> None:
    page.send("Hello")
    page.click("new")
    assert page.texts == []
    assert page.parts.welcome
    page.send("Again")
    assert [message.content for message in engine.asked[-1][0]] == ["Again"]


# --- files ---

def test_a_file_is_sent_with_the_message_and_the_model_reads_it(page: ChatPage, engine: ScriptedEngine, tmp_path: Path) -> None:
    attach(page, tmp_path / "notes.txt", b"The cat sleeps\n")
    assert "notes.txt · 3 tokens" in plain(page.parts.chips)
    page.send("What does it do?")
    assert not page.parts.chips
    assert "notes.txt" in page.conversation
    content = engine.asked[0][0][-1].content
    assert "notes.txt" in content
    assert "The cat sleeps" in content
    assert content.endswith("What does it do?")


def test_a_file_can_be_removed_before_it_is_sent(page: ChatPage, engine: ScriptedEngine, tmp_path: Path) -> None:
    attach(page, tmp_path / "notes.txt", b"The cat sleeps\n")
    page.click("detach", 0)
    page.send("Hello")
    assert engine.asked[0][0][-1].content == "Hello"


# --- pictures ---

def test_a_picture_is_shown_large_before_and_after_it_is_sent(page: ChatPage, tmp_path: Path) -> None:
    picture = picture_of(numpy.zeros((600, 900, 3), dtype=numpy.uint8), "a.png")
    attach(page, tmp_path / "a.png", picture.content)
    page.press("see-attached", 0)
    attached = page.to_browser()
    page.send("What is this?")
    page.press("see-picture", page.ids[0], "0")
    shown = page.to_browser()
    assert (attached["name"], attached["source"]) == (shown["name"], shown["source"])
    start, _, content = shown["source"].partition(",")
    assert (shown["kind"], shown["name"], start) == ("picture", "a.png", "data:image/png;base64")
    assert base64.b64decode(content).startswith(b"\x89PNG")


@pytest.mark.parametrize(("name", "target", "value"), [
    ("see-attached", "0", ""), ("see-picture", "1", "0"), ("see-picture", "99", "0"), ("see-picture", "0", "-1"), ("see-picture", "x", "x"),
    ("pages", "0", ""), ("pages-of-long", "0", "")])
def test_a_picture_that_is_not_there_is_refused(page: ChatPage, name: str, target: str, value: str) -> None:
    page.send("Hello")
    assert "This no longer exists" in plain(page.press(name, target, value).problem)


def test_the_pages_of_a_pdf_can_go_as_pictures(page: ChatPage, engine: ScriptedEngine, tmp_path: Path) -> None:
    attach(page, tmp_path / "a.pdf", files.pages(files.shown(b"Some words"), 9))
    assert "a.pdf · 18 tokens" in plain(page.parts.chips)
    update = page.click("pages", 0)
    assert "8 of 9 pages are attached" in plain(update.problem)
    page.send("Read it")
    content = engine.asked[0][0][-1]
    assert [picture.name for picture in content.pictures] == [f"a.pdf ({number})" for number in range(1, 9)]
    assert content.content == "Read it"


def test_the_pages_of_a_scan_go_as_pictures(page: ChatPage, engine: ScriptedEngine, tmp_path: Path) -> None:
    attach(page, tmp_path / "scan.pdf", files.pages(b"0 0 9 9 re f"))
    assert "scan.pdf (1) · 16 tokens" in plain(page.parts.chips)
    engine.reads_pictures = False
    with pytest.raises(AttachmentRefused, match="only pictures of pages"):
        attach(page, tmp_path / "scan.pdf", files.pages(b"0 0 9 9 re f"))


def test_pages_are_offered_only_to_models_that_read_pictures(page: ChatPage, engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.reads_pictures = False
    attach(page, tmp_path / "a.pdf", files.pages(files.shown(b"Some words")))
    assert "Pages as pictures" not in plain(page.parts.chips)
    assert page.session.attachments[0].content == b""


def test_a_picture_that_takes_more_than_half_of_the_window_is_refused(page: ChatPage, engine: ScriptedEngine, tmp_path: Path) -> None:
    engine.current = replace(engine.current, window_tokens=30)
    picture = picture_of(numpy.zeros((60, 90, 3), dtype=numpy.uint8), "a.png")
    with pytest.raises(AttachmentRefused, match="it takes 16 tokens of the context window of 30"):
        attach(page, tmp_path / "a.png", picture.content)


def test_a_file_longer_than_half_the_window_can_be_shortened(page: ChatPage, engine: ScriptedEngine, tmp_path: Path) -> None:
    attach(page, tmp_path / "notes.txt", b"word " * 3_000)
    assert "longer than half of the context window" in plain(page.parts.chips)
    assert "One file is too long" in plain(page.send("Hello").problem)
    assert engine.asked == []
    page.click("first-part", 0)
    assert "notes.txt · 2,048 tokens" in plain(page.parts.chips)
    page.send("Hello")
    assert engine.asked[0][0][-1].content.count("word") == 2_048


def test_a_binary_file_is_refused_by_name(page: ChatPage, tmp_path: Path) -> None:
    with pytest.raises(AttachmentRefused, match=r"noise\.bin cannot be attached"):
        attach(page, tmp_path / "noise.bin", bytes(range(256)) * 8)
    assert not page.parts.chips


def test_a_guessed_encoding_is_shown_and_can_be_changed_there_and_back(page: ChatPage, engine: ScriptedEngine, tmp_path: Path) -> None:
    attach(page, tmp_path / "notes.txt", "Öğle uykusu, ağaç".encode("cp1254"))
    assert chosen_encodings(page) == ["cp1254"]
    assert "notes.txt · 3 tokens · Öğle uykusu, ağaç" in plain(page.parts.chips)
    page.click("encoding", 0, "cp1252")
    assert chosen_encodings(page) == ["cp1252"]
    page.click("encoding", 0, "cp1254")
    page.send("Read it")
    assert "Öğle uykusu, ağaç" in engine.asked[0][0][-1].content


def test_a_file_in_utf_8_shows_no_encoding(page: ChatPage, tmp_path: Path) -> None:
    attach(page, tmp_path / "notes.txt", "Öğle uykusu, ağaç".encode())
    assert chosen_encodings(page) == []


def test_another_encoding_is_counted_again_and_may_be_too_long(page: ChatPage, tmp_path: Path) -> None:
    attach(page, tmp_path / "first.txt", b"plain")
    attach(page, tmp_path / "notes.txt", "ağaç\xa0".encode("cp1254") * 3_000)
    assert "first.txt" in plain(page.parts.chips)
    before = [file.attachment.tokens for file in (*page.session.attachments, *page.session.too_long)]
    page.click("encoding-of-long", 0, "gb18030")
    after = [file.attachment.tokens for file in (*page.session.attachments, *page.session.too_long)]
    assert len(after) == 2
    assert before != after


@pytest.mark.parametrize(("act", "index", "encoding"), [("encoding", 0, "rot13"), ("encoding", 9, "cp1252"), ("encoding", 0, "")])
def test_an_encoding_or_a_file_that_was_not_offered_changes_nothing(
        page: ChatPage, tmp_path: Path, act: str, index: int, encoding: str) -> None:
    attach(page, tmp_path / "notes.txt", "Öğle uykusu, ağaç".encode("cp1254"))
    page.click(act, index, encoding)
    assert chosen_encodings(page) == ["cp1254"]


def chosen_encodings(page: ChatPage) -> list[str]:
    return re.findall(r'<option value="([^"]*)" selected>', page.parts.chips or "")


def test_a_long_paste_becomes_a_file(page: ChatPage, engine: ScriptedEngine) -> None:
    page.click("attach-text", value="word " * 900)
    assert "pasted text.txt · 900 tokens" in plain(page.parts.chips)
    page.send("Count them")
    assert engine.asked[0][0][-1].content.count("word") == 900


def attach(page: ChatPage, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    attach_files(page.context, page.session, [str(path)])


# --- what leaves the page ---

def test_a_chat_is_exported_as_markdown(page: ChatPage, engine: ScriptedEngine) -> None:
    engine.script = answer("**Bold** words")
    page.send("Hello")
    page.click("export-md", page.chat_id)
    file = page.to_browser()
    assert (file["kind"], file["name"]) == ("download", "Hello.md")
    assert file["text"].startswith("# Hello\n")
    assert "**Bold** words" in file["text"]


def test_a_chat_is_exported_as_json(page: ChatPage) -> None:
    page.send("Hello")
    page.click("export-json", page.chat_id)
    content = json.loads(page.to_browser()["text"])
    assert content["format"] == "mindcubes-chats"
    assert [message["text"].strip() for message in content["chats"][0]["messages"]] == ["Hello", "Words"]


def test_exported_chats_are_the_same_when_another_visitor_imports_them(page: ChatPage, context: Context, tmp_path: Path) -> None:
    page.send("Hello")
    page.send("And then")
    page.click("new")
    page.send("Other")
    page.click("export-all")
    (tmp_path / "chats.json").write_text(page.to_browser()["text"], "utf-8")
    other = ChatPage(context, "bob")
    assert other.listed == []
    other.import_chats(str(tmp_path / "chats.json"))
    assert other.to_browser()["text"] == "2 chats imported"
    assert sorted(other.listed) == ["Hello", "Other"]
    other.click("open", dict(other.list_items)["Hello"])
    assert other.texts == ["Hello", "Words", "And then", "Words"]


def test_the_prompt_is_shown_as_the_model_reads_it(page: ChatPage) -> None:
    page.system_prompt = "Be brief."
    page.send("Hello")
    page.click("prompt")
    assert "".join(page.to_browser()["tokens"]).replace("Bebrief", "Be brief") == "<system>Be brief.<user>Hello"


def test_a_shared_chat_is_a_copy_that_can_be_continued_separately(page: ChatPage, context: Context, engine: ScriptedEngine) -> None:
    page.send("Hello")
    page.click("share")
    token = page.to_browser()["token"]
    page.send("After the link")
    guest = visit_shared(context, token)
    assert guest.texts == ["Hello", "Words"]
    assert "read-only" in plain(guest.parts.head)
    guest.click("copy-share", 0)
    guest.send("Going on")
    assert guest.listed == ["Hello"]
    assert [message.content.strip() for message in engine.asked[-1][0]] == ["Hello", "Words", "Going on"]
    assert page.texts == ["Hello", "Words", "After the link", "Words"]


def test_a_revoked_link_opens_nothing(page: ChatPage, context: Context) -> None:
    page.send("Hello")
    page.click("share")
    token = page.to_browser()["token"]
    page.click("revoke", token)
    assert page.to_browser()["text"] == "The link no longer works."
    session = ChatSession(owner="guest")
    update = list(opening.arrive(context, session, {"share": token}))[-1]
    assert 'role="alert"' in (update.problem or "")
    assert (session.share, session.path) == (None, ())


def test_the_address_of_another_visitors_chat_opens_nothing(page: ChatPage, context: Context) -> None:
    page.send("Aardvark")
    session = ChatSession(owner="bob")
    update = list(opening.arrive(context, session, {"chat": page.chat_id}))[-1]
    assert "no longer exists" in plain(update.problem)
    assert (session.chat, session.path) == (None, ())
    assert "Aardvark" not in str(update)


def visit_shared(context: Context, token: str) -> ChatPage:
    guest = ChatPage(context, "guest")
    for _ in opening.arrive(context, guest.session, {"share": token}):
        pass
    return guest
