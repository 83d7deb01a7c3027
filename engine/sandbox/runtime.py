"""Runtime of the wasm tier: Deno from this Python environment, Pyodide from the data folder, and a snapshot of its memory."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..errors import SandboxUnavailable
from .fetch import SHA256, VERSION, pyodide_folder

log = logging.getLogger(__name__)
SCRIPTS, GUEST = (Path(__file__).resolve().parent / name for name in ("pyodide", "guest"))
OFFLINE = ("--no-prompt", "--no-remote", "--no-npm", "--no-config", "--no-lock", "--cached-only")
SNAPSHOT_S = 60.0               # making one takes 4 s
_making = threading.Lock()
_given_up: set[Path] = set()    # snapshots that could not be made; tried once per process


@dataclass(frozen=True, slots=True)
class Runtime:
    """`snapshot`: None if it could not be made; Python then takes 3 s to start instead of 0.5."""

    deno: str
    pyodide: Path
    snapshot: Path | None


def find_runtime(data_dir: Path) -> Runtime:
    """Return the runtime; creates the snapshot if it is missing (4 s, once). Downloads nothing. Raises SandboxUnavailable."""
    deno, folder = _deno(), pyodide_folder(data_dir).resolve()
    if not folder.is_dir():
        raise SandboxUnavailable(f"Pyodide {VERSION} was not fetched yet: `python -m engine.sandbox` does that")
    return Runtime(deno, folder, _snapshot(deno, folder))


def _deno() -> str:
    try:
        from deno import find_deno_bin

        return os.path.realpath(os.fsdecode(find_deno_bin()))
    except (ImportError, FileNotFoundError) as error:
        raise SandboxUnavailable("the package deno is not installed: `pip install deno`") from error


def _snapshot(deno: str, folder: Path) -> Path | None:
    path = folder.parent / f"snapshot-{_fingerprint()}.bin"
    with _making:
        if not path.is_file() and path not in _given_up:
            try:
                _make_snapshot(deno, folder, path)
            except (OSError, subprocess.SubprocessError) as error:
                log.warning("no snapshot of Pyodide could be made, so wasm sandboxes open slowly: %s", error)
                _given_up.add(path)
    return None if path in _given_up else path


def _fingerprint() -> str:
    """Return a hash that changes whenever the snapshot's contents, or anything that reads it, changes."""
    try:
        engine = version("deno")
    except PackageNotFoundError:
        engine = ""
    digest = hashlib.sha256(f"{VERSION} {SHA256} {engine}".encode())
    for path in sorted((*SCRIPTS.glob("*.mjs"), *GUEST.glob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _make_snapshot(deno: str, folder: Path, path: Path) -> None:
    """Create the snapshot. Only our own code and Pyodide's runs here. Raises OSError and SubprocessError."""
    with tempfile.TemporaryDirectory(prefix="coming-", dir=path.parent) as name:
        coming = Path(name).resolve() / "snapshot.bin"
        subprocess.run([
            deno, "run", *OFFLINE, f"--allow-read={path_list(folder, SCRIPTS, GUEST)}", f"--allow-write={path_list(coming)}",
            str(SCRIPTS / "snapshot.mjs"), str(folder), str(GUEST), str(coming),
        ], env={"DENO_DIR": name}, check=True, timeout=SNAPSHOT_S, capture_output=True)
        for old in path.parent.glob("snapshot-*.bin"):
            old.unlink(missing_ok=True)
        coming.replace(path)


def path_list(*paths: Path) -> str:
    """Return paths as the value of a Deno flag, in which a comma in a path is doubled."""
    return ",".join(str(path).replace(",", ",,") for path in paths)
