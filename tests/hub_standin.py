"""A stand-in for the model hub: a real HTTP server with the part of its API that this program uses.

    with hub_standin.running({"me/tiny": folder}) as hub:       # or Repo(folder, gated="auto", ...)
        Hub(settings, hub.address).describe("me/tiny")

"datasets/me/rows" is a data set.

Search with filters, sort and Link pages; model info, refs and trees; files with ETag, commit, HEAD and Range, large ones by a
redirect to a second address as the hub's storage has one. It fails as its Faults describe, counts every byte that it
sends, and remembers every request with its Authorization.
"""

from __future__ import annotations

import fnmatch
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .hub_standin_http import BAD_TOKEN, SHA, Request, etag, handler, sha256
from .hub_standin_uploads import Upload, accepting

__all__ = ["BAD_TOKEN", "GOOD_TOKEN", "SHA", "Fault", "Repo", "Request", "StandIn", "Upload", "etag", "online", "running", "sha256"]

GOOD_TOKEN = "hf_good"      # any other than BAD_TOKEN belongs to an account


@dataclass(frozen=True)
class Repo:
    """A model of the stand-in. `gated`: "auto" or "manual"; `readers`: the tokens whose accounts may read it."""

    folder: Path
    licence: str = "apache-2.0"
    gated: str = ""
    is_private: bool = False
    readers: frozenset[str] = frozenset()
    downloads: int = 0
    likes: int = 0
    trending: int = 0
    updated: str = "2026-01-01T00:00:00.000Z"
    task: str = "text-generation"
    tags: tuple[str, ...] = ()
    card: Mapping[str, Any] = field(default_factory=dict)           # more of the card's YAML
    revisions: Mapping[str, Path] = field(default_factory=dict)     # branch or refs/pr/N: another folder
    moved_to: str = ""

    def files(self, revision: str) -> list[Path]:
        folder = self.folder if revision in ("main", SHA) else self.revisions[revision]
        return sorted(path for path in folder.rglob("*") if path.is_file())


@dataclass
class Fault:
    """A failure of requests whose address contains the pattern `on`, at most `times` times.

    Answers `status` instead; or sends `after` bytes of the body and then nothing ("stall") or the end of the connection
    ("cut"); or lists `more_bytes` than the file has.
    """

    on: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    then: str = ""
    after: int = 0
    more_bytes: int = 0
    spared: int = 0             # this many requests succeed first
    times: int = 1_000_000


@dataclass
class StandIn:
    """One running stand-in; everything but the addresses may be changed while it runs."""

    address: str
    storage: str
    repositories: dict[str, Repo]
    faults: list[Fault]
    bytes_per_second: float | None = None
    page_models: int = 25
    has_ranges: bool = True
    requests: list[Request] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)             # bytes of bodies by "owner/name/path of the file"
    uploads: dict[str, Upload] = field(default_factory=dict)        # by owner/name
    stored: dict[str, bytes] = field(default_factory=dict)          # large files that were uploaded, by their hash
    released: threading.Event = field(default_factory=threading.Event)

    def fault(self, path: str, *kinds: str) -> Fault | None:
        """The first fault of one of these kinds that is left for this address; using it up counts."""
        for fault in self.faults:
            kind = "status" if fault.status else "size" if fault.more_bytes else fault.then
            if kind not in kinds or fault.times < 1 or not fnmatch.fnmatch(path, f"*{fault.on}*"):
                continue
            if fault.spared > 0:
                fault.spared -= 1
                continue
            fault.times -= 1
            return fault
        return None

    def asked(self, part: str) -> list[Request]:
        return [request for request in self.requests if part in request.path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):      # a client that has gone is what these tests are about
            super().handle_error(request, client_address)


@contextmanager
def running(repositories: Mapping[str, Path | Repo], *, faults: list[Fault] | None = None,
            bytes_per_second: float | None = None) -> Iterator[StandIn]:
    """A stand-in that serves these repositories, on two free ports of this machine."""
    known = {name: repo if isinstance(repo, Repo) else Repo(repo) for name, repo in repositories.items()}
    servers = [_Server(("127.0.0.1", 0), BaseHTTPRequestHandler) for _ in range(2)]
    address, storage = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    hub = StandIn(address, storage, known, faults or [], bytes_per_second)
    for server in servers:
        server.RequestHandlerClass = accepting(handler(hub), hub)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield hub
    finally:
        hub.released.set()
        for server in servers:
            server.shutdown()
            server.server_close()


@contextmanager
def online() -> Iterator[None]:
    """Let the client library ask a stand-in from a test process, which is offline by its environment (conftest).

    The library reads HF_HUB_OFFLINE and HF_HUB_DISABLE_TELEMETRY once, when it is imported: their two values are moved here.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY
    constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY = False, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY = before
