"""The index jobs that are running: one for each collection, which looks again for what was added before it ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from ..background import Job, JobProgress, Jobs
from ..settings import Secret
from ..storage.knowledge_records import Collection
from .indexing import Indexing, IndexProgress

KIND = "knowledge"


class IndexJobs:
    """Safe to use from many threads. Callers have checked whose the collections are."""

    def __init__(self, jobs: Jobs, new_indexing: Callable[[str, str], Indexing]) -> None:
        """`new_indexing`: for an owner and a collection's id."""
        self._jobs, self._new_indexing = jobs, new_indexing
        self._lock = threading.Lock()
        self._running: dict[str, tuple[Job, Indexing]] = {}         # by collection

    def start(self, owner: str, collection: Collection, *, with_folders: bool = False, token: tuple[int, Secret] | None = None) -> Job:
        """The job of a collection: a new one, or the running one. `token`: of a document that is a data set. Raises EngineBusy."""
        with self._lock:
            running = self._running.get(collection.id)
            is_new = running is None or running[1].is_stopping
            indexing = self._new_indexing(owner, collection.id) if running is None or is_new else running[1]
            indexing.folders_wanted |= with_folders
            if token:
                indexing.tokens[token[0]] = token[1]
            if running is not None and not is_new:
                return running[0]
            job = self._jobs.start(KIND, collection.name, lambda progress: self._work(indexing, running and running[1], progress), owner,
                                   _facts(collection.id), is_shared=False)
            self._running[collection.id] = job, indexing
            return job

    def require_room(self, owner: str, collection_id: str) -> None:
        """Before something is stored that a job will read. Raises EngineBusy if `start` would."""
        with self._lock:
            running = self._running.get(collection_id)
        if running is None or running[1].is_stopping:
            self._jobs.require_room(owner)

    def is_running(self, collection_id: str) -> bool:
        return collection_id in self._running

    def running(self, collection_id: str) -> tuple[Job, ...]:
        known = self._running.get(collection_id)
        return (self._jobs.get(known[0].id),) if known else ()

    def progress(self, collection_id: str) -> IndexProgress | None:
        known = self._running.get(collection_id)
        return known[1].progress_now if known else None

    def cancel(self, collection_id: str) -> None:
        if known := self._running.get(collection_id):
            self._jobs.cancel(known[0].id)

    def forget(self, collection_id: str) -> None:
        """Cancel the job of a collection that is about to be deleted, and delete what is stored of its jobs: they have its name."""
        self._jobs.forget_all(KIND, _facts(collection_id))

    def _work(self, indexing: Indexing, before: Indexing | None, progress: JobProgress) -> str:
        """`before`: of a job that was cancelled and may still read: two never read the same files."""
        def is_over() -> bool:
            with self._lock:        # nothing is added between the last look and the end
                if indexing.has_more():
                    return False
                self._drop(indexing)
                return True

        try:
            if before is not None:
                before.has_ended.wait()
            return indexing.run(progress, is_over)
        finally:
            indexing.has_ended.set()
            with self._lock:
                self._drop(indexing)

    def _drop(self, indexing: Indexing) -> None:
        known = self._running.get(indexing.collection_id)
        if known is not None and known[1] is indexing:
            del self._running[indexing.collection_id]


def _facts(collection_id: str) -> str:
    return json.dumps({"collection": collection_id})
