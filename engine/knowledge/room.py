"""How much the collections of one owner may hold, and those of everybody on a public page together."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import EngineError
from ..limits import MB, Limits
from ..storage.knowledge import KnowledgeStore
from ..storage.knowledge_records import Document

MAX_ALL_BYTES_PUBLIC = 1 << 30      # of the texts of all visitors: one who returns without a cookie counts as a new one


class CollectionsFull(EngineError):
    def __init__(self, limit: str) -> None:
        super().__init__(f"Your collections may hold at most {limit} here. Delete what you do not need.")


class AllCollectionsFull(CollectionsFull):
    def __init__(self) -> None:
        EngineError.__init__(self, "The files of all visitors take the space that this page has for them, so nothing can be added now. "
                                   "Delete what you do not need, or ask the operator.")


def require_shared_room(used_bytes: int) -> None:
    """Raises AllCollectionsFull. Nothing of others is deleted for someone new."""
    if used_bytes > MAX_ALL_BYTES_PUBLIC:
        raise AllCollectionsFull


def require_documents(store: KnowledgeStore, limits: Limits, owner: str, num_added: int) -> None:
    """Raises CollectionsFull."""
    if limits.knowledge_documents and store.use(owner).documents + num_added > limits.knowledge_documents:
        raise CollectionsFull(f"{limits.knowledge_documents:,} documents")


def require_texts(store: KnowledgeStore, limits: Limits, owner: str, replaced: Sequence[Document], sizes: Sequence[int],
                  num_pieces: int) -> None:
    """Refuse documents of these sizes in bytes, which take the place of `replaced`. Raises CollectionsFull."""
    if not (limits.knowledge_documents or limits.knowledge_mb or limits.knowledge_pieces):
        return
    use = store.use(owner)
    if limits.knowledge_documents and use.documents - len(replaced) + len(sizes) > limits.knowledge_documents:
        raise CollectionsFull(f"{limits.knowledge_documents:,} documents")
    if limits.knowledge_mb and use.size_bytes - sum(each.size_bytes for each in replaced) + sum(sizes) > limits.knowledge_mb * MB:
        raise CollectionsFull(f"{limits.knowledge_mb:,} MB of text")
    if limits.knowledge_pieces and use.pieces - sum(each.num_pieces for each in replaced) + num_pieces > limits.knowledge_pieces:
        raise CollectionsFull(f"{limits.knowledge_pieces:,} pieces")
