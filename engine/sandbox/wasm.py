"""The wasm tier: CPython compiled to WebAssembly (Pyodide), inside a Deno process that may do nothing. For every platform.

One process per box, started with an empty environment. Its walls, from the inside: WebAssembly's memory; Deno's permissions (none: what it
read to start was given up before the first program); on Linux Landlock, seccomp, resource limits and no capabilities around the process.
A program has files in memory only. They travel as messages, and the host decides what becomes of them.

Gaps, known and accepted:
- Programs reach all of JavaScript in their process (`import js`): the wall is Deno's, not Python's. Its version, the process ids and the
  paths of its scripts can be seen.
- Memory that JavaScript holds is looked at 20 times a second. On Linux the kernel holds a limit of its own, some 400 MiB above.
- Outside Linux the process is as free as Deno's permissions say, and its priority is the page's.
- A box takes 230 MiB while it waits, three times what a jail takes.
- No threads, no processes, no sockets, no packages beside the standard library.
- What a killed program wrote is lost with its memory; files of the programs before are not.
- Whatever a program leaves in the interpreter, the next one of the same box meets: a box is one visitor's, never passed on.
"""

from __future__ import annotations

from ..settings import Settings
from .base import Limits, Sandbox
from .box import Box
from .deno import DenoGuest
from .runtime import Runtime, find_runtime


class WasmTier:
    name = "wasm"
    packages: tuple[str, ...] = ()

    def open(self, limits: Limits) -> Sandbox:
        """Raises SandboxUnavailable. The first one after an update takes 4 s longer: it makes the snapshot."""
        return WasmBox(limits, find_runtime(Settings.from_env().data_dir))


class WasmBox(Box):
    def __init__(self, limits: Limits, runtime: Runtime) -> None:
        """Starts the first guest. Raises SandboxUnavailable."""
        super().__init__(WasmTier.name, limits, {}, lambda files, limits: DenoGuest(files, limits, runtime))
