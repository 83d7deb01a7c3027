"""Pyodide, fetched once into the data folder by its version and checksum: `python -m engine.sandbox`.

Nothing here happens by itself: whoever wants the wasm tier asks for it, before a page is up or in the background.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
import zlib
from pathlib import Path

from ..errors import SandboxUnavailable

VERSION = "314.0.7"
SHA256 = "66b7949e5a0cba2250b586d7e368bf12fb482800748d182c4618254b685ffaa0"     # of the npm package's tarball
FILES = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "pyodide-lock.json", "python_stdlib.zip")
PUBLIC_REGISTRY = "https://registry.npmjs.org"
MAX_BYTES = 32 << 20            # the tarball has 6.2 MiB
MAX_FILE_BYTES = 64 << 20       # its largest file 9.2
PATIENCE_S = 30.0


def pyodide_folder(data_dir: Path) -> Path:
    """Where it lies once it was fetched; complete if it exists."""
    return data_dir / "sandbox" / f"pyodide-{VERSION}"


def fetch_pyodide(data_dir: Path) -> Path:
    """The folder, at once where it exists; else blocks for a download of 6 MiB. Raises SandboxUnavailable."""
    folder = pyodide_folder(data_dir)
    if folder.is_dir():
        return folder
    address = f"{registry()}/pyodide/-/pyodide-{VERSION}.tgz"
    try:
        tarball = _download(address)
        if hashlib.sha256(tarball).hexdigest() != SHA256:
            raise SandboxUnavailable(f"what {address} sent is not Pyodide {VERSION}: its checksum is another")
        folder.parent.mkdir(parents=True, exist_ok=True)
        _unpack(tarball, folder)
    except (OSError, EOFError, ValueError, http.client.HTTPException, tarfile.TarError, zlib.error) as error:
        raise SandboxUnavailable(f"Pyodide {VERSION} could not be fetched from {address} ({error})") from error
    return folder


def registry() -> str:
    """The npm registry that this machine is set up for: the environment, .npmrc where npm is there to read it, or the public one."""
    told = next((value for name, value in os.environ.items() if name.lower() == "npm_config_registry"), "") or _npms_registry()
    return (told if told.startswith(("https://", "http://")) else PUBLIC_REGISTRY).rstrip("/")


def _npms_registry() -> str:
    npm = shutil.which("npm")
    if npm is None:
        return ""
    try:
        return subprocess.run([npm, "config", "get", "registry"], capture_output=True, text=True, timeout=PATIENCE_S).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _download(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=PATIENCE_S) as reply:
        tarball = bytes(reply.read(MAX_BYTES))
    return tarball


def _unpack(tarball: bytes, folder: Path) -> None:
    """Only the files it must have, written under names of our own: no path of the archive is ever used."""
    with tempfile.TemporaryDirectory(prefix="coming-", dir=folder.parent) as name, \
            tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as archive:
        coming = Path(name) / "pyodide"
        coming.mkdir()
        for file in FILES:
            member = archive.getmember(f"package/{file}") if f"package/{file}" in archive.getnames() else None
            source = archive.extractfile(member) if member is not None and member.isreg() and member.size <= MAX_FILE_BYTES else None
            if source is None:
                raise ValueError(f"no file {file} in it")
            (coming / file).write_bytes(source.read())
        try:
            coming.rename(folder)
        except OSError:
            if not folder.is_dir():     # else another process was faster
                raise
