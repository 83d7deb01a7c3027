"""Files as knowledge: collections of documents, cut into pieces that are found by their words and by their meaning."""

from __future__ import annotations

from ..storage.knowledge_records import Collection, Document, DocumentState, Hit, Piece, Place, SearchMode, SearchResult

__all__ = ["Collection", "Document", "DocumentState", "Hit", "Piece", "Place", "SearchMode", "SearchResult"]
