"""The full-text index of all collections, and how deleted words leave it."""

from __future__ import annotations

import threading

from .database import Database

MERGED_PAGES = 200      # in one step: a few hundredths of a second


class WordIndex:
    """Safe to use from many threads. May raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._merging, self._counting = threading.Lock(), threading.Lock()
        self._wanted = self._merged = 0

    def compact(self) -> None:
        """Merge the index, which drops words that were deleted before this call, and empty the write-ahead log.

        Takes seconds with 100,000 pieces. Others can write between its steps, and several callers that wait share the next merge.
        (FTS5 can delete words at once since SQLite 3.42, which is newer than that of many systems.)
        """
        with self._counting:
            self._wanted += 1
            mine = self._wanted
        with self._merging:
            if self._merged >= mine:
                return
            with self._counting:
                wanted = self._wanted
            self._merge()
            self._database.checkpoint()
            self._merged = wanted

    def _merge(self) -> None:
        pages, is_over = -MERGED_PAGES, False       # negative: of the whole index, from now on
        while not is_over:
            with self._database.transaction(is_writing=True) as connection:
                connection.execute("PRAGMA secure_delete = ON")
                before = connection.total_changes
                connection.execute("INSERT INTO knowledge_words (knowledge_words, rank) VALUES ('merge', ?)", (pages,))
                is_over = connection.total_changes - before < 2     # as the manual of FTS5 says
            pages = MERGED_PAGES
