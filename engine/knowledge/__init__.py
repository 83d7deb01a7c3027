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
from .indexing import IndexProgress
from .knowledge import Knowledge
from .room import CollectionsFull
from .search import Searcher

__all__ = [
    "Collection", "CollectionNotFound", "CollectionsFull", "Document", "DocumentNotFound", "DocumentState", "Hit", "IndexProgress",
    "Knowledge", "KnowledgeUse", "Piece", "Place", "SearchMode", "SearchNote", "SearchResult", "Searcher",
]
