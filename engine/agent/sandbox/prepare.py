"""The sandboxes made ready while a page is already up."""

from __future__ import annotations

import logging
from pathlib import Path

from ...errors import SandboxUnavailable
from .fetch import VERSION, fetch_pyodide, pyodide_folder
from .probe import TIERS, forget, probe_sandboxes, report_of
from .runtime import find_runtime
from .wasm import WasmTier

log = logging.getLogger(__name__)


def prepare_sandboxes(data_dir: Path) -> None:
    """Probe what is there, then fetch what the wasm tier lacks and probe that: 3 s, and some 10 more the first time.

    Blocks, so it wants a thread of its own. What cannot be had is logged, and stands in the tier's report."""
    probe_sandboxes()
    if pyodide_folder(data_dir).is_dir():
        return
    log.info("fetching Pyodide %s for the wasm sandbox", VERSION)
    try:
        fetch_pyodide(data_dir)
        find_runtime(data_dir)
    except SandboxUnavailable as unavailable:
        log.warning("sandbox wasm is off: %s", unavailable.reason)
        return
    forget(WasmTier.name)
    report_of(next(tier for tier in TIERS if tier.name == WasmTier.name))
