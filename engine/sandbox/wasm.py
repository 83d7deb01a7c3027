"""The wasm tier: CPython compiled to WebAssembly (Pyodide), in a Deno process without permissions. For every platform.

One process per session, started with an empty environment. Its boundaries, from the inside out: WebAssembly's memory; Deno's permissions
(none: the right to read its own files is revoked before the first program); on Linux Landlock, seccomp, resource limits and no
capabilities for the process. Programs have files in memory only; they are transferred as messages, and the host decides what to keep.
docs/sandbox.md lists what is covered, with the command that proves each line.

Known and accepted gaps:
- Programs reach all of JavaScript in their process (`import js`): the boundary is Deno, not Python. Deno's version, the process ids and
  the paths of its scripts are visible.
- Memory held by JavaScript is measured 20 times a second. On Linux the kernel enforces another limit, some 400 MiB higher.
- Outside Linux Deno's permissions are the only boundary, and the process has the page's priority.
- An idle session takes 230 MiB, three times as much as in the jail.
- No threads, processes, sockets, or packages besides the standard library.
- Files of a killed program are lost with its memory; files of earlier programs are not.
- The next program in the same session sees what a program leaves in the interpreter: a session belongs to one visitor.
"""

from __future__ import annotations

from ..settings import Settings
from .base import Limits, Sandbox
from .deno import DenoGuest
from .runtime import Runtime, find_runtime
from .session import SandboxSession


class WasmTier:
    name = "wasm"
    packages: tuple[str, ...] = ()

    def open(self, limits: Limits) -> Sandbox:
        """Open a session; the first one after an update takes 4 s longer, to make the snapshot. Raises SandboxUnavailable."""
        return WasmSession(limits, find_runtime(Settings.from_env().data_dir))


class WasmSession(SandboxSession):
    def __init__(self, limits: Limits, runtime: Runtime) -> None:
        """Start the first guest. Raises SandboxUnavailable."""
        super().__init__(WasmTier.name, limits, {}, lambda files, limits: DenoGuest(files, limits, runtime))
