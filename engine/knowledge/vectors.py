"""The vectors of collections in memory, as matrices that numpy searches, and those that are still to be computed.

SQLite is where vectors are kept. A collection's matrix is read on the first search, extended by vectors that were added since, and
read again after one was deleted. The least recently used matrices are dropped over a limit of bytes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..embedding import Embedders
from ..storage.knowledge import KnowledgeStore
from ..storage.knowledge_search import KnowledgeSearch, Searched

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 512 * 2**20         # 340,000 vectors of 384 numbers
AT_ONCE = 32                    # pieces between two writes of their vectors


@dataclass(frozen=True, slots=True)
class _Matrix:
    """`vectors`: of the shape (pieces, dimensions). `last`: the newest row of the database in it."""

    key: tuple[str, int]
    last: int
    pieces: np.ndarray
    vectors: np.ndarray


class Vectors:
    """Safe to use from many threads."""

    def __init__(self, search: KnowledgeSearch, max_bytes: int = MAX_BYTES) -> None:
        self._search, self._max_bytes = search, max_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Matrix] = OrderedDict()

    def nearest(self, collections: Sequence[Searched], embedder: str, query: np.ndarray, limit: int) -> list[tuple[int, float]]:
        """Ids of the pieces with the largest cosine similarity, and that, best first. Only vectors of this embedder are compared."""
        import numpy as np

        best: list[tuple[int, float]] = []
        for collection in collections:
            matrix = self._matrix(collection, embedder, len(query))
            scores = matrix.vectors @ query
            top = np.argpartition(scores, -limit)[-limit:] if len(scores) > limit else np.arange(len(scores))
            best += [(int(matrix.pieces[at]), float(scores[at])) for at in top]
        return sorted(best, key=lambda each: (-each[1], each[0]))[:limit]

    def similarities(self, collections: Sequence[Searched], embedder: str, query: np.ndarray, pieces: Sequence[int]) -> dict[int, float]:
        """The cosine similarity of these pieces, without those that have no vector."""
        import numpy as np

        found: dict[int, float] = {}
        for collection in collections:
            matrix = self._matrix(collection, embedder, len(query))
            at = np.nonzero(np.isin(matrix.pieces, np.asarray(pieces, np.int64)))[0]
            found.update(zip(matrix.pieces[at].tolist(), (matrix.vectors[at] @ query).tolist(), strict=True))
        return found

    def _matrix(self, collection: Searched, embedder: str, dimensions: int) -> _Matrix:
        import numpy as np

        key = (embedder, collection.version)
        with self._lock:
            known = self._kept.get(collection.id)
        if known is None or known.key != key:
            known = _Matrix(key, 0, np.zeros(0, np.int64), np.zeros((0, dimensions), np.float32))
        last, pieces, content = self._search.vectors(collection, embedder, known.last)
        if pieces:
            added = np.frombuffer(content, "<f4").reshape(-1, dimensions)
            known = _Matrix(key, last, np.concatenate([known.pieces, np.asarray(pieces, np.int64)]),
                            np.concatenate([known.vectors, added]) if len(known.vectors) else added)
        with self._lock:
            self._kept[collection.id] = known
            self._kept.move_to_end(collection.id)
            while len(self._kept) > 1 and sum(each.vectors.nbytes for each in self._kept.values()) > self._max_bytes:
                self._kept.popitem(last=False)
        return known


def fill_vectors(store: KnowledgeStore, embedders: Embedders, owner: str, collection_id: str, stop: threading.Event) -> Iterator[int]:
    """Compute the vectors that a collection lacks with the chosen model, and yield how many were added each time.

    Vectors of another model are dropped first, also if another one is chosen meanwhile. What was added is stored, so that the next call
    continues after a stop or a crash.
    Raises what Embedders.embed raises, CancelledError once `stop` is set, CollectionNotFound and StorageError.
    """
    while True:
        name = embedders.name
        key = embedders.require_key(name)
        if store.get(owner, collection_id).embedder != key:
            store.set_embedder(owner, collection_id, key)
        if not (pieces := store.without_vectors(owner, collection_id, key, AT_ONCE)):
            return
        texts = [f"{each.place.heading}\n{each.text}" if each.place.heading else each.text for each in pieces]
        vectors = embedders.embed(texts, "document", name, stop)
        if embedders.require_key(name) == key:       # else its files were replaced meanwhile
            store.add_vectors(owner, collection_id, key, [
                (each.id, vector.astype("<f4").tobytes()) for each, vector in zip(pieces, vectors, strict=True)])
            yield len(pieces)
