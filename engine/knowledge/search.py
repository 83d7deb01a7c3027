"""Finds the pieces of collections that may answer a question: by their words, by their meaning, or by both.

Both lists are joined by reciprocal rank fusion: a piece scores the sum of 1 / (60 + its rank) over the lists it is in (Cormack, Clarke
and Büttcher, SIGIR 2009); likely ones come first then. A cross-encoder can sort the best again. Where vectors cannot be used the words
alone are, and the result says why.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from ..embedding import Embedders, Question
from ..errors import EngineError, InvalidRequest, StorageError
from ..storage import search_text
from ..storage.database import Database
from ..storage.knowledge_records import Hit, SearchMode, SearchNote, SearchResult
from ..storage.knowledge_search import KnowledgeSearch, Searched
from .vectors import Vectors

log = logging.getLogger(__name__)
FUSION = 60             # Cormack et al. 2009
CANDIDATES = 50         # pieces of each list
RERANKED = 20           # of the joined list
MODES: tuple[SearchMode, ...] = ("hybrid", "text", "vectors")
MAX_QUERY_CHARS, MAX_HITS, MAX_COLLECTIONS = 4000, 100, 50
LIKELY_SHARE = 1 / 3    # of a question's words
LIKELY_RERANKED = 0.5   # cross-encoders give a probability


class Searcher:
    """Safe to use from many threads."""

    def __init__(self, database: Database, embedders: Embedders) -> None:
        self._search, self._embedders = KnowledgeSearch(database), embedders
        self._vectors = Vectors(self._search)

    def search(self, owner: str, collections: Sequence[str], query: str, limit: int = 8, mode: SearchMode = "hybrid",
               reranker: str = "") -> SearchResult:
        """The best pieces of these collections. `reranker`: a cross-encoder; "" is the operator's, if there is one.

        Raises InvalidRequest, CollectionNotFound and StorageError.
        """
        _require_valid(query, len(collections), limit, mode)
        within = self._search.collections(owner, collections)
        with suppress(StorageError):        # a full disk must not fail a search
            self._search.note_search(within)
        question, notes, problem = (None, [], "") if mode == "text" else self._question(within, query)
        usable = [each for each in within if question is not None and each.embedder == question.key and each.num_vectors]
        mode = "text" if not usable else mode
        words = search_text.question_words(query)
        by_words = self._search.by_words(within, words, CANDIDATES) if mode != "vectors" else ()
        by_meaning = self._vectors.nearest(usable, question.key, question.vector, CANDIDATES) if question and usable else []
        hits = self._hits(owner, by_words, by_meaning, max(limit, RERANKED))
        if question is not None and usable and (rest := [hit.piece.id for hit in hits if hit.vector_score is None]):
            similar = self._vectors.similarities(usable, question.key, question.vector, rest)
            hits = [replace(hit, vector_score=hit.vector_score if hit.vector_rank else similar.get(hit.piece.id)) for hit in hits]
        floor = question.floor if question and usable else None
        hits = [replace(hit, is_likely=_is_likely(hit, words, floor)) for hit in hits]
        if mode == "hybrid":
            hits.sort(key=lambda hit: not hit.is_likely)
        hits, failed = self._reranked(query, hits, reranker)
        return SearchResult(tuple(hits[:limit]), mode, (*notes, *(("reranker_failed",) if failed else ())), problem or failed)

    def _question(self, within: Sequence[Searched], query: str) -> tuple[Question | None, list[SearchNote], str]:
        """The question as a vector, or why there is none."""
        if not self._embedders.name:
            return None, ["no_embedder"], ""
        info = self._embedders.info()
        if not info.is_stored:
            return None, ["not_downloaded"], ""
        if not info.is_usable:
            return None, ["embedder_failed"], info.problem
        notes: list[SearchNote] = []
        if any(each.embedder not in ("", info.key) for each in within):
            notes.append("other_embedder")
        if any(each.embedder in ("", info.key) and each.num_vectors < each.num_pieces for each in within):
            notes.append("few_vectors")
        if not any(each.embedder == info.key and each.num_vectors for each in within):
            return None, notes, ""      # nothing to compare with: the model need not be loaded
        try:
            return self._embedders.question(query), notes, ""
        except EngineError as error:        # no memory, for example: words still find something
            log.warning("The embedding model could not be used: %s", error)
            return None, ["embedder_failed"], str(error)

    def _hits(self, owner: str, by_words: Sequence[int], by_meaning: Sequence[tuple[int, float]], limit: int) -> list[Hit]:
        text_ranks = {piece: rank for rank, piece in enumerate(by_words, 1)}
        vector_ranks = {piece: rank for rank, (piece, _) in enumerate(by_meaning, 1)}
        similar = dict(by_meaning)
        scores = {piece: sum(1 / (FUSION + ranks[piece]) for ranks in (text_ranks, vector_ranks) if piece in ranks)
                  for piece in (*text_ranks, *vector_ranks)}
        best = sorted(scores, key=lambda piece: (-scores[piece], piece))[:limit]
        found = self._search.pieces(owner, best)
        return [Hit(found[piece].piece, found[piece].document, found[piece].collection, scores[piece], text_ranks.get(piece, 0),
                    vector_ranks.get(piece, 0), similar.get(piece)) for piece in best if piece in found]

    def _reranked(self, query: str, hits: list[Hit], reranker: str) -> tuple[list[Hit], str]:
        """The hits sorted by a cross-encoder, if one is asked for, and why that failed."""
        name = reranker or self._embedders.reranker
        if not name or not hits:
            return hits, ""
        first, rest = hits[:RERANKED], hits[RERANKED:]
        try:
            scores = self._embedders.rerank(query, [hit.piece.text for hit in first], name)
        except EngineError as error:
            log.warning("The cross-encoder could not be used: %s", error)
            return hits, str(error)
        scored = [replace(hit, rerank_score=score, score=score, is_likely=score >= LIKELY_RERANKED)
                  for hit, score in zip(first, scores, strict=True)]
        return sorted(scored, key=lambda hit: -hit.score) + rest, ""


def _is_likely(hit: Hit, words: list[str], floor: float | None) -> bool:
    """Without a floor every piece with a word of the question may answer it; with one, its similarity or a third of the words."""
    if floor is None and hit.text_rank:
        return True
    if floor is not None and hit.vector_score is not None and hit.vector_score >= floor:
        return True
    return search_text.share_of_words(f"{hit.piece.place.heading} {hit.piece.text}", words) >= LIKELY_SHARE


def _require_valid(query: str, num_collections: int, limit: int, mode: str) -> None:
    if not query.strip() or len(query) > MAX_QUERY_CHARS:
        raise InvalidRequest("query", query[:100], f"some text of at most {MAX_QUERY_CHARS:,} characters")
    if not 1 <= limit <= MAX_HITS:
        raise InvalidRequest("limit", limit, f"between 1 and {MAX_HITS}")
    if mode not in MODES:
        raise InvalidRequest("mode", mode, "one of " + ", ".join(MODES))
    if num_collections > MAX_COLLECTIONS:
        raise InvalidRequest("number of collections", num_collections, f"at most {MAX_COLLECTIONS}")
