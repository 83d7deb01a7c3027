"""Boxes to run a model's programs in. A tier that failed one of its escape attempts on this machine is off."""

from __future__ import annotations

from ...errors import SandboxUnavailable
from .base import Limits, ProducedFile, Restarted, RunResult, Sandbox, SandboxEvent, StdoutPiece, StillRunning, TierReport
from .probe import TIERS, probe_sandboxes

__all__ = [
    "Limits", "ProducedFile", "Restarted", "RunResult", "Sandbox", "SandboxEvent", "StdoutPiece", "StillRunning", "TierReport",
    "open_sandbox", "probe_sandboxes",
]

DEFAULT_LIMITS = Limits()


def open_sandbox(tier: str | None = None, limits: Limits = DEFAULT_LIMITS) -> Sandbox:
    """A fresh box of the best tier that passed its probe, or of the one named. The first call probes: up to 2 s.

    Raises SandboxUnavailable when there is none."""
    reports = {report.tier: report for report in probe_sandboxes()}
    if tier is not None and tier not in reports:
        raise SandboxUnavailable(f"there is no tier {tier!r}, only {', '.join(reports)}")
    for candidate in TIERS:
        if tier in (None, candidate.name) and reports[candidate.name].is_available:
            return candidate.open(limits)
    raise SandboxUnavailable("; ".join(f"{name}: {reports[name].reason}" for name in ([tier] if tier else reports)))
