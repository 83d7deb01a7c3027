"""Conversations in a real database file."""

import multiprocessing
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from engine.errors import ChatNotFound, InvalidRequest, StaleChat, StorageError
from engine.messages import GenerationOptions, Usage
from engine.shapes import Shape
from engine.storage import search_text
from engine.storage.chats import ChatStore
from engine.storage.database import Database
from engine.storage.records import Attachment, Chat, ChatMessage

ANN, BOB = "a" * 32, "b" * 32
OPTIONS = GenerationOptions(max_new_tokens=64, temperature=0.5, stop=("END",), seed=7, shape=Shape("json"))
ANSWER = ChatMessage("assistant", "Hi Ann", thoughts="hm", thought_s=1.5, reason="stop", usage=Usage(10, 2, 3, 0.1, 30.0),
                     notes=("a note",), model="tiny", options=OPTIONS, system_prompt="Be kind")
QUESTION = ChatMessage("user", "Hello there", attachments=(Attachment("a.txt", "text of a", 4),))


@pytest.fixture
def store(tmp_path: Path) -> ChatStore:
    return ChatStore(Database(tmp_path))


def filled(store: ChatStore, owner: str = ANN, title: str = "Greetings") -> Chat:
    chat = store.create(owner, title)
    return store.add(owner, chat.id, chat.version, [QUESTION, ANSWER])


def test_a_saved_chat_is_read_back_unchanged(store: ChatStore) -> None:
    chat = filled(store)
    again = store.get(ANN, chat.id)
    assert again == chat
    question, answer = again.path
    assert (question.text, question.attachments) == (QUESTION.text, QUESTION.attachments)
    for name in ("text", "thoughts", "thought_s", "reason", "usage", "notes", "model", "options", "system_prompt"):
        assert getattr(answer, name) == getattr(ANSWER, name)
    assert (again.options, again.system_prompt) == (OPTIONS, "Be kind")


def test_a_visitor_cannot_read_or_change_another_visitors_chat(store: ChatStore) -> None:
    chat = filled(store)
    assert store.list(BOB) == ()
    assert store.search(BOB, "hello") == ()
    for attempt in (lambda: store.get(BOB, chat.id), lambda: store.add(BOB, chat.id, chat.version, [QUESTION]),
                    lambda: store.delete(BOB, chat.id), lambda: store.rename(BOB, chat.id, "mine"),
                    lambda: store.take_queued(BOB, chat.id), lambda: store.queue(BOB, chat.id, "x"),
                    lambda: store.select(BOB, chat.id, None, chat.path[0].id), lambda: store.restore(BOB, chat.id)):
        with pytest.raises(ChatNotFound):
            attempt()
    assert store.get(ANN, chat.id) == chat


def test_a_stale_page_does_not_overwrite(store: ChatStore) -> None:
    chat = filled(store)
    newer = store.add(ANN, chat.id, chat.version, [ChatMessage("user", "from page one", parent=chat.path[-1].id)])
    with pytest.raises(StaleChat):
        store.add(ANN, chat.id, chat.version, [ChatMessage("user", "from page two", parent=chat.path[-1].id)])
    assert store.get(ANN, chat.id) == newer


def test_switching_the_version_of_a_message_shows_the_end_of_its_branch(store: ChatStore) -> None:
    chat = filled(store)
    first = chat.path[0]
    chat = store.add(ANN, chat.id, chat.version, [ChatMessage("user", "Hello again"), ChatMessage("assistant", "Hi once more")])
    assert [message.text for message in chat.path] == ["Hello again", "Hi once more"]
    assert chat.path[0].versions == (first.id, chat.path[0].id)
    chat = store.select(ANN, chat.id, chat.version, first.id)
    assert [message.text for message in chat.path] == ["Hello there", "Hi Ann"]


def test_deleting_a_message_deletes_those_below_it_and_can_be_undone(store: ChatStore) -> None:
    chat = filled(store)
    chat = store.add(ANN, chat.id, chat.version, [ChatMessage("user", "more", parent=chat.path[-1].id), ChatMessage("assistant", "yes")])
    shorter = store.delete_message(ANN, chat.id, chat.version, chat.path[2].id)
    assert [message.text for message in shorter.path] == ["Hello there", "Hi Ann"]
    assert store.restore_message(ANN, chat.id, shorter.version, chat.path[2].id).path == chat.path


def test_a_deleted_version_is_replaced_by_the_other_one(store: ChatStore) -> None:
    chat = filled(store)
    chat = store.add(ANN, chat.id, chat.version, [ChatMessage("assistant", "Another", parent=chat.path[0].id)])
    chat = store.delete_message(ANN, chat.id, chat.version, chat.path[-1].id)
    assert chat.path[-1].text == "Hi Ann"


def test_delete_undo_pin_rename_and_order(store: ChatStore) -> None:
    one, two, three = (filled(store, title=title) for title in ("one", "two", "three"))
    store.pin(ANN, one.id, True)
    store.rename(ANN, two.id, "  TWO \n words ")
    assert [chat.title for chat in store.list(ANN)] == ["one", "three", "TWO words"]
    store.delete(ANN, three.id)
    assert [chat.title for chat in store.list(ANN)] == ["one", "TWO words"]
    with pytest.raises(ChatNotFound):
        store.get(ANN, three.id)
    store.restore(ANN, three.id)
    assert store.get(ANN, three.id).path == three.path
    with pytest.raises(InvalidRequest):
        store.rename(ANN, two.id, "   ")


@pytest.mark.parametrize(("text", "query"), [
    ("The quick brown fox", "quick"), ("The quick brown fox", "QUI"), ("The quick brown fox", "fox quick"),
    ("Işık ILIK İstanbul çığ", "isik"), ("Işık ILIK İstanbul çığ", "istanbul"), ("Işık ILIK İstanbul çığ", "Çığ"),
    ("我喜欢机器学习模型", "学习"), ("我喜欢机器学习模型", "模"), ("naïve café", "cafe"), ("a_b c++ \"quoted\" (x)", '"quoted" (x)'),
])
def test_search_finds_words_of_three_languages_in_texts_and_titles(store: ChatStore, text: str, query: str) -> None:
    filled(store, title="Other")
    for chat in (store.copy(ANN, "Something", [ChatMessage("user", text)]), store.create(ANN, text)):
        hit = next(hit for hit in store.search(ANN, query) if hit.chat.id == chat.id)
        assert any(is_match for _, is_match in hit.pieces)
        assert "".join(piece for piece, _ in hit.pieces).strip("…") in text


def test_search_queries_have_no_special_syntax(store: ChatStore) -> None:
    filled(store)
    for query in ('"', "*", "a OR b", "NEAR(", "owner:x", "", "()", "hello AND", "'; DROP TABLE chats", "🙂"):
        store.search(ANN, query)
    assert store.search(ANN, "hello OR nothing") == ()


def test_a_snippet_shows_the_match_of_a_long_text() -> None:
    pieces = search_text.snippet("x " * 500 + "the needle here " + "y " * 500, "needle")
    assert ("needle", True) in pieces
    assert sum(len(piece) for piece, _ in pieces) < 200


def _write_and_wait(folder: Path, ready: "multiprocessing.synchronize.Event") -> None:
    store = ChatStore(Database(folder))
    chat = store.create(ANN, "Cut off")
    chat = store.add(ANN, chat.id, 0, [QUESTION, ChatMessage("assistant", "", state="writing")])
    from dataclasses import replace

    store.save_reply(replace(chat.path[-1], text="Half an ans"))
    ready.set()
    time.sleep(60)


def test_an_answer_of_a_killed_process_is_interrupted_and_one_of_a_running_process_is_not(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_write_and_wait, args=(tmp_path, ready))
    process.start()
    assert ready.wait(30)
    store = ChatStore(Database(tmp_path))
    assert store.recover() == 0
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert store.recover() == 1
    answer = store.get(ANN, store.list(ANN)[0].id).path[-1]
    assert (answer.state, answer.text) == ("interrupted", "Half an ans")
    assert store.search(ANN, "half")


def test_old_deletions_are_purged_at_the_start(store: ChatStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = filled(store)
    store.delete(ANN, chat.id)
    monkeypatch.setattr("engine.storage.chats.KEEP_DELETED_S", -1)
    store.recover()
    with sqlite3.connect(tmp_path / "mindcubes.db") as connection:
        left = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("chats", "messages", "chat_words")]
    assert left == [0, 0, 0]


def test_a_damaged_file_is_set_aside_and_a_new_one_created(tmp_path: Path) -> None:
    (tmp_path / "mindcubes.db").write_bytes(b"this is not a database" * 100)
    database = Database(tmp_path)
    chat = filled(ChatStore(database))
    assert ChatStore(database).get(ANN, chat.id) == chat
    kept = list(tmp_path.glob("mindcubes.damaged-*.db"))
    assert len(kept) == 1
    assert kept[0].read_bytes().startswith(b"this is not")
    assert kept[0].name in database.notice


def test_a_locked_file_is_an_error_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ChatStore(Database(tmp_path))
    filled(store)
    monkeypatch.setattr("engine.storage.database.LOCK_WAIT_S", 0.1)
    with sqlite3.connect(tmp_path / "mindcubes.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match="Another program"):
            filled(store)
    filled(store)
