"""Downloads that can be stopped at any moment and resumed later, even after the program was killed.

The client library does not keep incomplete files. So the bytes come through its session but are written here, to
HASH.incomplete in its own cache, and renamed when the file is complete. The snapshot appears as the last step.
"""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..checkpoint.files import ADAPTER_CONFIG, WEIGHTS_INDEX, gguf_choices, missing_files, shard_names
from ..errors import DiskFull, DownloadBroken, DownloadStopped, EngineError, HubOffline, HubUnreachable, RateLimited, UnsupportedModel
from .cache import HubCache, checked_revision
from .client import TICK_S, HubClient, in_background, stoppable
from .progress import Meter, OnProgress
from .repository import HubFile, Repository, fetch_repository

if TYPE_CHECKING:
    from httpx2 import Response

PATIENCE = 5                # attempts in a row without a single new byte
FIRST_PAUSE = 0.025         # of the time-out, doubled after each attempt: 7.5 s in all with a time-out of 10 s
CONFIGS = ("config.json", ADAPTER_CONFIG)
BLOCK_BYTES = 4 * 2**20


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


def download(client: HubClient, cache: HubCache, repo: str, revision: str | None, on_progress: OnProgress, stop: threading.Event,
             gguf: str = "") -> Path:
    """Download every needed file and return the snapshot's folder. Blocks; ends within a fraction of a second once `stop` is set.

    `gguf`: the GGUF file that is needed; of a repository with no other weights, by default the first of `gguf_choices`.

    Raises DownloadStopped, DiskFull, DownloadBroken, UnsupportedModel, InvalidRequest, and what the client raises.
    """
    branch = checked_revision(revision)
    with _one_at_a_time(cache, repo, stop):
        found = stoppable(stop, repo, lambda: fetch_repository(client, repo, revision))
        # A renamed model is stored under the requested name, by which it is found without a network.
        return _Download(client, cache, repo, found, on_progress, stop, gguf).run(branch)


class _Download:
    def __init__(self, client: HubClient, cache: HubCache, repo: str, found: Repository, on_progress: OnProgress,
                 stop: threading.Event, gguf: str) -> None:
        self._gguf = gguf or next(iter(gguf_choices(found.paths)), "")
        self._client, self._cache, self._repo, self._found, self._stop = client, cache, repo, found, stop
        self._meter = Meter(on_progress)

    def run(self, branch: str) -> Path:
        try:
            files = self._files()
            self._require_disk(files)
            for file in sorted(files, key=lambda file: file.size_bytes):
                self._fetch(file)
            for file in sorted(files, key=lambda file: file.path in CONFIGS):     # last: without it a snapshot is not complete
                self._cache.link(self._repo, self._found.sha, file.path, file.etag)
            self._cache.remember(self._repo, branch, self._found.sha)
        except OSError as error:
            raise self._disk_error(error) from error
        self._meter.report()
        return self._cache.snapshot(self._repo, self._found.sha)

    def _files(self) -> tuple[HubFile, ...]:
        """Return the needed files, for which the index of the shards is fetched. Raises UnsupportedModel."""
        if self._gguf:
            if not (needed := self._found.needed_gguf(self._gguf)):
                raise UnsupportedModel(self._repo, f"it has no file {self._gguf}.")
            return needed
        names: frozenset[str] = frozenset()
        if self._found.is_sharded:
            index = next(file for file in self._found.files if file.path == WEIGHTS_INDEX)
            names = shard_names(self._fetch(index).read_bytes())
        if obstacle := missing_files(self._found.paths, names):
            raise UnsupportedModel(self._repo, obstacle)
        return self._found.needed(names)

    def _require_disk(self, files: tuple[HubFile, ...]) -> None:
        self._meter.start(sum(self._bytes_on_disk(file) for file in files), sum(file.size_bytes for file in files))
        if self._meter.missing_bytes > (free := self._free_bytes()):
            raise DiskFull(self._meter.missing_bytes, free)

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._cache.root).free

    def _disk_error(self, error: OSError) -> EngineError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFull(self._meter.missing_bytes, self._free_bytes())
        return DownloadBroken(self._repo, self._meter.file or "its folder", f"the disk refuses it ({error.strerror})")

    def _place(self, file: HubFile) -> Path:
        """Return the path of the file: its blob, or its path in the snapshot if blobs cannot be linked."""
        pointer = self._cache.snapshot(self._repo, self._found.sha) / file.path
        return pointer if pointer.is_file() and not pointer.is_symlink() else self._cache.blob(self._repo, file.etag)

    def _bytes_on_disk(self, file: HubFile) -> int:
        place = self._place(file)
        if place.is_file():
            return file.size_bytes if place.stat().st_size == file.size_bytes else 0
        return min(_size(_partial(place)), file.size_bytes)

    def _fetch(self, file: HubFile) -> Path:
        """Return the path of the complete file; download it if it is not on disk."""
        if not re.fullmatch("[0-9a-f]{40,64}", file.etag):
            raise HubUnreachable(self._repo, f"it lists {file.path} without its hash")
        place = self._place(file)
        if place.is_file() and place.stat().st_size == file.size_bytes:
            return place
        place.unlink(missing_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        self._meter.file = file.path
        digest = self._receive(_partial(place), file)
        is_other = len(file.etag) == 64 and digest.hexdigest() != file.etag      # large files are named by their SHA-256
        if is_other or _size(_partial(place)) != file.size_bytes:
            _partial(place).unlink(missing_ok=True)
            raise DownloadBroken(self._repo, file.path, "its content is not what the hub lists")
        _partial(place).replace(place)
        return place

    def _receive(self, partial: Path, file: HubFile) -> Digest:
        """Append the missing bytes, and hash the whole file. Reconnects as long as each connection brings new bytes."""
        if _size(partial) > file.size_bytes:
            partial.unlink()
        digest, failures = self._begin(partial), 0
        while (have := _size(partial)) < file.size_bytes:
            try:
                self._append(partial, file, have, digest)
            except (RateLimited, HubOffline):
                raise
            except (HubUnreachable, DownloadBroken):
                failures = 1 if _size(partial) > have else failures + 1
                if failures >= PATIENCE:
                    raise
                if self._stop.wait(FIRST_PAUSE * self._client.timeout_s * 2**failures):
                    raise DownloadStopped(self._repo) from None
        return digest

    def _begin(self, partial: Path) -> Digest:
        digest = hashlib.sha256()
        if not partial.is_file():
            return digest
        with partial.open("rb") as begun:
            while block := begun.read(BLOCK_BYTES):
                digest.update(block)
                if self._stop.is_set():
                    raise DownloadStopped(self._repo)
        return digest

    def _append(self, partial: Path, file: HubFile, have: int, digest: Digest) -> None:
        with partial.open("ab") as out:
            for chunk in self._arriving(file, have):
                out.write(chunk)
                digest.update(chunk)
                self._meter.add(len(chunk))

    def _arriving(self, file: HubFile, have: int) -> Generator[bytes, None, None]:
        """Yield the bytes of a file from `have` on, and empty ones while none arrive.

        Raises DownloadBroken if the connection breaks or the size is not the listed one, and what the client raises.
        """
        def read(put: Callable[[bytes], bool]) -> None:
            url = self._client.file_url(self._found.repo, self._found.sha, file.path)
            why = self._client.get(url, self._repo, lambda response: _put_missing(response, file, have, put),
                                   byte_range=f"bytes={have}-" if have else "")
            if why:
                raise DownloadBroken(self._repo, file.path, why)

        yield from in_background(read, b"", self._repo, self._stop)


def _put_missing(response: Response, file: HubFile, have: int, put: Callable[[bytes], bool]) -> str:
    """Put the missing bytes of the file into the queue; returns why that failed, or ""."""
    import httpx2

    position = have if response.status_code == 206 else 0       # 200: the hub ignored the range
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and "Content-Encoding" not in response.headers and position + int(length) != file.size_bytes:
        return f"the hub sends {position + int(length):,} bytes, but lists {file.size_bytes:,}"
    try:
        for chunk in response.iter_bytes():
            missing = chunk[max(0, have - position):]
            position += len(chunk)
            if missing and not put(missing):
                return ""       # the reader has stopped
    except httpx2.HTTPError as error:
        return f"the connection broke off ({type(error).__name__})"
    return "" if position >= file.size_bytes else "the hub ended it too early"


@contextmanager
def _one_at_a_time(cache: HubCache, repo: str, stop: threading.Event) -> Iterator[None]:
    """Allow one download of a model at a time: a second one waits, then finds all files complete."""
    try:
        while True:
            with cache.owned(repo) as is_ours:
                if is_ours:
                    yield
                    return
            if stop.wait(TICK_S):
                raise DownloadStopped(repo)
    except OSError as error:
        raise DownloadBroken(repo, "its folder", f"the disk refuses it ({error.strerror})") from error


def _partial(place: Path) -> Path:
    return place.with_name(f"{place.name}.incomplete")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
