"""The embedding models of this machine: which is used, what is known of it, its download, and texts as vectors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..errors import InvalidRequest, LoadError, NotPermitted, StorageError
from ..hardware import Hardware, detect
from ..hub.hub import Hub
from ..hub.progress import OnProgress
from ..models.resolve import LocalModel, is_path_like, resolve
from ..settings import NO_MODEL, Secret, Settings
from ..storage.database import Database
from ..storage.model_choices import ModelChoices
from .embedder import Kind
from .files import EmbedderFiles, missing_modules, read_embedder, read_reranker
from .worker import IDLE_S, Models, Worker

if TYPE_CHECKING:
    import numpy as np

BATCH = 16              # documents of one forward pass
DOWNLOAD_BYTES = 471_000_000        # of the default model, float32: 117,653,760 weights by its config.json
Role = Literal["embedder", "reranker"]


@dataclass(frozen=True, slots=True)
class EmbedderInfo:
    """`name`: of a folder without its path. `is_stored`: all its files are on this disk, without which all else is unknown.

    `window_tokens`: what is read of a text, with special tokens and the prompt. `size_bytes`: of its weights. `problem`: why it cannot
    be used.
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
    """A question as a vector of the model `key`. `floor`: the similarity below which a text is hardly related, if the model can tell."""

    vector: np.ndarray
    key: str
    floor: float | None


class Embedders:
    """Safe to use from many threads."""

    def __init__(self, settings: Settings, database: Database, hub: Hub | None = None, idle_s: float = IDLE_S) -> None:
        self._settings, self._hub = settings, hub or Hub(settings)
        self._worker = Worker(self._hardware, idle_s)
        self._choices = ModelChoices(database)
        self._names: dict[Role, str] = {}       # read from the database when first needed
        self._detected: Hardware | None = None

    @property
    def name(self) -> str:
        """The embedding model that is used unless another is named: what was chosen, else that of the settings; "" if there is none."""
        return self._chosen("embedder", self._settings.embedder)

    @property
    def reranker(self) -> str:
        """The cross-encoder, in the same way."""
        return self._chosen("reranker", self._settings.reranker)

    def choose(self, role: Role, name: str | None) -> None:
        """Use another model from now on: of the hub, a folder, or "none"; None is that of the settings. The caller asks who may do that.

        Raises InvalidRequest, UnsupportedModel if it is stored and cannot be used, and StorageError.
        """
        if name and name != NO_MODEL:
            self._find(name, is_reranker=role == "reranker", is_chosen=True)
        self._choices.set(role, name)
        self._names.pop(role, None)

    def _chosen(self, role: Role, setting: str) -> str:
        if role not in self._names:
            try:
                self._names[role] = self._choices.get(role) or setting
            except StorageError:
                return "" if setting == NO_MODEL else setting
        return "" if self._names[role] == NO_MODEL else self._names[role]

    @property
    def is_loaded(self) -> bool:
        """Whether a model is in memory, or about to be."""
        return self._worker.is_running

    # --- which there are ---

    def info(self, name: str = "") -> EmbedderInfo:
        """What is known of a model, by default the chosen one, without a request to the hub."""
        name = name or self.name
        shown = Path(name).name if is_path_like(name) else name     # a folder's path is nothing for visitors
        try:
            files = self._find(name)
        except (LoadError, InvalidRequest, NotPermitted) as error:
            return EmbedderInfo(shown, True, problem=str(error).replace(name, shown))
        return EmbedderInfo(shown) if files is None else EmbedderInfo(
            files.name, True, files.key, files.dimensions, files.window_tokens, files.size_bytes)

    def key(self, name: str = "") -> str:
        """The name of a model's vectors: name@digest of its files; "" if it cannot be used now."""
        return self.info(name).key

    def require_key(self, name: str) -> str:
        """The same. Raises what `embed` raises for a model that cannot be used."""
        return self._require(name).key

    def counter(self, name: str = "") -> Callable[[str], int]:
        """A function that counts the tokens of a text without special ones. Raises what `embed` raises."""
        from tokenizers import Tokenizer

        files = self._require(name)
        tokenizer = Tokenizer.from_file(str(files.tokenizer))
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
            found.append(self._worker.run(partial(_embedded, files, batch, kind), is_urgent=kind == "query"))
        return np.concatenate(found)

    def lengths(self, texts: Sequence[str], kind: Kind, name: str = "", stop: threading.Event | None = None) -> list[int]:
        """Tokens that the model would read of each text, with the prompt and special ones. Stops and raises as `embed` does."""
        files = self._require(name)
        found: list[int] = []
        for first in range(0, len(texts), BATCH):
            if stop is not None and stop.is_set():
                raise CancelledError
            found += self._worker.run(partial(_lengths, files, list(texts[first:first + BATCH]), kind), is_urgent=False)
        return found

    def question(self, text: str, name: str = "") -> Question:
        """A question as a vector of the shape (dimensions,). Raises what `embed` raises."""
        files = self._require(name)

        def work(models: Models) -> Question:
            embedder = models.embedder(files)
            return Question(embedder.embed([text], "query")[0], files.key, embedder.floor(text))

        return self._worker.run(work)

    def rerank(self, query: str, texts: Sequence[str], name: str = "") -> list[float]:
        """How well each text answers the query, by a cross-encoder, by default the chosen one. Raises what `embed` raises."""
        files = self._require(name or self.reranker, is_reranker=True)
        scores: list[float] = []
        for first in range(0, len(texts), BATCH):
            scores += self._worker.run(partial(_scored, files, query, list(texts[first:first + BATCH])))
        return scores

    def close(self) -> None:
        """End the thread after the batch in progress, and refuse what waits."""
        self._worker.close()

    # --- files ---

    def _require(self, name: str, *, is_reranker: bool = False) -> EmbedderFiles:
        name = name or self.name
        files = self._find(name, is_reranker=is_reranker)
        if files is None:
            raise InvalidRequest("embedding model", name, "one that is on this disk: download it first")
        return files

    def _find(self, name: str, *, is_reranker: bool = False, is_chosen: bool = False) -> EmbedderFiles | None:
        """None for a model that is not on this disk. Raises InvalidRequest, NotPermitted and UnsupportedModel."""
        if not name:
            raise InvalidRequest("embedding model", name, "one of the hub or a folder: the operator has set MINDCUBES_EMBEDDER to none")
        if self._settings.is_public and not is_chosen and name not in (self.name, self.reranker):
            raise NotPermitted("On a public page only the embedding model of the operator is used.")
        # What the operator has set may be a folder on a public page too.
        place = resolve(name, replace(self._settings, model=name))
        read = read_reranker if is_reranker else read_embedder
        if isinstance(place, LocalModel):
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


def _embedded(files: EmbedderFiles, texts: list[str], kind: Kind, models: Models) -> np.ndarray:
    return models.embedder(files).embed(texts, kind)


def _lengths(files: EmbedderFiles, texts: list[str], kind: Kind, models: Models) -> list[int]:
    return models.embedder(files).lengths(texts, kind)


def _scored(files: EmbedderFiles, query: str, texts: list[str], models: Models) -> list[float]:
    return models.reranker(files).score(query, texts)
