"""Collections of files that questions are answered from: what people and programs do with them.

Every method names the owner; a collection or document of someone else does not exist for it. Documents are read and embedded by one job
for each collection at a time, which a person can cancel, and which continues where it was when it is started again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from ..background import Job, JobProgress, Jobs, JobStopped
from ..documents.files import cleaned
from ..embedding import EmbedderInfo, Embedders
from ..errors import DownloadStopped, EngineBusy, EngineError, InvalidRequest, NotPermitted
from ..hub.hub import Hub
from ..hub.progress import DownloadProgress
from ..library.permissions import Permissions, Visitor
from ..limits import Limits
from ..plain_text import clean_name
from ..runtime.engine import Engine
from ..settings import Secret
from ..storage.knowledge import KnowledgeStore, checked_name
from ..storage.knowledge_records import Collection, CollectionNotFound, Document, KnowledgeUse, SearchMode, SearchResult
from . import room
from .folders import checked_folder
from .index_jobs import IndexJobs
from .indexing import Indexing, IndexProgress
from .search import Searcher
from .sources import DocumentSources, require_size

MAX_COLLECTIONS = 200       # of one owner, without temporary ones
MAX_FILES = 1_000           # of one call
UNUSED_S = 30 * 86_400.0


class Knowledge:
    """Safe to use from many threads. All methods raise StorageError, and those that start a job EngineBusy.

    Those about one collection or document raise CollectionNotFound or DocumentNotFound.
    """

    def __init__(self, engine: Engine, jobs: Jobs | None = None, embedders: Embedders | None = None, hub: Hub | None = None) -> None:
        jobs, hub = jobs or Jobs(engine.database), hub or Hub(engine.settings)
        self._engine, self._jobs = engine, jobs
        self.embedders = embedders or engine.embedders
        self._store = KnowledgeStore(engine.database)
        self._sources = DocumentSources(engine.settings, engine.database, hub)
        self._searcher = Searcher(engine.database, self.embedders)
        self._index = IndexJobs(jobs, self._new_indexing)

    @property
    def max_file_bytes(self) -> int:
        return self._sources.max_bytes

    # --- collections ---

    def create(self, owner: str, name: str, *, is_guest: bool = False) -> Collection:
        """A number is added to a name that the owner has already. Raises InvalidRequest for an empty name or too many collections.

        `is_guest`: the owner has no account. A full public page deletes such collections after UNUSED_S without a change or a search.
        """
        if len(known := self._store.list(owner)) >= MAX_COLLECTIONS:
            raise InvalidRequest("number of collections", len(known) + 1, f"at most {MAX_COLLECTIONS}: delete one first")
        return self._store.create(owner, _free_name(name, known), is_guest=is_guest)

    def list(self, owner: str) -> tuple[Collection, ...]:
        """By name, without temporary ones."""
        return self._store.list(owner)

    def get(self, owner: str, collection_id: str) -> Collection:
        return self._store.get(owner, collection_id)

    def rename(self, owner: str, collection_id: str, name: str) -> Collection:
        """As `create`."""
        others = [each for each in self._store.list(owner) if each.id != collection_id]
        return self._store.rename(owner, collection_id, _free_name(name, others))

    def delete(self, owner: str, collection_id: str) -> None:
        """Stop its job, and delete its documents, pieces, words and vectors: nothing of their text is left in the database's file."""
        self._store.get(owner, collection_id)
        self._delete_all([(owner, collection_id)])

    def use(self, owner: str) -> KnowledgeUse:
        return self._store.use(owner)

    # --- documents ---

    def add_files(self, owner: str, collection_id: str, files: Sequence[tuple[str, bytes | Path]]) -> Job:
        """Add files, each with its name, as bytes or where they are, and return the job that reads them.

        A file replaces one of the same name, if its bytes differ. Raises AttachmentRefused for one that is too large, InvalidRequest,
        EngineBusy, CollectionsFull and DiskFull, before anything is read.
        """
        collection = self._require_addable(owner, collection_id)
        if not files or len(files) > MAX_FILES:
            raise InvalidRequest("number of files", len(files), f"between 1 and {MAX_FILES:,}")
        named = [(clean_name(name), content) for name, content in files]
        sizes = [len(content) if isinstance(content, bytes) else content.stat().st_size for _, content in named]
        for (name, _), size in zip(named, sizes, strict=True):
            require_size(name, size, self.max_file_bytes)
        self._require_documents(owner, collection_id, [name for name, _ in named])
        self._sources.expire(self._index.is_running)
        self._sources.require_room(owner, sum(sizes))
        known = {each.name: each for each in self._store.documents(owner, collection_id)}
        for name, given in named:
            content = given if isinstance(given, bytes) else given.read_bytes()
            digest, document = hashlib.sha256(content).hexdigest(), known.get(name)
            if document is None or (document.digest, document.state) != (digest, "ready"):
                replaced = self._sources.rows.get(document.id) if document else None
                self._store.add_document(owner, collection_id, name, digest, ("upload", self._sources.keep_upload(owner, content)))
                if replaced:
                    self._sources.forget(replaced)
        return self._index.start(owner, collection)

    def add_folder(self, visitor: Visitor, collection_id: str, folder: str) -> Job:
        """Add the files of a folder on this machine and those below it; `reindex` looks for changes. Only the operator may do that.

        Raises NotPermitted, on a public page for everyone, and InvalidRequest if there is no such folder.
        """
        if self._engine.settings.is_public:
            raise NotPermitted("Folders of the server cannot be read on a public page. Upload files.")
        Permissions(self._engine).require_operator(visitor, "read folders of the server")
        collection, path = self._require_addable(visitor.owner, collection_id), checked_folder(folder)
        self._sources.rows.add_folder(collection_id, str(path))
        return self._index.start(visitor.owner, collection, with_folders=True)

    def add_dataset(self, owner: str, collection_id: str, name: str, column: str = "", part: str = "",
                    token: Secret | None = None) -> Job:
        """Add rows of a data set of the hub. `name`: owner/name. `column`: "" for all that hold texts. `part`: "" for the first.

        Asks the hub what it is. Raises what Hub.describe_dataset raises, InvalidRequest, EngineBusy and CollectionsFull.
        """
        collection = self._require_addable(owner, collection_id)
        rows, digest = self._sources.describe(name, part, (column,) if column else (), token)
        self._require_documents(owner, collection_id, [rows.name])
        document = self._store.add_document(owner, collection_id, rows.name, digest, ("rows", rows.location))
        return self._index.start(owner, collection, token=(document.id, token) if token else None)

    def add_temporary(self, owner: str, chat: str, texts: Sequence[tuple[str, str]]) -> Collection:
        """A collection of texts, each with its name, that belongs to a chat and is deleted with it. They can be found by words at once.

        Raises InvalidRequest and CollectionsFull.
        """
        if not chat or not texts:
            raise InvalidRequest("texts of a chat", len(texts), "at least one, and the id of a chat")
        self._require_shared_room()
        self._delete_all(self._sources.rows.orphans())
        named = [(clean_name(name), cleaned(text)) for name, text in texts]
        collection = self._store.create(owner, named[0][0], chat)
        try:
            self._require_documents(owner, collection.id, [name for name, _ in named])
            indexing = self._new_indexing(owner, collection.id)
            for name, text in named:
                document = self._store.add_document(owner, collection.id, name, hashlib.sha256(text.encode()).hexdigest())
                indexing.write_text(document, text)
        except EngineError:
            self._store.delete(owner, collection.id)
            raise
        if self.embedders.info().is_usable:
            with suppress(EngineBusy):      # too many jobs: words find it all the same
                self._index.start(owner, collection)
        return self._store.get(owner, collection.id)

    def documents(self, owner: str, collection_id: str) -> tuple[Document, ...]:
        return self._store.documents(owner, collection_id)

    def document_text(self, owner: str, document_id: int) -> tuple[Document, str]:
        """A document and the text that the places of its pieces count in."""
        return self._store.document(owner, document_id), self._store.document_text(owner, document_id)

    def delete_document(self, owner: str, document_id: int) -> None:
        """As `delete`. A file of a folder is added again when its folder is looked through."""
        self._store.document(owner, document_id)
        source = self._sources.rows.get(document_id)
        self._store.delete_documents(owner, document_id)
        if source:
            self._sources.forget(source)

    # --- finding ---

    def search(self, owner: str, collection_ids: Sequence[str], query: str, limit: int = 8, mode: SearchMode = "hybrid",
               reranker: str = "") -> SearchResult:
        """As Searcher.search."""
        return self._searcher.search(owner, collection_ids, query, limit, mode, reranker)

    def embedder(self) -> EmbedderInfo:
        """The embedding model in use."""
        return self.embedders.info()

    def needs_index(self, owner: str, collection_id: str) -> Literal["", "documents", "vectors"]:
        """What `reindex` has to do: read documents that wait, or give pieces vectors of the embedder in use. Folders are not read."""
        if self.jobs(owner, collection_id):
            return ""
        info = self.embedders.info()
        if any(each.state in ("waiting", "indexing") for each in self._store.documents(owner, collection_id)):
            return "documents"
        return "vectors" if info.is_usable and self._store.count_without_vectors(owner, collection_id, info.key) else ""

    def download_embedder(self, owner: str, token: Secret | None = None) -> Job:
        """Download the embedding model in use, as a job. Callers have checked who may do that."""
        def work(progress: JobProgress) -> str:
            def on_progress(now: DownloadProgress) -> None:
                progress.report(now.done_bytes, now.total_bytes, "bytes", now.file)

            try:
                return self.embedders.download(on_progress, progress.stop, token=token).name
            except DownloadStopped:
                raise JobStopped from None

        return self._jobs.start("embedder", self.embedders.name, work, owner)

    # --- jobs ---

    def reindex(self, owner: str, collection_id: str) -> Job:
        """Look through the folders, read what waits, and compute missing vectors: nothing is done again that has not changed.

        Files of folders and data sets that could not be read are tried again. On a public page no folder is read.
        """
        collection = self._store.get(owner, collection_id)
        self._index.require_room(owner, collection_id)
        again = {source.document for source in self._sources.rows.of_collection(collection_id) if source.kind == "rows"}
        for document in self._store.documents(owner, collection_id):
            if document.state == "failed" and document.id in again:
                self._store.set_state(owner, document.id, "waiting")
        return self._index.start(owner, collection, with_folders=not self._engine.settings.is_public)

    def jobs(self, owner: str, collection_id: str) -> tuple[Job, ...]:
        """The job of a collection, if one is running."""
        self._store.get(owner, collection_id)
        return self._index.running(collection_id)

    def progress(self, owner: str, collection_id: str) -> IndexProgress | None:
        """What the running job has done so far; None if there is none."""
        self._store.get(owner, collection_id)
        return self._index.progress(collection_id)

    def follow(self, owner: str, collection_id: str) -> Generator[Job, None, None]:
        """Yield the running job now, after every change, and when it has ended; nothing if none is running."""
        for job in self.jobs(owner, collection_id):
            yield from self._jobs.follow(job.id)

    def cancel(self, owner: str, collection_id: str) -> None:
        """Stop the job at its next step. What it has read is kept."""
        self._store.get(owner, collection_id)
        self._index.cancel(collection_id)

    def sweep(self) -> None:
        """At the start: delete temporary collections whose chats are gone, and files that are not needed. Raises StorageError."""
        self._delete_all(self._sources.rows.orphans())
        self._sources.sweep()

    def _new_indexing(self, owner: str, collection_id: str) -> Indexing:
        return Indexing(self._store, self._sources, self.embedders, owner, collection_id, lambda: self._limits(owner))

    def _limits(self, owner: str) -> Limits:
        return self._engine.visitors.limits if owner else Limits()

    def _require_addable(self, owner: str, collection_id: str) -> Collection:
        """The collection, if something can be added to it now. Raises EngineBusy and CollectionsFull."""
        collection = self._store.get(owner, collection_id)
        self._require_shared_room()
        self._index.require_room(owner, collection_id)
        return collection

    def _require_shared_room(self) -> None:
        if self._engine.settings.is_public and self._sources.rows.total_bytes() > room.MAX_ALL_BYTES_PUBLIC:
            self._delete_all(self._sources.rows.unused(time.time() - UNUSED_S))
            room.require_shared_room(self._sources.rows.total_bytes())

    def _require_documents(self, owner: str, collection_id: str, names: Sequence[str]) -> None:
        known = {each.name for each in self._store.documents(owner, collection_id)}
        room.require_documents(self._store, self._limits(owner), owner, len({*names} - known))

    def _delete_all(self, gone: Sequence[tuple[str, str]]) -> None:
        """`gone`: owners and ids."""
        ids: dict[str, list[str]] = {}
        for owner, collection_id in gone:
            self._index.forget(collection_id)
            self._sources.delete_uploads(self._sources.uploads(collection_id))
            ids.setdefault(owner, []).append(collection_id)
        for owner, each in ids.items():
            with suppress(CollectionNotFound):      # deleted meanwhile
                self._store.delete(owner, *each)


def _free_name(wanted: str, others: Sequence[Collection]) -> str:
    name, taken = checked_name(wanted), {each.name.casefold() for each in others}
    number = 2
    found = name
    while found.casefold() in taken:
        found, number = f"{name} {number}", number + 1
    return found
