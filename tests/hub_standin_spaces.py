"""The part of the hub stand-in that concerns Spaces: creating one, its settings, commits and stages.

    with hub_standin_spaces.running(host="http://127.0.0.1:7860") as spaces:
        HfApi(endpoint=spaces.address, token="hf_good").create_repo("me/app", repo_type="space", ...)
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from .hub_standin_http import BAD_TOKEN, SHA


@dataclass
class Space:
    """`stages`: reported one after the other; the last one stays. `runs`: the files of the version that runs."""

    created: Mapping[str, Any]
    stages: list[str]
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    runs: dict[str, bytes] = field(default_factory=dict)

    def next_stage(self) -> str:
        stage = self.stages.pop(0) if len(self.stages) > 1 else self.stages[0]
        if stage == "RUNNING" and len(self.stages) == 1:
            self.runs = dict(self.files)
        return stage


@dataclass
class SpacesStandIn:
    """`host`: where every Space of the stand-in runs. `stages` and `files`: of a new Space."""

    address: str
    host: str
    stages: tuple[str, ...]
    files: dict[str, bytes]
    spaces: dict[str, Space] = field(default_factory=dict)


@contextmanager
def running(host: str, stages: tuple[str, ...] = ("BUILDING", "APP_STARTING", "RUNNING"),
            files: Mapping[str, bytes] | None = None) -> Iterator[SpacesStandIn]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    hub = SpacesStandIn(f"http://127.0.0.1:{server.server_port}", host, stages, dict(files or {".gitattributes": b""}))
    server.RequestHandlerClass = _handler(hub)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def _handler(hub: SpacesStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self._is_refused():
                return
            parts = urlsplit(self.path).path.strip("/").split("/")
            if parts == ["api", "validate-yaml"]:
                self._json({"errors": [], "warnings": []})
            elif parts == ["api", "repos", "create"]:
                self._create(json.loads(body))
            elif parts[:2] == ["api", "spaces"] and (space := hub.spaces.get("/".join(parts[2:4]))):
                self._change(space, parts[4], body)
            else:
                self._json({"error": "Repository not found"}, 404)

        def do_GET(self) -> None:
            if self._is_refused():
                return
            parts = urlsplit(self.path).path.strip("/").split("/")
            space = hub.spaces.get("/".join(parts[2:4]))
            if parts[:2] != ["api", "spaces"] or space is None:
                self._json({"error": "Repository not found"}, 404)
            elif parts[4:5] == ["runtime"]:
                stage = space.next_stage()
                self._json({"stage": stage, **({"errorMessage": "it did not start"} if "ERROR" in stage else {})})
            elif parts[4:5] == ["tree"]:
                self._json([{"type": "file", "path": name, "size": len(data), "oid": SHA} for name, data in space.files.items()])
            else:
                self._json({"id": "/".join(parts[2:4]), "sha": SHA, "host": hub.host, "sdk": "gradio",
                            "siblings": [{"rfilename": name} for name in space.files]})

        def _is_refused(self) -> bool:
            """A token is needed for everything."""
            if self.headers.get("Authorization", f"Bearer {BAD_TOKEN}") != f"Bearer {BAD_TOKEN}":
                return False
            self._json({"error": "Invalid username or password."}, 401)
            return True

        def _create(self, asked: dict[str, Any]) -> None:
            name = f"{asked['organization']}/{asked['name']}"
            is_new = name not in hub.spaces
            if is_new:
                hub.spaces[name] = Space(asked, list(hub.stages), files=dict(hub.files))
            self._json({"url": f"{hub.address}/spaces/{name}"}, 200 if is_new else 409)

        def _change(self, space: Space, what: str, body: bytes) -> None:
            if what in ("variables", "secrets"):
                asked = json.loads(body)
                getattr(space, what)[asked["key"]] = asked["value"]
                self._json({asked["key"]: {"key": asked["key"], "value": asked["value"]}})
            elif what == "preupload":
                self._json({"files": [{"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                                      for each in json.loads(body)["files"]]})
            else:
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        space.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                    elif line["key"] == "deletedFile":
                        del space.files[line["value"]["path"]]
                if space.runs:      # for a moment the version before runs on
                    space.stages = ["RUNNING", "RUNNING", *hub.stages]
                self._json({"success": True, "commitOid": SHA, "commitUrl": f"{hub.address}{self.path.removeprefix('/api')}"})

        def _json(self, value: object, status: int = 200) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            return

    return Handler
