"""The sandboxes made ready while a page is already up."""

from __future__ import annotations

import logging
from pathlib import Path

from ..errors import SandboxUnavailable
from .fetch import VERSION, fetch_pyodide, pyodide_folder
from .probe import TIERS, forget, probe_sandboxes, report_of
from .runtime import find_runtime
from .wasm import WasmTier

log = logging.getLogger(__name__)


def prepare_sandboxes(data_dir: Path, *, is_public: bool = False) -> None:
    """Probe the tier that is taken here. Where that is wasm (for strangers, and where there is no jail), fetch what it lacks before.

    Blocks for a second, and some 10 more the first time wasm is wanted, so it wants a thread of its own. What cannot be had is
    logged, and stands in the tier's report.
    """
    if not is_public and report_of(TIERS[0]).is_available:
        return
    if not pyodide_folder(data_dir).is_dir():
        log.info("fetching Pyodide %s for the wasm sandbox", VERSION)
        try:
            fetch_pyodide(data_dir)
            find_runtime(data_dir)
        except SandboxUnavailable as unavailable:
            log.warning("sandbox wasm is off: %s", unavailable.reason)
        forget(WasmTier.name)
    probe_sandboxes()
