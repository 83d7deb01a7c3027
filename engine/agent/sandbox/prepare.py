"""The wasm tier made ready while a page is already up."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from ...errors import SandboxUnavailable
from .fetch import fetch_pyodide
from .probe import TIERS, forget, report_of
from .runtime import find_runtime
from .wasm import WasmTier

log = logging.getLogger(__name__)


def prepare_wasm(data_dir: Path) -> threading.Thread:
    """Fetch what is missing, make the snapshot, probe: in the background, some 10 s the first time, 2 s after that.

    Until it has ended, and where it failed, the tier's report says why it is off."""
    thread = threading.Thread(target=_prepare, args=(data_dir,), name="sandbox-prepare", daemon=True)
    thread.start()
    return thread


def _prepare(data_dir: Path) -> None:
    try:
        fetch_pyodide(data_dir)
        find_runtime(data_dir)
    except SandboxUnavailable as unavailable:
        log.warning("sandbox wasm is off: %s", unavailable.reason)
        return
    wasm = next(tier for tier in TIERS if tier.name == WasmTier.name)
    if not report_of(wasm).is_available:
        forget(wasm.name)       # it was asked for before everything was there
        report_of(wasm)
