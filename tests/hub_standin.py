"""A small stand-in of the Hub's HTTP API, for huggingface_hub's own client: model info, file metadata, file contents.

Repositories are folders. "gated/..." answers as a gated repository does, unknown names as unknown ones do.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SHA = "0123456789abcdef0123456789abcdef01234567"


def _oid(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


def _handler(repositories: dict[str, Path]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = self.path.split("?")[0].strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                self._info("/".join(parts[2:4]), is_tree=parts[4:5] == ["tree"])
            elif len(parts) >= 5 and parts[2] == "resolve":
                self._file("/".join(parts[:2]), "/".join(parts[4:]))
            else:
                self._send(404, b"", {})

        do_HEAD = do_GET

        def _info(self, repo: str, is_tree: bool) -> None:
            if repo.startswith("gated/"):
                self._send(403, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": "ask first"})
            elif repo not in repositories:
                self._send(401, b"{}", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
            elif is_tree:
                files = [{"type": "file", "path": path.name, "size": path.stat().st_size, "oid": _oid(path)}
                         for path in sorted(repositories[repo].iterdir())]
                self._send(200, json.dumps(files).encode(), {"Content-Type": "application/json"})
            else:
                files = [{"rfilename": path.name} for path in sorted(repositories[repo].iterdir())]
                body = {"id": repo, "modelId": repo, "sha": SHA, "siblings": files, "private": False, "tags": [], "downloads": 0}
                self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

        def _file(self, repo: str, name: str) -> None:
            path = repositories[repo] / name
            if not path.is_file():
                self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": SHA})
                return
            data = path.read_bytes()
            self._send(200, data, {"ETag": f'"{_oid(path)}"', "X-Repo-Commit": SHA})

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            return

    return Handler


@contextmanager
def running(repositories: dict[str, Path]) -> Iterator[str]:
    """The address of a stand-in that serves these repositories."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(repositories))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
