"""Vectors of real small models: what they are, who waits for whom, and when the memory is free again."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine import Settings
from engine.embedding import Embedders
from engine.embedding.embedder import Embedder
from engine.embedding.files import read_embedder
from engine.errors import DownloadStopped, EngineBusy, InvalidRequest, NotEnoughMemory, NotPermitted, UnsupportedModel
from engine.hardware import detect
from engine.hub.hub import Hub
from engine.storage.database import Database
from tests import embedding_models, hub_standin
from tests.api.conftest import eventually
from tests.embedding_models import MINILM

TEXTS = ["Ada Lovelace wrote the first program", "good film", "你好 世界", "bad book " * 100]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedding_models.embedder(tmp_path_factory.mktemp("tiny") / "tiny", {"query": "what ", "document": ""})


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Embedders]]:
    made: list[Embedders] = []

    def new(embedder: Path | str, hub: Hub | None = None, idle_s: float = 60.0, **settings: object) -> Embedders:
        made.append(Embedders(Settings(embedder=str(embedder), data_dir=tmp_path, **settings), Database(tmp_path), hub, idle_s))  # type: ignore[arg-type]
        return made[-1]

    yield new
    for each in made:
        each.close()


def test_vectors_are_those_of_sentence_transformers(make: Callable[..., Embedders]) -> None:
    from sentence_transformers import SentenceTransformer

    vectors = make(MINILM).embed(TEXTS * 9, "document")     # several batches
    theirs = SentenceTransformer(str(MINILM), device="cpu", local_files_only=True).encode(TEXTS, normalize_embeddings=True)
    assert vectors.dtype == np.float32
    assert np.abs(vectors.reshape(9, 4, -1) - theirs).max() < 1e-5
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_question_has_the_prompt_of_the_model_and_a_document_has_none(make: Callable[..., Embedders], tiny: Path) -> None:
    embedders = make(tiny)
    as_question, = embedders.embed(["Zeynep"], "query")
    plain, prompted = embedders.embed(["Zeynep", "what Zeynep"], "document")
    assert np.allclose(as_question, prompted, atol=1e-6)
    assert not np.allclose(as_question, plain, atol=1e-2)
    assert embedders.lengths(["Zeynep", "good film " * 100], "query") == [4, 203]
    assert embedders.counter()("Zeynep good") == 2
    assert embedders.embed([], "document").shape == (0, 32)


def test_the_similarity_of_unrelated_texts_is_known_where_the_model_knows_the_language(make: Callable[..., Embedders]) -> None:
    embedders = make(MINILM)
    english, turkish = embedders.question("Who wrote the book?"), embedders.question("Kitabı kim yazmış?")
    assert english.floor is not None
    assert 0.1 < english.floor < 0.4
    assert turkish.floor is None
    related = embedders.embed(["The novel's author is Jane Austen."], "document")[0]
    assert float(english.vector @ related) > english.floor


def test_questions_come_before_waiting_documents(make: Callable[..., Embedders], tiny: Path) -> None:
    embedders = make(tiny)
    embedders.embed(["good"], "query")
    order: list[str] = []
    begun, may_end = threading.Event(), threading.Event()

    def hold(models: object) -> None:
        begun.set()
        assert may_end.wait(20)

    def ask(kind: str) -> None:
        embedders._worker.run(lambda models: order.append(kind), is_urgent=kind == "query")

    threads = [threading.Thread(target=lambda: embedders._worker.run(hold))]
    threads[0].start()
    assert begun.wait(20)
    for number, kind in enumerate(("document", "document", "query"), 1):
        threads.append(threading.Thread(target=ask, args=(kind,)))
        threads[-1].start()
        eventually(lambda number=number: embedders._worker._queue.qsize() == number)
    may_end.set()
    for thread in threads:
        thread.join(20)
    assert order == ["query", "document", "document"]


def test_an_idle_model_is_freed_and_the_next_question_loads_it_again(make: Callable[..., Embedders], tiny: Path) -> None:
    embedders = make(tiny, idle_s=0.05)
    before, held = embedders.embed(["good"], "query"), []
    embedders._worker.run(lambda models: held.append(weakref.ref(models._embedder)))
    eventually(lambda: not embedders.is_loaded)
    eventually(lambda: held[0]() is None)
    assert np.array_equal(embedders.embed(["good"], "query"), before)


def test_a_stop_ends_after_the_batch_in_progress(make: Callable[..., Embedders], tiny: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        make(tiny).embed(["good"], "document", stop=stop)


def test_after_the_end_nothing_is_computed(make: Callable[..., Embedders], tiny: Path) -> None:
    embedders = make(tiny)
    embedders.close()
    with pytest.raises(EngineBusy):
        embedders.embed(["good"], "query")


def test_a_model_that_does_not_fit_is_refused_before_it_is_read(tiny: Path) -> None:
    files = replace(read_embedder("tiny", tiny, detect("cpu")), needed_bytes=1 << 60)
    with pytest.raises(NotEnoughMemory, match="tiny"):
        Embedder(files, detect("cpu"))


def test_a_cross_encoder_scores_pairs_as_sentence_transformers_does(make: Callable[..., Embedders], tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    folder = embedding_models.reranker(tmp_path / "pairs")
    scores = make("none", reranker=str(folder)).rerank("who wrote it", TEXTS * 5)
    model = CrossEncoder(str(folder), device="cpu", local_files_only=True, max_length=64)
    theirs = model.predict([("who wrote it", text) for text in TEXTS])
    assert np.allclose(np.reshape(scores, (5, 4)), theirs, atol=1e-5)


# --- which model ---

def test_a_model_that_is_not_downloaded_is_named_and_nothing_more(make: Callable[..., Embedders]) -> None:
    embedders = make("me/tiny", cache_dir=Path("/nowhere"))
    assert (embedders.info().name, embedders.info().is_stored, embedders.key()) == ("me/tiny", False, "")
    with pytest.raises(InvalidRequest, match="download it first"):
        embedders.embed(["good"], "query")
    with pytest.raises(InvalidRequest, match="MINDCUBES_EMBEDDER"):
        make("none").embed(["good"], "query")


def test_another_model_is_chosen_for_later_starts_too(make: Callable[..., Embedders], tiny: Path, llama_folder: Path) -> None:
    embedders = make("none")
    with pytest.raises(UnsupportedModel, match="no modules"):
        embedders.choose("embedder", str(llama_folder))
    assert embedders.name == ""
    embedders.choose("embedder", str(tiny))
    assert embedders.info().is_usable
    assert embedders.info().key.startswith("tiny@")      # not its path
    assert make("none").name == str(tiny)
    embedders.choose("embedder", None)
    assert embedders.name == make("none").name == ""


def test_on_a_public_page_only_the_operators_model_is_used(make: Callable[..., Embedders], tiny: Path) -> None:
    embedders = make(tiny, is_public=True)
    assert embedders.embed(["good"], "query").shape == (1, 32)
    with pytest.raises(NotPermitted):
        embedders.embed(["good"], "query", str(MINILM))
    assert not embedders.info("someone/other").is_usable


def test_a_download_brings_the_modules_and_nothing_else(make: Callable[..., Embedders], tiny: Path, tmp_path: Path) -> None:
    settings = Settings(cache_dir=tmp_path / "hub")
    (tiny / "onnx").mkdir(exist_ok=True)
    (tiny / "onnx" / "config.json").write_text("{}")
    with hub_standin.running({"me/tiny": tiny}) as standin, hub_standin.online():
        embedders = make("me/tiny", Hub(settings, standin.address), cache_dir=settings.cache_dir)
        stopped = threading.Event()
        stopped.set()
        with pytest.raises(DownloadStopped):
            embedders.download(lambda progress: None, stopped)
        seen = []
        info = embedders.download(seen.append, threading.Event())
        assert info.is_usable
        assert seen[-1].done_bytes == seen[-1].total_bytes > 0
        folder = Hub(settings).stored("me/tiny")
        assert folder is not None
        assert not (folder / "onnx").exists()
    assert embedders.embed(["good"], "query").shape == (1, 32)      # without the hub


def test_a_download_that_lacks_its_modules_counts_as_none(make: Callable[..., Embedders], tiny: Path, tmp_path: Path) -> None:
    settings = Settings(cache_dir=tmp_path / "hub")
    with hub_standin.running({"me/tiny": tiny}) as standin, hub_standin.online():
        hub = Hub(settings, standin.address)
        folder = hub.download("me/tiny", None, lambda progress: None, threading.Event())
        (folder / "1_Pooling" / "config.json").unlink()
        embedders = make("me/tiny", hub, cache_dir=settings.cache_dir)
        assert not embedders.info().is_stored
        assert embedders.download(lambda progress: None, threading.Event()).is_usable
