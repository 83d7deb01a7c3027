"""Prepares the sandboxes in the background while the page is already up."""

from __future__ import annotations

import logging
from pathlib import Path

from ..errors import SandboxUnavailable
from .fetch import VERSION, fetch_pyodide, pyodide_folder
from .folder import remove_left_behind
from .probe import TIERS, forget, probe_sandboxes, report_of
from .runtime import find_runtime
from .wasm import WasmTier

log = logging.getLogger(__name__)


def prepare_sandboxes(data_dir: Path, *, is_public: bool = False) -> None:
    """Remove what a killed process left behind, then probe the tier used here; for wasm, download Pyodide first.

    Wasm is used on a public page, or if the jail is not available.

    Blocks for a second, and some 10 more the first time wasm is needed: call it in a thread. Failures are logged and become the
    reason in the tier's report.
    """
    try:
        remove_left_behind()
    except OSError as error:
        log.warning("folders of an earlier process could not be removed: %s", error)
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
