"""The work of an index job: reads what waits, cuts it into pieces and gives them vectors. Each step is stored, so a new job goes on there.

A file that cannot be read is a problem of its document and not of the job.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from ..background import JobProgress, JobStopped
from ..documents.files import FileText
from ..errors import AttachmentRefused, EngineError
from ..limits import MB, Limits
from ..settings import Secret
from ..storage.knowledge import KnowledgeStore
from ..storage.knowledge_records import CollectionNotFound, Document, DocumentNotFound
from ..storage.knowledge_sources import Source
from .folders import files_of, read_file
from .pieces import cut, estimated_tokens, marks_of
from .reading import Part
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
        self.progress_now = IndexProgress()
        self.folders_wanted = False
        self.tokens: dict[int, Secret] = {}     # of data sets, by document: never stored
        self._began = 0.0
        self._has_replaced = False
        self._is_full: CollectionsFull | None = None        # of folders: what fits is indexed

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
        if self._is_full:
            raise self._is_full
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
        parts = [Part(FileText(text))]
        self._require_room(parts)
        self._write(document, parts, count, window)

    # --- folders ---

    def _look_into_folders(self, job: JobProgress) -> None:
        """Let files wait that are new or have changed, by their bytes, and delete documents whose files are gone."""
        known = {source.document: source.location for source in self._sources.rows.of_collection(self._id) if source.kind == "file"}
        documents = {each.name: each for each in self._store.documents(self._owner, self._id)}
        room = self._limits().knowledge_documents - self._store.use(self._owner).documents
        seen: set[int] = set()
        folders = [Path(each) for each in self._sources.rows.folders(self._id)]
        for name, path in chain.from_iterable(map(files_of, folders)):
            self._report(job, replace(self.progress_now, name=name))
            try:
                digest = hashlib.sha256(read_file(path, self._sources.max_bytes)).hexdigest()
            except OSError:
                continue
            document = documents.get(name)
            if document is None or (document.digest, document.state) != (digest, "ready"):
                room -= document is None
                if room < 0 and self._limits().knowledge_documents:
                    self._is_full = CollectionsFull(f"{self._limits().knowledge_documents:,} documents")
                    return
                document = self._store.add_document(self._owner, self._id, name, digest, ("file", str(path)))
            seen.add(document.id)
        for gone in known.keys() - seen:
            self._store.delete_document(self._owner, gone)

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
                self._read(job, document, count, window)
                now = replace(now, documents=now.documents + 1, bytes=now.bytes + sizes[document.id])
            self._report(job, now)

    def _read(self, job: JobProgress, document: Document, count: Count, window: int) -> None:
        source: Source | None = None

        def on_bytes(received: int) -> None:
            self._report(job, replace(self.progress_now, bytes=received, num_bytes=max(received, self.progress_now.num_bytes)))

        try:
            if self._store.document(self._owner, document.id).state != "waiting":       # a part of a table that was read just now
                return
            source = self._sources.rows.get(document.id)
            if source is None:
                raise AttachmentRefused(document.name, "its file is gone", GONE)
            parts = self._sources.read(source, document.name, job.stop, self.tokens.get(document.id), on_bytes)
            if self._store.document(self._owner, document.id).digest != document.digest:
                return      # replaced meanwhile: it waits
            self._require_room(parts)
            self._write(document, parts, count, window)
        except DocumentNotFound:
            return      # deleted meanwhile
        except EngineError as error:
            if job.stop.is_set():       # the download of a data set was stopped: it waits for the next job
                raise JobStopped from None
            self._set_failed(document, error)
        if source:
            self._sources.forget(source)

    def _require_room(self, parts: Sequence[Part]) -> None:
        limits = self._limits()
        if not limits.knowledge_mb and not limits.knowledge_documents:
            return
        use = self._store.use(self._owner)
        size = use.size_bytes + sum(len(part.file.text.encode("utf-8", "replace")) for part in parts)
        if limits.knowledge_mb and size > limits.knowledge_mb * MB:
            raise CollectionsFull(f"{limits.knowledge_mb:,} MB of text")
        if limits.knowledge_documents and use.documents + len(parts) - 1 > limits.knowledge_documents:
            raise CollectionsFull(f"{limits.knowledge_documents:,} documents")

    def _write(self, document: Document, parts: Sequence[Part], count: Count, window: int) -> None:
        """The first part is the document itself and is written last, so that a document that was read in part waits to be read again."""
        others = [(self._store.add_document(self._owner, self._id, f"{document.name} ({part.rows})", document.digest), part)
                  for part in parts[1:]]
        if document.num_pieces:
            self._delete_other_parts(document, {other.id for other, _ in others})
        for target, part in [*others, (document, parts[0])]:
            places = cut(part.file.text, part.file.marks, count, window)
            most = self._limits().knowledge_pieces
            if most and self._store.use(self._owner).pieces - target.num_pieces + len(places) > most:
                raise CollectionsFull(f"{most:,} pieces")
            self._has_replaced |= target.num_pieces > 0
            self._store.write_pieces(self._owner, target.id, part.file.text, places)

    def _delete_other_parts(self, document: Document, kept: set[int]) -> None:
        """Delete the parts of a longer table that the document was before."""
        for old in self._store.documents(self._owner, self._id):
            rest = old.name.removeprefix(document.name)
            if old.name != rest and ROWS.fullmatch(rest) and old.id not in kept:
                self._store.delete_document(self._owner, old.id)

    def _set_failed(self, document: Document, error: EngineError) -> None:
        """Nothing of an earlier version is kept: it would be found as if it were in the file."""
        self._has_replaced |= document.num_pieces > 0
        self._store.write_pieces(self._owner, document.id, "", ())
        why = getattr(error, "why", "")
        problem = f"{why[:1].upper()}{why[1:]}. {getattr(error, 'remedy', '')}" if why else str(error)
        self._store.set_state(self._owner, document.id, "failed", problem)

    # --- vectors ---

    def _tokenizer(self) -> tuple[Count, int, str]:
        """How tokens are counted, how many a piece may have, and the name of the vectors, "" where there is no embedder now."""
        info = self._embedders.info()
        if not info.is_usable:
            return estimated_tokens, 10**9, ""
        of_text = self._embedders.counter()
        return lambda texts: [of_text(text) for text in texts], info.window_tokens - FRAME_TOKENS, info.key

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


class CollectionsFull(EngineError):
    def __init__(self, limit: str) -> None:
        super().__init__(f"Your collections may hold at most {limit} here. Delete what you do not need.")
