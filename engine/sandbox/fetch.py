"""Downloads Pyodide once into the data folder, by version and checksum: `python -m engine.sandbox`.

Nothing is downloaded on import: only on request, before the page is up or in the background.
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
TIMEOUT_S = 30.0


def pyodide_folder(data_dir: Path) -> Path:
    """Return the folder of the downloaded Pyodide; complete if it exists."""
    return data_dir / "sandbox" / f"pyodide-{VERSION}"


def fetch_pyodide(data_dir: Path) -> Path:
    """Return the folder; if it does not exist, download 6 MiB first, which blocks. Raises SandboxUnavailable."""
    folder = pyodide_folder(data_dir)
    if folder.is_dir():
        return folder
    address = f"{registry()}/pyodide/-/pyodide-{VERSION}.tgz"
    try:
        tarball = _download(address)
        if hashlib.sha256(tarball).hexdigest() != SHA256:
            raise SandboxUnavailable(f"what {address} sent is not Pyodide {VERSION}: its checksum differs")
        folder.parent.mkdir(parents=True, exist_ok=True)
        _unpack(tarball, folder)
    except (OSError, EOFError, ValueError, http.client.HTTPException, tarfile.TarError, zlib.error) as error:
        raise SandboxUnavailable(f"Pyodide {VERSION} could not be fetched from {address} ({error})") from error
    return folder


def registry() -> str:
    """The npm registry that this machine is configured for: from the environment, from .npmrc if npm is installed, or the public one."""
    configured = next((value for name, value in os.environ.items() if name.lower() == "npm_config_registry"), "") or _npms_registry()
    return (configured if configured.startswith(("https://", "http://")) else PUBLIC_REGISTRY).rstrip("/")


def _npms_registry() -> str:
    npm = shutil.which("npm")
    if npm is None:
        return ""
    try:
        return subprocess.run([npm, "config", "get", "registry"], capture_output=True, text=True, timeout=TIMEOUT_S).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _download(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=TIMEOUT_S) as reply:
        tarball = bytes(reply.read(MAX_BYTES))
    return tarball


def _unpack(tarball: bytes, folder: Path) -> None:
    """Extract only FILES, under our own names: no path of the archive is used."""
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
            if not folder.is_dir():     # otherwise another process has created it meanwhile
                raise
