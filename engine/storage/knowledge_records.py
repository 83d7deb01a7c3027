"""Collections, their documents and the pieces that are found, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import EngineError

# In order: not read yet; being read and embedded; its pieces can be found; it cannot be read, see `problem`.
DocumentState = Literal["waiting", "indexing", "ready", "failed"]
SearchMode = Literal["hybrid", "text", "vectors"]


@dataclass(frozen=True, slots=True)
class Collection:
    """`embedder`: the model whose vectors its pieces have or get, as name@digest of its files; "" without vectors.

    `chat`: a temporary collection is deleted with this chat.
    Times in seconds since the epoch. `size_bytes`: of the texts of its documents, in UTF-8.
    """

    id: str
    name: str
    num_documents: int = 0
    num_pieces: int = 0
    size_bytes: int = 0
    embedder: str = ""
    created: float = 0.0
    updated: float = 0.0
    chat: str = ""

    @property
    def is_temporary(self) -> bool:
        return bool(self.chat)

    @property
    def embedder_name(self) -> str:
        """The name or folder of the model."""
        return self.embedder.rpartition("@")[0]


@dataclass(frozen=True, slots=True)
class Document:
    """`collection`: its id. `digest`: SHA-256 of the file's bytes, in hexadecimal. `problem`: why it could not be read."""

    id: int
    collection: str
    name: str
    digest: str
    size_bytes: int = 0
    state: DocumentState = "waiting"
    problem: str = ""
    num_pieces: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a piece is: `begin` and `end` count characters of the document's text. `page` and `row` from 1 on, 0 where there are none."""

    begin: int
    end: int
    page: int = 0
    heading: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """`document`: its id. `number`: its position there, from 0 on. `text`: the document's text from `place.begin` to `place.end`."""

    id: int
    document: int
    number: int
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Hit:
    """A piece that was found. `document` and `collection`: their names.

    `text_rank`, `vector_rank`: its position in each list from 1 on, 0 if it is not in it. `vector_score`: cosine similarity, -1 to 1.
    `rerank_score`: of the cross-encoder, None without one. `score`: what they are sorted by, in "hybrid" likely ones first.
    `is_likely`: it has enough of the question's words, or is more similar than unrelated texts are: one that is neither answers nothing.
    """

    piece: Piece
    document: str
    collection: str
    score: float
    text_rank: int = 0
    vector_rank: int = 0
    vector_score: float | None = None
    rerank_score: float | None = None
    is_likely: bool = True


# What a search could not use, in order: no embedding model is set; it is not downloaded; it cannot be used or has failed; the collection
# has vectors of another one; some pieces have none yet; the cross-encoder cannot be used.
SearchNote = Literal["no_embedder", "not_downloaded", "embedder_failed", "other_embedder", "few_vectors", "reranker_failed"]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """`mode`: what was used in the end. `problem`: the sentence of the error behind "embedder_failed" or "reranker_failed"."""

    hits: tuple[Hit, ...]
    mode: SearchMode = "hybrid"
    notes: tuple[SearchNote, ...] = ()
    problem: str = ""

    @property
    def likely(self) -> tuple[Hit, ...]:
        """The hits that may answer the question; none: nothing was found."""
        return tuple(hit for hit in self.hits if hit.is_likely)


@dataclass(frozen=True, slots=True)
class KnowledgeUse:
    """What all collections of an owner hold. `size_bytes`: of the texts of their documents, in UTF-8."""

    collections: int
    documents: int
    pieces: int
    size_bytes: int


class CollectionNotFound(EngineError):
    def __init__(self, collection: str) -> None:
        super().__init__("This collection no longer exists. Choose another from the list.")
        self.collection = collection


class DocumentNotFound(EngineError):
    def __init__(self, document: int) -> None:
        super().__init__("This document no longer exists. Choose another from its collection.")
        self.document = document
