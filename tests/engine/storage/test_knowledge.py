"""Collections in the database: whose they are, what a change keeps, and that a deletion leaves nothing in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import InvalidRequest
from engine.storage import knowledge_words
from engine.storage.database import Database
from engine.storage.knowledge import KnowledgeStore
from engine.storage.knowledge_records import CollectionNotFound, DocumentNotFound, Piece, Place
from engine.storage.knowledge_search import KnowledgeSearch

TEXT = "Zwetschgenkuchen first.\nGökkuşağı ikinci.\n知识库第三。"
PLACES = [Place(0, 23, 1, "Kuchenüberschrift"), Place(24, 41, 2), Place(42, 48, 0, "", 7)]
WORDS = ("zwetschgenkuchen", "gokkusagi", "Gökkuşağı", "Kuchenüberschrift", "kuchenuberschrift", "知识", "VECTORS", "secret.txt",
         "Secret notes")


@pytest.fixture
def store(tmp_path: Path) -> KnowledgeStore:
    return KnowledgeStore(Database(tmp_path))


def filled(store: KnowledgeStore, owner: str = "ada", chat: str = "") -> tuple[str, int]:
    """The ids of a collection and of its document, whose pieces have vectors of "model@1"."""
    collection = store.create(owner, "Secret notes", chat).id
    document = store.add_document(owner, collection, "secret.txt", "1").id
    store.write_pieces(owner, document, TEXT, PLACES)
    store.set_embedder(owner, collection, "model@1")
    pieces = store.without_vectors(owner, collection, "model@1", 10)
    store.add_vectors(owner, collection, "model@1", [(each.id, b"VECTORS " * 2) for each in pieces])
    store.set_state(owner, document, "ready")
    return collection, document


def in_files(folder: Path) -> list[str]:
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    return [word for word in WORDS if word.encode() in content]


def test_a_collection_is_what_was_stored(store: KnowledgeStore) -> None:
    collection, document = filled(store)
    found, = store.list("ada")
    assert (found.id, found.name, found.num_documents, found.num_pieces, found.embedder) == (collection, "Secret notes", 1, 3, "model@1")
    assert found.size_bytes == len(TEXT.encode()) == store.use("ada").size_bytes
    assert store.document("ada", document).num_pieces == 3
    assert store.document_text("ada", document) == TEXT


def test_pieces_are_the_texts_at_their_places(store: KnowledgeStore) -> None:
    collection, document = filled(store)
    store.set_embedder("ada", collection, "other@2")
    pieces = store.without_vectors("ada", collection, "other@2", 10)
    assert [each.text for each in pieces] == [TEXT[place.begin:place.end] for place in PLACES]
    assert [each.place for each in pieces] == PLACES
    assert pieces[0] == Piece(pieces[0].id, document, 0, "Zwetschgenkuchen first.", PLACES[0])


@pytest.mark.parametrize("pages", [1, 200])
def test_a_deletion_leaves_nothing_in_the_files(store: KnowledgeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: int) -> None:
    monkeypatch.setattr(knowledge_words, "MERGED_PAGES", pages)       # of one step, between which others can write
    other = store.create("bob", "Others").id
    kept = store.add_document("bob", other, "kept.txt", "1").id
    many = store.add_document("bob", other, "many.txt", "1").id
    text = " ".join(f"word{number}" for number in range(5_000))
    store.write_pieces("bob", many, text, [Place(at, at + 400) for at in range(0, len(text) - 400, 400)])
    collection, _ = filled(store, chat="chat 1")
    store.write_pieces("bob", kept, "something else", [Place(0, 14)])
    assert len(in_files(tmp_path)) == len(WORDS)
    store.delete("ada", collection)
    assert in_files(tmp_path) == []
    with pytest.raises(CollectionNotFound):
        store.get("ada", collection)
    assert store.document_text("bob", kept) == "something else"


def test_a_deleted_document_leaves_nothing_but_the_collection(store: KnowledgeStore, tmp_path: Path) -> None:
    collection, document = filled(store)
    store.delete_documents("ada", document)
    assert in_files(tmp_path) == ["Secret notes"]
    assert (store.get("ada", collection).num_pieces, store.use("ada").size_bytes) == (0, 0)


def test_words_of_an_earlier_version_are_gone_once_the_index_is_merged(store: KnowledgeStore, tmp_path: Path) -> None:
    _, document = filled(store)
    store.write_pieces("ada", document, "new", [Place(0, 3)])
    store.compact()
    assert in_files(tmp_path) == ["secret.txt", "Secret notes"]


def test_a_file_that_did_not_change_keeps_its_pieces(store: KnowledgeStore) -> None:
    collection, document = filled(store)
    same = store.add_document("ada", collection, "secret.txt", "1")
    assert (same.id, same.state, same.num_pieces) == (document, "ready", 3)
    changed = store.add_document("ada", collection, "secret.txt", "2")
    assert (changed.id, changed.state, changed.digest) == (document, "waiting", "2")


def test_vectors_of_two_models_are_never_together(store: KnowledgeStore, tmp_path: Path) -> None:
    collection, _ = filled(store)
    store.set_embedder("ada", collection, "other@2")
    pieces = store.without_vectors("ada", collection, "other@2", 10)
    assert len(pieces) == 3
    store.add_vectors("ada", collection, "model@1", [(pieces[0].id, b"late")])      # of a job that began before
    store.add_vectors("ada", collection, "other@2", [(pieces[1].id, b"new1"), (10**9, b"gone")])
    search = KnowledgeSearch(Database(tmp_path))
    searched, = search.collections("ada", [collection])
    assert (searched.embedder, searched.num_vectors) == ("other@2", 1)
    assert search.vectors(searched, "model@1", 0)[1:] == ([], b"")
    assert search.vectors(searched, "other@2", 0)[1:] == ([pieces[1].id], b"new1")


@pytest.mark.parametrize("read", [
    lambda store, collection, document: store.get("bob", collection),
    lambda store, collection, document: store.rename("bob", collection, "Mine"),
    lambda store, collection, document: store.delete("bob", collection),
    lambda store, collection, document: store.documents("bob", collection),
    lambda store, collection, document: store.add_document("bob", collection, "b.txt", "1"),
    lambda store, collection, document: store.without_vectors("bob", collection, "x", 1),
    lambda store, collection, document: store.set_embedder("bob", collection, "x"),
    lambda store, collection, document: store.add_vectors("bob", collection, "model@1", []),
    lambda store, collection, document: store.document("bob", document),
    lambda store, collection, document: store.document_text("bob", document),
    lambda store, collection, document: store.write_pieces("bob", document, "x", []),
    lambda store, collection, document: store.set_state("bob", document, "failed"),
    lambda store, collection, document: store.delete_documents("bob", document),
], ids=range(13))
def test_another_owner_finds_nothing(store: KnowledgeStore, read: Callable[..., object]) -> None:
    collection, document = filled(store)
    before = store.get("ada", collection)
    with pytest.raises((CollectionNotFound, DocumentNotFound)):
        read(store, collection, document)
    assert store.get("ada", collection) == before
    assert store.list("bob") == ()


def test_the_search_of_another_owner_finds_no_piece(store: KnowledgeStore, tmp_path: Path) -> None:
    collection, _ = filled(store)
    search = KnowledgeSearch(Database(tmp_path))
    found = search.by_words(search.collections("ada", [collection]), ["zwetschgenkuchen"], 5)
    assert len(search.pieces("ada", found)) == 1
    assert search.pieces("bob", found) == {}
    with pytest.raises(CollectionNotFound):
        search.collections("bob", [collection])


def test_temporary_collections_are_listed_with_their_chat_only(store: KnowledgeStore) -> None:
    collection, _ = filled(store, chat="chat 1")
    assert store.list("ada") == ()
    assert [each.id for each in store.list("ada", "chat 1")] == [collection]
    assert store.get("ada", collection).is_temporary
    assert store.use("ada").pieces == 3


def test_names_are_one_line_of_some_text(store: KnowledgeStore) -> None:
    assert store.create("ada", "  two\nwords ").name == "two words"
    with pytest.raises(InvalidRequest):
        store.create("ada", " \n ")


def test_words_that_are_everywhere_are_left_out_unless_there_are_no_others(store: KnowledgeStore, tmp_path: Path) -> None:
    collection = store.create("ada", "Many").id
    text = "everywhere " * 1999 + "everywhere rare"
    document = store.add_document("ada", collection, "many.txt", "1").id
    store.write_pieces("ada", document, text, [Place(at * 11, at * 11 + 10) for at in range(1999)] + [Place(1999 * 11, len(text))])
    search = KnowledgeSearch(Database(tmp_path))
    within = search.collections("ada", [collection])
    assert len(search.by_words(within, ["everywhere", "rare"], 50)) == 1
    assert len(search.by_words(within, ["everywhere"], 50)) == 50
