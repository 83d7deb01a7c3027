"""The embedding models of this machine: which there are, downloads, and one thread that computes with the one that is loaded.

A question waits for at most one batch of documents, since documents are embedded a batch at a time and questions come first. The
thread holds the only reference to the loaded models; it ends, and frees them, when nothing has been asked for a while.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from queue import Empty, PriorityQueue
from typing import TYPE_CHECKING, TypeVar

from ..errors import EngineBusy, InvalidRequest, NotPermitted, UnsupportedModel
from ..hardware import Hardware, detect
from ..hub.hub import Hub, OnProgress
from ..models.loader import collect
from ..models.resolve import LocalModel, resolve
from ..settings import NO_MODEL, Secret, Settings
from .embedder import Embedder, Kind, Reranker
from .files import EmbedderFiles, missing_modules, read_embedder, read_reranker

if TYPE_CHECKING:
    import numpy as np

BATCH = 16              # documents of one forward pass
IDLE_S = 600.0          # how long the models stay in memory without use
END_S = 3.0             # how long the end of the process waits for the batch in progress
DOWNLOAD_BYTES = 471_000_000        # of the default model, float32: 117,653,760 weights by its config.json
T = TypeVar("T")
_Work = tuple[int, int, "Callable[[_Models], None] | None", "Future[None]"]


@dataclass(frozen=True, slots=True)
class EmbedderInfo:
    """`is_stored`: all its files are on this disk; without them all else is unknown. `problem`: why it cannot be used.

    `window_tokens`: what is read of a text, with special tokens and the prompt. `size_bytes`: of its weights.
    """

    name: str
    is_stored: bool = False
    key: str = ""
    dimensions: int = 0
    window_tokens: int = 0
    size_bytes: int = 0
    problem: str = ""

    @property
    def is_usable(self) -> bool:
        return self.is_stored and not self.problem


@dataclass(frozen=True, slots=True)
class Question:
    """A question as a vector of a model. `key`: that of the model. `floor`: the similarity below which a text is hardly related."""

    vector: np.ndarray
    key: str
    floor: float


class _Models:
    """What the thread has loaded: one embedder and one cross-encoder at most."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self._embedder: Embedder | None = None
        self._reranker: Reranker | None = None

    def embedder(self, files: EmbedderFiles) -> Embedder:
        if self._embedder is None or self._embedder.files.key != files.key:
            self._embedder = None
            collect()
            self._embedder = Embedder(files, self._hardware)
        return self._embedder

    def reranker(self, files: EmbedderFiles) -> Reranker:
        if self._reranker is None or self._reranker.files.key != files.key:
            self._reranker = None
            collect()
            self._reranker = Reranker(files, self._hardware)
        return self._reranker


class Embedders:
    """Safe to use from many threads. `name`: the model that is used unless another is named; "" if there is none."""

    def __init__(self, settings: Settings, hub: Hub | None = None, idle_s: float = IDLE_S) -> None:
        self._settings, self._hub, self._idle_s = settings, hub or Hub(settings), idle_s
        self.name = "" if settings.embedder == NO_MODEL else settings.embedder
        self.reranker = "" if settings.reranker == NO_MODEL else settings.reranker
        self._lock = threading.Lock()
        self._queue: PriorityQueue[_Work] = PriorityQueue()
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._detected: Hardware | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether a model is in memory, or about to be."""
        return self._thread is not None

    # --- which there are ---

    def info(self, name: str = "") -> EmbedderInfo:
        """What is known of a model, by default the chosen one, without a request to the hub."""
        name = name or self.name
        try:
            files = self._find(name)
        except (UnsupportedModel, InvalidRequest, NotPermitted) as error:
            return EmbedderInfo(name, True, problem=str(error))
        return EmbedderInfo(name) if files is None else EmbedderInfo(
            name, True, files.key, files.dimensions, files.window_tokens, files.size_bytes)

    def key(self, name: str = "") -> str:
        """The name of a model's vectors: name@digest of its files; "" if it cannot be used now."""
        return self.info(name).key

    def counter(self, name: str = "") -> Callable[[str], int]:
        """A function that counts the tokens of a text without special ones. Raises what `embed` raises."""
        from tokenizers import Tokenizer

        files = self._require(name)
        tokenizer = Tokenizer.from_file(str(files.folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)

    def download(self, on_progress: OnProgress, stop: threading.Event, name: str = "", token: Secret | None = None) -> EmbedderInfo:
        """Download a model of the hub if it is not stored. Blocks; ends soon after `stop` is set.

        Raises NotPermitted, InvalidRequest, UnsupportedModel, and what Hub.download raises.
        """
        name = name or self.name
        if self._find(name) is None:
            self._hub.download(name, None, on_progress, stop, token)
        self._require(name)
        return self.info(name)

    # --- computing ---

    def embed(self, texts: Sequence[str], kind: Kind, name: str = "", stop: threading.Event | None = None) -> np.ndarray:
        """Vectors of length 1, 32-bit numbers, of the shape (texts, dimensions). Blocks; once `stop` is set it ends after the batch in
        progress, with CancelledError.

        Raises InvalidRequest for a model that is not stored, NotPermitted, UnsupportedModel, NotEnoughMemory, LoadError,
        GenerationFailed, and EngineBusy at the end of the process.
        """
        import numpy as np

        files = self._require(name)
        found = [np.zeros((0, files.dimensions), np.float32)]
        for first in range(0, len(texts), BATCH):
            if stop is not None and stop.is_set():
                raise CancelledError
            batch = list(texts[first:first + BATCH])
            found.append(self._run(0 if kind == "query" else 1, lambda models, batch=batch: models.embedder(files).embed(batch, kind)))
        return np.concatenate(found)

    def question(self, text: str, name: str = "") -> Question:
        """A question as a vector of the shape (dimensions,). Raises what `embed` raises."""
        files = self._require(name)

        def work(models: _Models) -> Question:
            embedder = models.embedder(files)
            return Question(embedder.embed([text], "query")[0], files.key, embedder.floor(text))

        return self._run(0, work)

    def rerank(self, query: str, texts: Sequence[str], name: str = "") -> list[float]:
        """How well each text answers the query, by a cross-encoder, by default the chosen one. Raises what `embed` raises."""
        files = self._require(name or self.reranker, is_reranker=True)
        scores: list[float] = []
        for first in range(0, len(texts), BATCH):
            batch = list(texts[first:first + BATCH])
            scores += self._run(0, lambda models, batch=batch: models.reranker(files).score(query, batch))
        return scores

    def close(self) -> None:
        """End the thread after the batch in progress, and refuse what waits."""
        with self._lock:
            self._is_closed, thread = True, self._thread
            self._queue.put((-1, next(self._numbers), None, Future()))
        if thread is not None:
            thread.join(timeout=END_S)

    def _run(self, priority: int, work: Callable[[_Models], T]) -> T:
        """Compute in the thread, which is started if there is none."""
        result: list[T] = []
        done: Future[None] = Future()
        with self._lock:
            if self._is_closed:
                raise EngineBusy("the app is ending")
            self._queue.put((priority, next(self._numbers), lambda models: result.append(work(models)), done))
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="embedding", daemon=True)
                self._thread.start()
        done.result()
        return result[0]

    def _serve(self) -> None:
        models = _Models(self._hardware())
        while True:
            try:
                _, _, work, done = self._queue.get(timeout=self._idle_s)
            except Empty:
                with self._lock:
                    if not self._queue.empty():
                        continue
                    self._thread = None
                break
            if work is None:
                self._refuse_waiting()
                break
            try:
                work(models)
            except BaseException as error:      # belongs to the caller, whatever it is
                done.set_exception(error)
            else:
                done.set_result(None)
            del work, done
        del models
        collect()

    def _refuse_waiting(self) -> None:
        while True:
            try:
                _, _, _, done = self._queue.get_nowait()
            except Empty:
                return
            done.set_exception(EngineBusy("the app is ending"))

    # --- files ---

    def _require(self, name: str, *, is_reranker: bool = False) -> EmbedderFiles:
        name = name or self.name
        files = self._find(name, is_reranker=is_reranker)
        if files is None:
            raise InvalidRequest("embedding model", name, "one that is on this disk: download it first")
        return files

    def _find(self, name: str, *, is_reranker: bool = False) -> EmbedderFiles | None:
        """None for a model that is not on this disk. Raises InvalidRequest, NotPermitted and UnsupportedModel."""
        if not name:
            raise InvalidRequest("embedding model", name, "one of the hub or a folder: the operator has set MINDCUBES_EMBEDDER to none")
        if self._settings.is_public and name not in (self.name, self.reranker):
            raise NotPermitted("On a public page only the embedding model of the operator is used.")
        # What the operator has set may be a folder on a public page too.
        place = resolve(name, replace(self._settings, model=name))
        read = read_reranker if is_reranker else read_embedder
        if isinstance(place, LocalModel):       # a folder's name is enough for people, and its path is nothing for visitors
            return read(place.folder.name, place.folder, self._hardware())
        folder = self._hub.stored(place.name)
        if folder is None or (not is_reranker and missing_modules(name, folder)):
            return None
        return read(name, folder, self._hardware())

    def _hardware(self) -> Hardware:
        """Detected on first use, because it imports torch."""
        if self._detected is None:
            self._detected = detect("cpu")
        return self._detected
