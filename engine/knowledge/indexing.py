"""The work of an index job: reads what waits, cuts it into pieces and gives them vectors. Each step is stored, so a new job goes on there.

A file that cannot be read is a problem of its document and not of the job.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..background import JobProgress, JobStopped
from ..documents.files import FileText
from ..errors import AttachmentRefused, EngineError
from ..limits import Limits
from ..settings import Secret
from ..storage.knowledge import KnowledgeStore
from ..storage.knowledge_records import CollectionNotFound, Document, DocumentNotFound
from ..storage.knowledge_sources import Source
from .folder_changes import FolderChanges
from .pieces import cut, estimated_tokens, marks_of
from .reading import Part
from .room import CollectionsFull, require_texts
from .sources import GONE, DocumentSources
from .vectors import fill_vectors

if TYPE_CHECKING:
    from ..embedding import Embedders

FRAME_TOKENS = 16           # of the window: special tokens and the prompt
ROWS = re.compile(r" \([\d,]+–[\d,]+\)")
Count = Callable[[Sequence[str]], Sequence[int]]


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """What an index job has done, and has to do as far as it knows. `bytes`: of files. `left_s`: None while it cannot be told."""

    documents: int = 0
    num_documents: int = 0
    bytes: int = 0
    num_bytes: int = 0
    pieces: int = 0
    num_pieces: int = 0
    name: str = ""
    left_s: float | None = None


class Indexing:
    """One job for one collection. `progress_now` may be read by any thread. `limits`: of the collection's owner."""

    def __init__(self, store: KnowledgeStore, sources: DocumentSources, embedders: Embedders, owner: str, collection_id: str,
                 limits: Callable[[], Limits]) -> None:
        self._store, self._sources, self._embedders = store, sources, embedders
        self._owner, self._id, self._limits = owner, collection_id, limits
        self._stop: threading.Event | None = None       # of the job that runs this
        self.has_ended = threading.Event()
        self.progress_now = IndexProgress()
        self.folders_wanted = False
        self.tokens: dict[int, Secret] = {}     # of data sets, by document: never stored
        self._began = 0.0
        self._has_replaced = False
        self._problem: EngineError | None = None        # of folders: what can be read of them is indexed

    def run(self, job: JobProgress, is_over: Callable[[], bool]) -> str:
        """Until nothing waits and `is_over` says so. Returns the numbers of the collection in JSON. Raises JobStopped and EngineError."""
        self._stop = job.stop
        try:
            self._index(job, is_over)
            documents = self._store.documents(self._owner, self._id)
        except (CancelledError, CollectionNotFound):
            raise JobStopped from None
        finally:
            if self._has_replaced:      # the index keeps words of earlier versions until then
                self._store.compact()
        if self._problem:
            raise self._problem
        return json.dumps({"documents": len(documents), "pieces": sum(each.num_pieces for each in documents),
                           "problems": sum(each.state == "failed" for each in documents)})

    def _index(self, job: JobProgress, is_over: Callable[[], bool]) -> None:
        count, window, key = self._tokenizer()
        while True:
            if self.folders_wanted:
                self.folders_wanted = False
                self._look_into_folders(job)
            self._read_waiting(job, count, window)
            if key:
                self._embed(job, key, count, window)
            if is_over():
                return

    @property
    def collection_id(self) -> str:
        return self._id

    @property
    def is_stopping(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    def has_more(self) -> bool:
        """Whether something was added since the last look."""
        return self.folders_wanted or any(each.state == "waiting" for each in self._store.documents(self._owner, self._id))

    def write_text(self, document: Document, text: str) -> None:
        """Make the pieces of a text that was read elsewhere. Raises CollectionsFull."""
        count, window, _ = self._tokenizer()
        self._write(document, [Part(FileText(text))], count, window)

    def _look_into_folders(self, job: JobProgress) -> None:
        def report(name: str) -> None:
            self._report(job, replace(self.progress_now, name=name))

        self._problem = FolderChanges(self._store, self._sources, self._owner, self._id, self._limits().knowledge_documents, report).look()

    # --- reading ---

    def _read_waiting(self, job: JobProgress, count: Count, window: int) -> None:
        while waiting := [each for each in self._store.documents(self._owner, self._id) if each.state == "waiting"]:
            known = self._sources.sizes(self._id)
            sizes = {each.id: known.get(each.id, 0) for each in waiting}
            self._began = time.monotonic()
            now = replace(self.progress_now, pieces=0, num_pieces=0, num_documents=self.progress_now.documents + len(waiting),
                          num_bytes=self.progress_now.bytes + sum(sizes.values()))
            first = now
            for document in waiting:
                self._report(job, self._timed(replace(now, name=document.name), now.bytes - first.bytes, sum(sizes.values())))
                with suppress(DocumentNotFound):        # deleted meanwhile
                    self._read(job, document, count, window)
                now = replace(now, documents=now.documents + 1, bytes=now.bytes + sizes[document.id])
            self._report(job, now)

    def _read(self, job: JobProgress, document: Document, count: Count, window: int) -> None:
        def on_bytes(received: int) -> None:
            self._report(job, replace(self.progress_now, bytes=received, num_bytes=max(received, self.progress_now.num_bytes)))

        if self._store.document(self._owner, document.id).state != "waiting":       # a part of a table that was read just now
            return
        source = self._sources.rows.get(document.id)
        try:
            if source is None:
                raise AttachmentRefused(document.name, "its file is gone", GONE)
            parts = self._sources.read(source, document.name, job.stop, self.tokens.get(document.id), on_bytes)
            if self._is_replaced(document, source):
                return
            self._write(document, parts, count, window)
        except (DocumentNotFound, CollectionNotFound):
            raise
        except EngineError as error:
            if job.stop.is_set():       # the download of a data set was stopped: it waits for the next job
                raise JobStopped from None
            if self._is_replaced(document, source):
                return
            self._set_failed(document, error)
        if source:
            self._sources.forget(source)

    def _is_replaced(self, document: Document, source: Source | None) -> bool:
        """Whether another version was added while this one was read: it waits. Raises DocumentNotFound."""
        now = self._store.document(self._owner, document.id)
        return (now.digest, now.state) != (document.digest, "waiting") or self._sources.rows.get(document.id) != source

    def _write(self, document: Document, parts: Sequence[Part], count: Count, window: int) -> None:
        """The first part is the document itself and is written last, so that a document that was read in part waits to be read again.

        Raises CollectionsFull before anything is changed.
        """
        before = self._other_parts(document)
        cuts = [cut(part.file.text, part.file.marks, count, window) for part in parts]
        sizes = [len(part.file.text.encode("utf-8", "replace")) for part in parts]
        require_texts(self._store, self._limits(), self._owner, [document, *before], sizes, sum(map(len, cuts)))
        others = [self._store.add_document(self._owner, self._id, f"{document.name} ({part.rows})", document.digest) for part in parts[1:]]
        kept = {other.id for other in others}
        self._store.delete_documents(self._owner, *(each.id for each in before if each.id not in kept))
        for target, part, places in [*zip(others, parts[1:], cuts[1:], strict=True), (document, parts[0], cuts[0])]:
            self._has_replaced |= target.num_pieces > 0
            self._store.write_pieces(self._owner, target.id, part.file.text, places)

    def _other_parts(self, document: Document) -> list[Document]:
        """The parts of a longer table that the document was before."""
        if not document.num_pieces:
            return []
        rests = [(each, each.name.removeprefix(document.name)) for each in self._store.documents(self._owner, self._id)]
        return [each for each, rest in rests if each.name != rest and ROWS.fullmatch(rest)]

    def _set_failed(self, document: Document, error: EngineError) -> None:
        """Nothing of an earlier version is kept, which would be found as if it were in the file, unless only room for the new one lacks."""
        why = getattr(error, "why", "")
        problem = f"{why[:1].upper()}{why[1:]}. {getattr(error, 'remedy', '')}" if why else str(error)
        if isinstance(error, CollectionsFull) and document.num_pieces:
            problem += " The version before is kept."
        else:
            self._has_replaced |= document.num_pieces > 0
            self._store.delete_documents(self._owner, *(each.id for each in self._other_parts(document)))
            self._store.write_pieces(self._owner, document.id, "", ())
        self._store.set_state(self._owner, document.id, "failed", problem)

    # --- vectors ---

    def _tokenizer(self) -> tuple[Count, int, str]:
        """How tokens are counted, how many a piece may have, and the name of the vectors, "" where there is no embedder now."""
        info = self._embedders.info()
        of_text = self._embedders.counter() if info.is_usable else lambda text: estimated_tokens([text])[0]

        def count(texts: Sequence[str]) -> list[int]:
            found = []
            for text in texts:
                if self.is_stopping:        # a long document is cut for minutes
                    raise JobStopped
                found.append(of_text(text))
            return found

        return (count, info.window_tokens - FRAME_TOKENS, info.key) if info.is_usable else (count, 10**9, "")

    def _embed(self, job: JobProgress, key: str, count: Count, window: int) -> None:
        collection = self._store.get(self._owner, self._id)
        if collection.embedder != key:
            self._fit_pieces(job, count, window)
        self._began, done = time.monotonic(), 0
        total = self._store.count_without_vectors(self._owner, self._id, key)
        self._report(job, replace(self.progress_now, pieces=0, num_pieces=total, name=""))
        for added in fill_vectors(self._store, self._embedders, self._owner, self._id, job.stop):
            done += added
            now = replace(self.progress_now, pieces=done, num_pieces=max(total, done))
            self._report(job, self._timed(now, done, now.num_pieces))

    def _fit_pieces(self, job: JobProgress, count: Count, window: int) -> None:
        """Cut documents anew that have a piece too long for another embedder than before."""
        for document in self._store.documents(self._owner, self._id):
            if job.stop.is_set():
                raise JobStopped
            text = self._store.document_text(self._owner, document.id)
            places = self._store.places(self._owner, document.id)
            if places and max(count([text[place.begin:place.end] for place in places])) > window:
                self._store.write_pieces(self._owner, document.id, text, cut(text, marks_of(places), count, window))
                self._has_replaced = True

    # --- progress ---

    def _timed(self, now: IndexProgress, done: int, total: int) -> IndexProgress:
        elapsed = time.monotonic() - self._began
        return replace(now, left_s=elapsed / done * (total - done) if done and elapsed > 1 else None)

    def _report(self, job: JobProgress, now: IndexProgress) -> None:
        self.progress_now = now
        if now.num_pieces:
            job.report(now.pieces, now.num_pieces, "pieces")
        else:       # without the document's name, which would stay in the database when the document is deleted
            job.report(now.documents, now.num_documents, "documents")
