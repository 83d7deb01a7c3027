"""How the stand-in of the hub answers over HTTP."""

from __future__ import annotations

import hashlib
import json
import struct
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

if TYPE_CHECKING:
    from .hub_standin import Repo, StandIn

SHA = "0123456789abcdef0123456789abcdef01234567"
CHUNK_BYTES = 16 * 1024
DATASETS = "datasets/"      # begins the names of data sets among the repositories
BAD_TOKEN = "hf_bad"        # the only one that the stand-in does not know


@dataclass(frozen=True)
class Request:
    method: str
    path: str               # with its query
    authorization: str
    range: str
    is_storage: bool        # asked of the second address, where large files are


def sha256(path: Path) -> str:
    return _hashes(path, path.stat().st_mtime_ns)[0]


def etag(path: Path) -> str:
    """Large files are named by their SHA-256, others by git's own hash."""
    return _hashes(path, path.stat().st_mtime_ns)[0 if is_large(path) else 1]


@cache
def _hashes(path: Path, changed: int) -> tuple[str, str]:
    data = path.read_bytes()
    return hashlib.sha256(data).hexdigest(), hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def is_large(path: Path) -> bool:
    return path.suffix in (".safetensors", ".bin", ".gguf", ".parquet")


def _parameters(folder: Path) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            size = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(size)) if size < 10**8 else {}
        for name, entry in header.items():
            if name != "__metadata__":
                count = 1
                for length in entry["shape"]:
                    count *= length
                counts[entry["dtype"]] += count
    return dict(counts)


def _name_and_rest(parts: list[str]) -> tuple[str, list[str]]:
    """The name of a repository, with DATASETS for a data set, and the parts of an address after it."""
    length = 3 if parts[0] == DATASETS.rstrip("/") else 2
    return "/".join(parts[:length]), parts[length:]


def handler(hub: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            is_storage = self.headers["Host"] == urlsplit(hub.storage).netloc
            self.token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            hub.requests.append(Request(self.command, self.path, self.headers.get("Authorization", ""),
                                        self.headers.get("Range", ""), is_storage))
            if fault := hub.fault(self.path, "status"):
                self._send(fault.status, fault.body, fault.headers)
                return
            self.query = parse_qs(address.query)
            parts = [unquote(part) for part in address.path.strip("/").split("/")]
            if self.token == BAD_TOKEN:
                self._refuse(401, "", "Invalid credentials in Authorization header")
            elif is_storage:
                name, rest = _name_and_rest(parts)
                self._contents(name, rest[0], "/".join(rest[1:]))
            elif parts == ["api", "whoami-v2"]:
                self._json({"name": "me", "type": "user"}) if self.token else self._refuse(401, "", "Invalid username or password.")
            elif parts == ["api", "models"]:
                self._search()
            elif parts[:2] == ["api", "models"] and len(parts) > 3:
                self._api("/".join(parts[2:4]), parts[4:])
            elif parts[:2] == ["api", "datasets"] and len(parts) > 3:
                self._api("/".join(parts[1:4]), parts[4:])
            elif len(parts) > 4 and "resolve" in parts[2:4]:
                name, rest = _name_and_rest(parts)
                self._resolve(name, rest[1], "/".join(rest[2:]))
            else:
                self._refuse(404, "", "Not Found")

        do_HEAD = do_GET

        def _found(self, name: str) -> Repo | None:
            """The repository, or None after a refusal or a redirect was sent."""
            repo = hub.repositories.get(name)
            if repo is not None and repo.moved_to:
                self._send(307, b"", {"Location": self.path.replace(name, repo.moved_to, 1)})
            elif repo is None or (repo.is_private and self.token not in repo.readers):
                self._refuse(404 if self.token else 401, "RepoNotFound", "Repository not found")
            else:
                return repo
            return None

        def _api(self, name: str, rest: list[str]) -> None:
            repo = self._found(name)
            if repo is None:
                return
            revision = rest[1] if len(rest) > 1 else "main"
            if revision not in ("main", SHA, *repo.revisions):
                self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            elif rest[:1] == ["refs"]:
                self._refs(repo)
            elif rest[:1] == ["tree"]:
                self._json([{"type": "file", "path": self._name(repo, revision, path), "size": path.stat().st_size, "oid": etag(path)}
                            for path in repo.files(revision)])
            else:
                self._json(self._info(name, repo, revision))

        def _name(self, repo: Repo, revision: str, path: Path) -> str:
            return path.relative_to(repo.folder if revision in ("main", SHA) else repo.revisions[revision]).as_posix()

        def _info(self, name: str, repo: Repo, revision: str) -> dict[str, Any]:
            siblings = []
            for path in repo.files(revision):
                file: dict[str, Any] = {"rfilename": self._name(repo, revision, path)}
                if "blobs" in self.query:
                    size = path.stat().st_size + (fault.more_bytes if (fault := hub.fault(f"{name}/{path.name}", "size")) else 0)
                    file |= {"size": size, "blobId": etag(path)}
                    if is_large(path):
                        file["lfs"] = {"size": size, "sha256": sha256(path), "pointerSize": 134}
                siblings.append(file)
            return self._summary(name, repo) | {
                "sha": SHA if revision in ("main", SHA) else hashlib.sha1(revision.encode()).hexdigest(), "siblings": siblings,
                "private": repo.is_private, "cardData": {"license": repo.licence, **repo.card}}

        def _summary(self, name: str, repo: Repo) -> dict[str, Any]:
            counts = _parameters(repo.folder)
            tags = [*repo.tags, repo.task, f"license:{repo.licence}", *(["safetensors"] if counts else [])]
            name = name.removeprefix(DATASETS)
            return {"id": name, "modelId": name, "downloads": repo.downloads, "likes": repo.likes, "trendingScore": repo.trending,
                    "lastModified": repo.updated, "gated": repo.gated or False, "pipeline_tag": repo.task, "tags": tags,
                    **({"safetensors": {"parameters": counts, "total": sum(counts.values())}} if counts else {})}

        def _refs(self, repo: Repo) -> None:
            names = ["main", *repo.revisions]
            self._json({
                "branches": [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": SHA} for name in names if "/" not in name],
                "converts": [], "tags": [],
                "pullRequests": [{"name": name, "ref": name, "targetCommit": SHA} for name in names if name.startswith("refs/pr/")]})

        def _search(self) -> None:
            found = [self._summary(name, repo) for name, repo in hub.repositories.items()
                     if not repo.is_private and not repo.moved_to and not name.startswith(DATASETS)]
            found = [model for model in found if self._is_wanted(model)]
            key = self.query.get("sort", ["trendingScore"])[0]
            found.sort(key=lambda model: model[key], reverse=True)
            start = int(self.query.get("cursor", ["0"])[0])
            length = min(int(self.query.get("limit", ["1000"])[0]), hub.page_models)
            following = [(name, value) for name, values in self.query.items() if name != "cursor" for value in values]
            link = f"{hub.address}/api/models?{urlencode([*following, ('cursor', start + length)])}"
            self._json(found[start:start + length], {"Link": f'<{link}>; rel="next"'} if start + length < len(found) else {})

        def _is_wanted(self, model: dict[str, Any]) -> bool:
            query = {name: values[0] for name, values in self.query.items()}
            limits = dict(part.split(":") for part in query.get("num_parameters", "").split(",") if part)
            billions = {name: int(value.removesuffix("B")) * 10**9 for name, value in limits.items()}
            total = model.get("safetensors", {}).get("total")
            return (query.get("search", "").lower() in model["id"].lower()
                    and query.get("pipeline_tag", model["pipeline_tag"]) == model["pipeline_tag"]
                    and set(self.query.get("filter", ())) <= set(model["tags"])
                    and query.get("gated", str(bool(model["gated"])).lower()) == str(bool(model["gated"])).lower()
                    and (not billions or total is not None)
                    and billions.get("min", 0) <= (total or 0) <= billions.get("max", 10**15))

        def _resolve(self, name: str, revision: str, path: str) -> None:
            repo = self._found(name)
            if repo is None:
                return
            by_sha = {hashlib.sha1(other.encode()).hexdigest(): other for other in repo.revisions}
            revision = by_sha.get(revision, revision)
            known = {self._name(repo, revision, file): file for file in repo.files(revision)}
            if repo.gated and self.token not in repo.readers and path != "README.md":
                self._refuse(403 if self.token else 401, "GatedRepo", f"Access to model {name} is restricted.")
            elif path not in known:
                self._refuse(404, "EntryNotFound", "Entry not found")
            elif is_large(known[path]):
                self._send(302, b"", {"Location": f"{hub.storage}/{name}/{revision.replace('/', '%2F')}/{path}", "X-Repo-Commit": SHA,
                                      "X-Linked-Size": str(known[path].stat().st_size), "X-Linked-Etag": f'"{etag(known[path])}"'})
            else:
                self._contents(name, revision, path)

        def _contents(self, name: str, revision: str, path: str) -> None:
            repo = hub.repositories[name]
            file = (repo.folder if revision in ("main", SHA) else repo.revisions[revision]) / path
            data = file.read_bytes()
            start, _, end = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(end or len(data)), len(data) - 1)
            headers = {"ETag": f'"{etag(file)}"', "X-Repo-Commit": SHA, "Accept-Ranges": "bytes"}
            if first >= len(data) > 0 and hub.has_ranges:
                self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            elif "Range" in self.headers and hub.has_ranges:
                headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
                self._send(206, data[first:last + 1], headers, f"{name}/{path}")
            else:
                self._send(200, data, headers, f"{name}/{path}")

        def _refuse(self, status: int, code: str, message: str) -> None:
            body = json.dumps({"error": message}).encode()
            self._send(status, body, {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})})

        def _json(self, value: Any, headers: Mapping[str, str] | None = None) -> None:
            self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

        def _send(self, status: int, body: bytes, headers: Mapping[str, str], counted: str = "") -> None:
            fault = hub.fault(self.path, "stall", "cut") if body else None
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            rest = memoryview(body)[:fault.after] if fault else memoryview(body)
            try:
                while rest:
                    hub.sent[counted] += len(rest[:CHUNK_BYTES])        # before it is sent: the client may read the count at once
                    self.wfile.write(rest[:CHUNK_BYTES])
                    if hub.bytes_per_second and counted:
                        time.sleep(len(rest[:CHUNK_BYTES]) / hub.bytes_per_second)
                    rest = rest[CHUNK_BYTES:]
            except OSError:
                self.close_connection = True        # the client has disconnected
            if fault and fault.then == "stall":
                hub.released.wait(60)
            if fault:
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            return

    return Handler
