"""Looks for new, changed and deleted files in the folders of a collection. What cannot be read now keeps its document as it was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import EngineError
from ..storage.knowledge import KnowledgeStore
from ..storage.knowledge_records import Document
from .folders import MAX_FILES, files_of, read_file
from .room import CollectionsFull
from .sources import DocumentSources


class FoldersNotRead(EngineError):
    """All else in the folders was read."""

    def __init__(self, unread: list[Path], cut: list[Path]) -> None:
        said = []
        if unread:
            more = f" and {len(unread) - 1:,} more" if len(unread) > 1 else ""
            said.append(f"{unread[0]}{more} cannot be read now, so the documents from there are kept as they were.")
        if cut:
            said.append(f"{cut[0]} has more than {MAX_FILES:,} files, and the others were not read: add folders that are in it one by one.")
        super().__init__(" ".join(said))


class FolderChanges:
    """One look. `report` is called with the name of each file, and may raise. `limit`: documents that the owner may have; 0: any number."""

    def __init__(self, store: KnowledgeStore, sources: DocumentSources, owner: str, collection: str, limit: int,
                 report: Callable[[str], None]) -> None:
        self._store, self._sources, self._owner, self._id = store, sources, owner, collection
        self._limit, self._report = limit, report
        self._known = {source.document: Path(source.location) for source in sources.rows.of_collection(collection) if source.kind == "file"}
        self._documents = {each.name: each for each in store.documents(owner, collection)}
        self._room = limit - store.use(owner).documents
        self._kept: set[int] = set()
        self._unread: list[Path] = []
        self._cut: list[Path] = []

    def look(self) -> EngineError | None:
        """Let files wait that are new or have changed, by their bytes, and delete documents whose files are gone.

        Returns what there is to tell the owner at the end. Raises StorageError.
        """
        folders = [Path(each) for each in self._sources.rows.folders(self._id)]
        try:
            for folder, label in zip(folders, _labels(folders), strict=True):
                self._look_into(folder, label)
        except CollectionsFull as error:        # what fits is indexed
            return error
        self._store.delete_documents(self._owner, *(self._known.keys() - self._kept))
        return FoldersNotRead(self._unread, self._cut) if self._unread or self._cut else None

    def _look_into(self, folder: Path, label: str) -> None:
        found = files_of(folder, label)
        if not found.files and self._below(folder):     # a drive that is not there, for example
            found.unread.append(folder)
        if found.is_cut:
            self._kept |= self._below(folder)
            self._cut.append(folder)
        for name, path in found.files:
            self._report(name)
            try:
                digest = hashlib.sha256(read_file(path, self._sources.max_bytes)).hexdigest()
            except OSError:
                found.unread.append(path)
            else:
                self._kept.add(self._document(name, path, digest).id)
        for path in found.unread:
            self._kept |= self._below(path)
        self._unread += found.unread

    def _document(self, name: str, path: Path, digest: str) -> Document:
        document = self._documents.get(name)
        if document is not None and (document.digest, document.state) == (digest, "ready"):
            return document
        self._room -= document is None
        if self._limit and self._room < 0:
            raise CollectionsFull(f"{self._limit:,} documents")
        return self._store.add_document(self._owner, self._id, name, digest, ("file", str(path)))

    def _below(self, path: Path) -> set[int]:
        return {document for document, location in self._known.items() if location.is_relative_to(path)}


def _labels(folders: Iterable[Path]) -> list[str]:
    """What the names of their documents begin with: the name of each folder, with a number if an earlier one has the same."""
    labels: list[str] = []
    for folder in folders:
        taken, label, number = {each.casefold() for each in labels}, folder.name, 2
        while label.casefold() in taken:
            label, number = f"{folder.name} {number}", number + 1
        labels.append(label)
    return labels
