"""Files as knowledge: collections of documents, cut into pieces that are found by their words and by their meaning."""

from __future__ import annotations

from ..storage.knowledge_records import Collection, CollectionNotFound, Document, DocumentNotFound, DocumentState, Hit, Piece, Place, SearchMode, SearchResult

__all__ = ["Collection", "CollectionNotFound", "Document", "DocumentNotFound", "DocumentState", "Hit", "Piece", "Place", "SearchMode", "SearchResult"]
