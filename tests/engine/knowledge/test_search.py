"""What a search finds by words, by meaning and by both, with the real vectors of a small model; and what it says when it cannot."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest

from engine import Settings
from engine.embedding import Embedders
from engine.errors import InvalidRequest
from engine.knowledge import CollectionNotFound, Searcher, SearchResult
from engine.knowledge.vectors import Vectors, fill_vectors
from engine.storage.database import Database
from engine.storage.knowledge import KnowledgeStore
from engine.storage.knowledge_records import Place
from engine.storage.knowledge_search import KnowledgeSearch, Searched
from tests import embedding_models
from tests.embedding_models import MINILM

TEXTS = ("The kitten slept on the warm sofa.", "Invoices are paid within thirty days.", "The ferry leaves the island at noon.",
         "Kütüphaneler pazar günleri kapalıdır.", "图书馆星期天闭馆。", "Error E17 means that the door is open.")


class Shelf:
    """A folder with a collection of one document for each text, and all that searches it."""

    def __init__(self, folder: Path, embedder: Path | str = MINILM, reranker: Path | str = "none") -> None:
        self.folder, self.database = folder, Database(folder)
        self.store = KnowledgeStore(self.database)
        self.collection = self.store.create("ada", "Shelf").id
        for number, text in enumerate(TEXTS):
            self.add(f"{number}.txt", text)
        self.use(embedder, reranker)

    def use(self, embedder: Path | str, reranker: Path | str = "none") -> None:
        settings = Settings(embedder=str(embedder), reranker=str(reranker), data_dir=self.folder, cache_dir=self.folder)
        self.embedders = Embedders(settings, self.database)
        self.searcher = Searcher(self.database, self.embedders)

    def add(self, name: str, text: str, heading: str = "") -> None:
        document = self.store.add_document("ada", self.collection, name, text)
        self.store.write_pieces("ada", document.id, text, [Place(0, len(text), heading=heading)])

    def fill(self) -> int:
        return sum(fill_vectors(self.store, self.embedders, "ada", self.collection, threading.Event()))

    def search(self, query: str, **options: object) -> SearchResult:
        return self.searcher.search("ada", [self.collection], query, **options)     # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """One with vectors, which no test changes."""
    made = Shelf(tmp_path_factory.mktemp("shelf"))
    assert made.fill() == len(TEXTS)
    yield made
    made.embedders.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path, embedding_models.embedder(tmp_path / "tiny"))
    yield made
    made.embedders.close()


def texts(result: SearchResult) -> list[str]:
    return [hit.piece.text for hit in result.hits]


def test_meaning_finds_what_no_word_does(shelf: Shelf) -> None:
    question = "Where did the young cat rest?"
    assert shelf.search(question, mode="text").hits == ()
    best = shelf.search(question, mode="vectors").hits[0]
    assert best.piece.text == TEXTS[0]
    assert (best.text_rank, best.vector_rank, best.is_likely, best.document, best.collection) == (0, 1, True, "0.txt", "Shelf")
    assert shelf.search(question).hits[0].piece.text == TEXTS[0]


@pytest.mark.parametrize(("question", "text"), [
    ("What does E17 mean?", TEXTS[5]), ("invoice payment", TEXTS[1]), ("KÜTÜPHANENİN pazarları", TEXTS[3]), ("kutuphane", TEXTS[3]),
    ("图书馆什么时候闭馆？", TEXTS[4])])
def test_words_are_found_in_other_forms_and_without_spaces(shelf: Shelf, question: str, text: str) -> None:
    result = shelf.search(question, mode="text")
    assert texts(result)[0] == text
    assert (result.mode, result.hits[0].text_rank, result.hits[0].vector_score) == ("text", 1, None)


def test_both_lists_are_joined_by_their_ranks(shelf: Shelf) -> None:
    hits = shelf.search("When does the ferry leave?").hits
    assert hits[0].piece.text == TEXTS[2]
    for hit in hits:
        ranks = [rank for rank in (hit.text_rank, hit.vector_rank) if rank]
        assert hit.score == pytest.approx(sum(1 / (60 + rank) for rank in ranks))
    likely = [hit.score for hit in hits if hit.is_likely]
    assert likely == sorted(likely, reverse=True)


def test_a_question_about_something_else_finds_nothing_likely(shelf: Shelf) -> None:
    assert shelf.search("How deep is the Mariana Trench?").likely == ()
    assert shelf.search("How deep is the Mariana Trench?").hits != ()


def test_similarities_are_those_of_sentence_transformers(shelf: Shelf) -> None:
    from sentence_transformers import SentenceTransformer, util

    model = SentenceTransformer(str(MINILM), device="cpu", local_files_only=True)
    question = "Where did the young cat rest?"
    theirs = util.semantic_search(model.encode_query([question]), model.encode_document(list(TEXTS)), top_k=4)[0]
    ours = shelf.search(question, mode="vectors", limit=4).hits
    assert [hit.piece.text for hit in ours] == [TEXTS[int(each["corpus_id"])] for each in theirs]
    assert [hit.vector_score for hit in ours] == pytest.approx([each["score"] for each in theirs], abs=1e-5)


def test_several_collections_are_one_list(own: Shelf) -> None:
    own.fill()
    first, own.collection = own.collection, own.store.create("ada", "Second").id
    own.add("ferry.txt", "A ferry is a ship.")
    own.fill()
    result = own.searcher.search("ada", [first, own.collection], "ferry", 10)
    assert {hit.collection for hit in result.hits if hit.text_rank} == {"Shelf", "Second"}
    assert sorted(hit.vector_rank for hit in result.hits) == list(range(1, 8))


def test_a_heading_is_searched_with_its_piece(own: Shelf) -> None:
    own.add("manual.txt", "Press it twice.", "Resetting the thermostat")
    assert texts(own.search("thermostat", mode="text")) == ["Press it twice."]


# --- what cannot be used ---

def test_without_a_model_words_are_searched_and_the_result_says_so(own: Shelf) -> None:
    assert (own.search("ferry").mode, own.search("ferry").notes) == ("text", ("few_vectors",))
    own.use("none")
    assert (texts(own.search("ferry")), own.search("ferry").notes) == ([TEXTS[2]], ("no_embedder",))
    own.use("me/missing")
    missing = own.search("ferry", mode="vectors")
    assert (texts(missing), missing.mode, missing.notes) == ([TEXTS[2]], "text", ("not_downloaded",))


def test_vectors_of_another_model_are_not_compared(own: Shelf, tmp_path: Path) -> None:
    own.fill()
    assert own.search("ferry").mode == "hybrid"
    before = own.embedders
    own.use(embedding_models.embedder(tmp_path / "other", num_hidden_layers=1))
    result = own.search("ferry")
    assert (result.mode, result.notes, [hit.vector_score for hit in result.hits]) == ("text", ("other_embedder",), [None])
    assert own.fill() == len(TEXTS)     # computed again
    assert own.search("ferry").mode == "hybrid"
    before.close()


def test_a_model_that_fails_leaves_the_words(own: Shelf, tmp_path: Path) -> None:
    own.fill()
    (tmp_path / "tiny" / "tokenizer.json").write_text("{")
    own.use(tmp_path / "tiny")
    own.store.set_embedder("ada", own.collection, own.embedders.key())
    own.store.add_vectors("ada", own.collection, own.embedders.key(), [
        (piece.id, np.zeros(32, "<f4").tobytes()) for piece in own.store.without_vectors("ada", own.collection, own.embedders.key(), 9)])
    result = own.search("ferry")
    assert (texts(result), result.mode, result.notes) == ([TEXTS[2]], "text", ("embedder_failed",))
    assert "tiny" in result.problem


def test_a_cross_encoder_sorts_the_best_again(own: Shelf, tmp_path: Path) -> None:
    own.fill()
    own.use(tmp_path / "tiny", embedding_models.reranker(tmp_path / "pairs"))
    hits = own.search("the ferry").hits
    scores = [hit.rerank_score for hit in hits]
    assert scores == sorted((score for score in scores if score is not None), reverse=True)
    failed = own.search("the ferry", reranker="me/missing")
    assert (failed.notes, len(failed.hits)) == (("reranker_failed",), len(hits))
    assert "me/missing" in failed.problem


@pytest.mark.parametrize("options", [{"query": " "}, {"query": "x" * 4001}, {"limit": 0}, {"limit": 101}, {"mode": "magic"}])
def test_what_makes_no_sense_is_refused(own: Shelf, options: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        own.search(**{"query": "ferry", **options})     # type: ignore[arg-type]


@pytest.mark.parametrize("query", ['"', "a AND", "NEAR(", "text:", "*", "collection : x", "'; DROP", "\ud800", "的", "the", "(((", "ı İ"])
def test_no_query_breaks_the_expression(own: Shelf, query: str) -> None:
    own.search(query)


def test_another_owner_cannot_search(own: Shelf) -> None:
    with pytest.raises(CollectionNotFound):
        own.searcher.search("bob", [own.collection], "ferry")


# --- vectors ---

def test_vectors_are_added_where_a_stopped_run_ended(own: Shelf) -> None:
    for number in range(40):
        own.add(f"more {number}.txt", f"good film {number}")
    run = fill_vectors(own.store, own.embedders, "ada", own.collection, threading.Event())
    assert next(run) == 32
    run.close()         # as a process that is killed
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(CancelledError):
        next(fill_vectors(own.store, own.embedders, "ada", own.collection, stopped))
    assert own.search("ferry").notes == ("few_vectors",)
    assert own.fill() == 14
    assert own.search("ferry").notes == ()
    assert own.fill() == 0


def test_the_matrix_in_memory_follows_every_change(own: Shelf) -> None:
    def found() -> set[str]:
        return {hit.document for hit in own.search("x", mode="vectors", limit=50).hits}

    own.fill()
    assert len(found()) == 6
    own.add("new.txt", "good book")
    own.fill()
    assert found() == {f"{number}.txt" for number in range(6)} | {"new.txt"}
    own.store.delete_documents("ada", own.store.documents("ada", own.collection)[0].id)
    assert found() == {f"{number}.txt" for number in range(1, 6)} | {"new.txt"}
    own.add("new.txt", "bad book")       # read again: its vector is missing until it is computed
    assert "new.txt" not in found()
    own.fill()
    assert "new.txt" in found()


def test_the_nearest_are_exact_and_the_memory_is_bounded(tmp_path: Path) -> None:
    store, search = KnowledgeStore(Database(tmp_path)), KnowledgeSearch(Database(tmp_path))
    random = np.random.default_rng(1)
    whole: dict[int, np.ndarray] = {}
    collections: list[Searched] = []
    for number in range(3):
        collection = store.create("ada", str(number)).id
        document = store.add_document("ada", collection, "rows", "1").id
        store.write_pieces("ada", document, "x" * 500, [Place(at, at + 1) for at in range(500)])
        store.set_embedder("ada", collection, "random@1")
        pieces = store.without_vectors("ada", collection, "random@1", 500)
        vectors = random.standard_normal((500, 8)).astype("<f4")
        own = {piece.id: vector for piece, vector in zip(pieces, vectors, strict=True)}
        store.add_vectors("ada", collection, "random@1", [(piece, vector.tobytes()) for piece, vector in own.items()])
        whole |= own
        collections += search.collections("ada", [collection])
    kept = Vectors(search, max_bytes=2 * 500 * 8 * 4)
    query = random.standard_normal(8).astype(np.float32)
    best = sorted(whole, key=lambda piece: -float(whole[piece] @ query))[:20]
    for _ in range(2):
        assert [piece for piece, _ in kept.nearest(collections, "random@1", query, 20)] == best
    assert len(kept._kept) == 2
    assert kept.similarities(collections, "random@1", query, best[:3]) == pytest.approx(
        {piece: float(whole[piece] @ query) for piece in best[:3]}, abs=1e-5)
