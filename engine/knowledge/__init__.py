"""Files as knowledge: collections of documents, cut into pieces that are found by their words and by their meaning."""

from ..storage.knowledge_records import (
    Collection,
    CollectionNotFound,
    Document,
    DocumentNotFound,
    DocumentState,
    Hit,
    KnowledgeUse,
    Piece,
    Place,
    SearchMode,
    SearchNote,
    SearchResult,
)
from .search import Searcher

__all__ = [
    "Collection", "CollectionNotFound", "Document", "DocumentNotFound", "DocumentState", "Hit", "KnowledgeUse", "Piece", "Place",
    "SearchMode", "SearchNote", "SearchResult", "Searcher",
]
