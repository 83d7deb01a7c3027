"""The client library's own cache of models on this disk: its layout, its contents, and deletion.

    models--owner--name/blobs/HASH              contents; HASH.incomplete: a download to resume
    models--owner--name/snapshots/COMMIT/FILE   links to blobs, created when all of them are complete
    models--owner--name/refs/main               the commit that a branch pointed to

Nothing outside the cache's folder is written or deleted: repository names are checked, links are not followed.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from ..checkpoint.files import is_complete
from ..errors import EngineBusy, InvalidRequest, ModelNotFound

PREFIX = "models--"
COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class StoredModel:
    """One model on disk with all its revisions. `sha` and `path`: of the newest; "" and None if no revision is there yet."""

    repo: str
    sha: str
    size_bytes: int
    last_used: float        # seconds since 1970
    num_files: int
    is_complete: bool
    path: Path | None


def checked_repo(repo: str) -> str:
    """Return `repo`. Raises InvalidRequest unless it is owner/name by the hub's rules, which exclude "..", since it becomes a path."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError:
        raise InvalidRequest("model", repo, "owner/name as on the hub") from None
    if repo.count("/") != 1:
        raise InvalidRequest("model", repo, "owner/name as on the hub")
    return repo


def checked_revision(revision: str | None) -> str:
    """Return `revision`, or "main". Raises InvalidRequest unless git would accept it as a name."""
    name = revision or "main"
    if not re.fullmatch(r"\w[\w.\-/]{0,199}", name, re.ASCII) or ".." in name or "//" in name or name.endswith((".", "/", ".lock")):
        raise InvalidRequest("revision", name, "a branch, a tag or a commit")
    return name


@dataclass(frozen=True, slots=True)
class HubCache:
    root: Path

    def folder(self, repo: str) -> Path:
        return self.root / (PREFIX + checked_repo(repo).replace("/", "--"))

    def blob(self, repo: str, etag: str) -> Path:
        return self.folder(repo) / "blobs" / etag

    def snapshot(self, repo: str, sha: str) -> Path:
        return self.folder(repo) / "snapshots" / sha

    def complete(self, repo: str, revision: str | None, gguf: str = "") -> Path | None:
        """Return the snapshot of a revision, if it has its configuration and all its weights, or this GGUF file."""
        name = checked_revision(revision)
        ref = self.folder(repo) / "refs" / name
        sha = ref.read_text().strip() if ref.is_file() else name
        folder = self.snapshot(repo, sha)
        return folder if COMMIT.fullmatch(sha) and is_complete(folder, gguf) else None

    def link(self, repo: str, sha: str, path: str, etag: str) -> None:
        """Link `path` of a snapshot to its blob; if the file system has no links, the blob moves there."""
        blob, pointer = self.blob(repo, etag), self.snapshot(repo, sha) / path
        if pointer.exists():
            return
        pointer.parent.mkdir(parents=True, exist_ok=True)
        pointer.unlink(missing_ok=True)     # a link to a blob that no longer exists
        try:
            pointer.symlink_to(os.path.relpath(blob, pointer.parent))
        except OSError:
            shutil.move(blob, pointer)

    def remember(self, repo: str, revision: str, sha: str) -> None:
        if revision == sha:
            return
        ref = self.folder(repo) / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        written = ref.with_name(f".{ref.name}.{os.getpid()}")
        written.write_text(sha)
        written.replace(ref)

    @contextmanager
    def owned(self, repo: str) -> Iterator[bool]:
        """Lock a model's files unless another thread or process holds the lock; yields whether the lock was taken."""
        path = self.root / ".locks" / self.folder(repo).name / "download.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def on_disk(self) -> tuple[StoredModel, ...]:
        """Return every model of the cache, last used first. (scan_cache_dir leaves out incomplete downloads.)"""
        folders = self.root.glob(f"{PREFIX}*--*") if self.root.is_dir() else ()
        found = (_stored(folder) for folder in folders if folder.is_dir() and not folder.is_symlink())
        return tuple(sorted((model for model in found if model), key=lambda model: -model.last_used))

    def delete(self, repo: str) -> int:
        """Delete a model with all its revisions and incomplete files; returns the bytes freed.

        Raises ModelNotFound, InvalidRequest, or EngineBusy while it is being downloaded.
        """
        folder = self.folder(repo)
        if not folder.is_dir() or folder.is_symlink():
            raise ModelNotFound(repo, "the models on disk")
        with self.owned(repo) as is_ours:
            if not is_ours:
                raise EngineBusy(f"{repo} is being downloaded", "Stop its download first.")
            freed = self._delete_known(repo) + _size_bytes(folder)
            shutil.rmtree(folder, ignore_errors=True)
            if folder.exists():
                raise EngineBusy(f"another program uses files of {repo}", "Close it, then delete the model again.")
            return freed

    def _delete_known(self, repo: str) -> int:
        """Delete the complete revisions through the client library: blobs may be shared, and it knows which models need them."""
        from huggingface_hub import scan_cache_dir

        cached = scan_cache_dir(self.root)
        mine = [known for known in cached.repos if (known.repo_id, known.repo_type) == (repo, "model")]
        # A copy of a repository has the same commits, and the library identifies revisions by commit alone: pass it only ours.
        strategy = replace(cached, repos=frozenset(mine)).delete_revisions(
            *(revision.commit_hash for known in mine for revision in known.revisions))
        strategy.execute()
        return int(strategy.expected_freed_size)


def _stored(folder: Path) -> StoredModel | None:
    blobs = [path.stat() for path in (folder / "blobs").glob("*") if path.exists()]
    snapshots = sorted((path for path in (folder / "snapshots").glob("*") if path.is_dir()), key=lambda path: path.stat().st_mtime)
    size = sum(stat.st_size for stat in blobs) + sum(_size_bytes(path) for path in snapshots)
    if not size:
        return None     # refused before the first byte was downloaded
    newest = next((path for path in reversed(snapshots) if is_complete(path)), snapshots[-1] if snapshots else None)
    return StoredModel(
        repo=folder.name.removeprefix(PREFIX).replace("--", "/", 1), sha=newest.name if newest else "",
        size_bytes=size,
        last_used=max((max(stat.st_atime, stat.st_mtime) for stat in blobs), default=folder.stat().st_mtime),
        num_files=sum(1 for path in newest.rglob("*") if path.is_file()) if newest else 0,
        is_complete=newest is not None and is_complete(newest), path=newest)


def _size_bytes(folder: Path) -> int:
    """Return the bytes of the files in a folder, without links."""
    total = 0
    for path in folder.rglob("*") if folder.is_dir() else ():
        with suppress(OSError):     # deleted meanwhile
            total += path.stat().st_size if path.is_file() and not path.is_symlink() else 0
    return total
