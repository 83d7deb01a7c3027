"""The part of the hub that takes uploads: a new repository, large files by the protocol of Git LFS, a commit of everything."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from .hub_standin_http import BAD_TOKEN, SHA, Request

if TYPE_CHECKING:
    from .hub_standin import StandIn

LARGE = (".safetensors", ".bin", ".zip")        # as the .gitattributes of a new repository names them


@dataclass
class Upload:
    """What was uploaded to a repository, and with which token."""

    is_private: bool
    token: str
    files: dict[str, bytes] = field(default_factory=dict)


def accepting(handler: Any, hub: StandIn) -> type[BaseHTTPRequestHandler]:
    """The handler, and POST and PUT. Only "me" may write, with any token but a wrong one."""
    class Accepting(handler):       # type: ignore[misc]
        def do_PUT(self) -> None:
            body = self._body()
            hub.stored[urlsplit(self.path).path.rpartition("/")[2]] = body
            self._send(200, b"", {})

        def do_POST(self) -> None:
            body = self._body()
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            hub.requests.append(Request("POST", self.path, self.headers.get("Authorization", ""), "", False))
            parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
            if fault := hub.fault(self.path, "status"):
                self._send(fault.status, fault.body, fault.headers)
            elif not token or token == BAD_TOKEN:
                self._refuse(401, "", "Invalid credentials in Authorization header")
            elif parts == ["api", "repos", "create"]:
                self._create(json.loads(body), token)
            elif parts == ["api", "validate-yaml"]:
                self._json({"warnings": [], "errors": []})
            elif parts[:2] == ["api", "models"] and parts[4] == "preupload":
                self._json({"files": [{"path": file["path"], "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                                       "shouldIgnore": False} for file in json.loads(body)["files"]]})
            elif parts[-2:] == ["objects", "batch"]:
                self._json({"transfer": "basic", "objects": [
                    {**each, "actions": {"upload": {"href": f"{hub.storage}/upload/{each['oid']}"}}}
                    for each in json.loads(body)["objects"]]})
            elif parts[:2] == ["api", "models"] and parts[4] == "commit":
                self._commit("/".join(parts[2:4]), [json.loads(line) for line in body.splitlines()])
            else:
                self._refuse(404, "", "Not Found")

        def _create(self, asked: dict[str, Any], token: str) -> None:
            owner = asked.get("organization") or "me"
            if owner != "me":
                self._refuse(403, "", f"You don't have the rights to create a model under the namespace {owner}")
                return
            name = f"{owner}/{asked['name']}"
            hub.uploads.setdefault(name, Upload(asked.get("visibility") == "private" or bool(asked.get("private")), token))
            self._json({"url": f"{hub.address}/{name}", "name": name, "id": "1"})

        def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
            for line in lines:
                value = line["value"]
                if line["key"] == "file":
                    hub.uploads[name].files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    assert hashlib.sha256(hub.stored[value["oid"]]).hexdigest() == value["oid"]
                    hub.uploads[name].files[value["path"]] = hub.stored[value["oid"]]
            self._json({"success": True, "commitOid": SHA, "commitUrl": f"{hub.address}/{name}/commit/{SHA}", "hookOutput": ""})

        def _body(self) -> bytes:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return bytes(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    return Accepting
