"""Finds a person's own chats by the meaning of their messages.

A message gets its vector when its owner searches in this way for the first time after it was written: nobody pays for a search that is
never asked for. One search computes for EMBEDDING_S at most; what is left waits for the next one, and the result says so.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..embedding import Embedders
from ..storage.chat_vectors import ChatVectors
from ..storage.database import Database
from ..storage.records import SearchHit

EMBEDDING_S = 4.0           # of one search, for messages that have no vector yet
BATCH = 16
MAX_HITS = 20
UNSURE_HITS = 5             # where the model cannot tell which texts are unrelated
MAX_QUERY_CHARS = 500
LEFT_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class MeaningFound:
    """`num_left`: messages that were not compared yet, at most LEFT_COUNTED; the next search goes on with them."""

    hits: tuple[SearchHit, ...] = ()
    num_left: int = 0


class ChatMeaning:
    """Safe to use from many threads."""

    def __init__(self, database: Database, embedders: Embedders) -> None:
        self._vectors, self._embedders = ChatVectors(database), embedders

    def search(self, owner: str, query: str) -> MeaningFound:
        """The chats with messages that are related to `query`, best first. Blocks.

        Raises InvalidRequest without an embedding model, StorageError, and what Embedders.question raises.
        """
        import numpy as np

        query = " ".join(query.split())[:MAX_QUERY_CHARS]
        if not query:
            return MeaningFound()
        question = self._embedders.question(query)
        num_left = self._embed_missing(owner, question.key)
        ids, content = self._vectors.all(owner, question.key)
        if not ids:
            return MeaningFound(num_left=num_left)
        similar = np.frombuffer(content, dtype="<f4").reshape(len(ids), -1) @ question.vector
        ranked = np.argsort(-similar, kind="stable")
        best = [ids[at] for at in ranked if question.floor is None or similar[at] >= question.floor]
        most = UNSURE_HITS if question.floor is None else MAX_HITS
        return MeaningFound(self._vectors.hits(owner, best, query, most), num_left)

    def _embed_missing(self, owner: str, key: str) -> int:
        """Give messages their vectors, newest first, for EMBEDDING_S. Returns how many are left without."""
        until = time.monotonic() + EMBEDDING_S
        while batch := self._vectors.missing(owner, key, BATCH):
            vectors = self._embedders.embed([text for _, text in batch], "document")
            self._vectors.add(key, [(message, vector.astype("<f4").tobytes()) for (message, _), vector in zip(batch, vectors, strict=True)])
            if time.monotonic() >= until:
                return len(self._vectors.missing(owner, key, LEFT_COUNTED))
        return 0
