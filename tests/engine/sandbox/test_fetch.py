"""What is accepted into the data folder as Pyodide, and what is refused."""

from __future__ import annotations

import hashlib
import http.server
import io
import socketserver
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.errors import SandboxUnavailable
from engine.sandbox import fetch, prepare_sandboxes, probe_sandboxes
from engine.sandbox.probe import forget
from engine.sandbox.runtime import find_runtime

Serve = Callable[[bytes], None]


def tarball(*names: str, target: str = "") -> bytes:
    """An archive with these members; `target` makes links of them."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 0 if target else 4
            member.type, member.linkname = (tarfile.SYMTYPE, target) if target else (tarfile.REGTYPE, "")
            archive.addfile(member, io.BytesIO(b"code"))
    return held.getvalue()


WHOLE = tuple(f"package/{name}" for name in fetch.FILES)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """A registry on this machine; the pinned checksum of Pyodide is replaced by that of the archive it serves."""
    sent = [b""]

    class Registry(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == f"/pyodide/-/pyodide-{fetch.VERSION}.tgz" else 404)
            self.end_headers()
            self.wfile.write(sent[0])

        def log_message(self, *_: object) -> None: ...

    def serve(data: bytes) -> None:
        sent[0] = data
        monkeypatch.setattr(fetch, "SHA256", hashlib.sha256(data).hexdigest())

    with socketserver.TCPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_address[1]}/")
        yield serve
        server.shutdown()


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_only_the_files_that_are_needed_are_kept(registry: Serve, tmp_path: Path) -> None:
    registry(tarball(*WHOLE, "package/README.md", "../../escaped", "/absolute", "package/../../up"))
    folder = fetch.fetch_pyodide(tmp_path / "data")
    assert sorted(path.name for path in folder.iterdir()) == sorted(fetch.FILES)
    assert everything_in(tmp_path) == [f"data/sandbox/pyodide-{fetch.VERSION}/{name}" for name in sorted(fetch.FILES)]


def test_a_second_fetch_makes_no_request(registry: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry(tarball(*WHOLE))
    folder = fetch.fetch_pyodide(tmp_path)
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1")
    assert fetch.fetch_pyodide(tmp_path) == folder


def test_an_archive_with_another_checksum_is_not_unpacked(registry: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry(tarball(*WHOLE))
    monkeypatch.setattr(fetch, "SHA256", "0" * 64)
    with pytest.raises(SandboxUnavailable, match="its checksum differs"):
        fetch.fetch_pyodide(tmp_path)
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize("data", [tarball(*WHOLE[1:]), tarball(*WHOLE, target="/etc/passwd"), b"no archive", tarball(*WHOLE)[:-40]],
                         ids=["incomplete", "links", "no archive", "cut off"])
def test_an_incomplete_archive_leaves_nothing_behind(registry: Serve, tmp_path: Path, data: bytes) -> None:
    registry(data)
    with pytest.raises(SandboxUnavailable, match="could not be fetched"):
        fetch.fetch_pyodide(tmp_path)
    assert everything_in(tmp_path) == []


def test_a_registry_that_does_not_answer_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:1")
    with pytest.raises(SandboxUnavailable, match=r"could not be fetched from http://127\.0\.0\.1:1/pyodide"):
        fetch.fetch_pyodide(tmp_path)


@pytest.mark.parametrize("configured", ["file:///etc", "", "undefined"])
def test_a_registry_is_a_web_address_or_the_public_one(monkeypatch: pytest.MonkeyPatch, configured: str) -> None:
    monkeypatch.setenv("npm_config_registry", configured)
    monkeypatch.setenv("PATH", "")      # no npm to ask
    assert fetch.registry() == fetch.PUBLIC_REGISTRY


def test_before_the_download_the_tiers_report_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match=r"was not fetched yet: `python -m engine\.sandbox`"):
        find_runtime(tmp_path)


def test_a_failed_download_leaves_the_other_tiers_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINDCUBES_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1")
    before = probe_sandboxes()[0]
    forget("wasm")
    try:
        prepare_sandboxes(tmp_path, is_public=True)
        jail, wasm = probe_sandboxes()
        assert jail == before
        assert "not fetched yet" in wasm.reason or "not installed" in wasm.reason
    finally:
        forget("wasm")
