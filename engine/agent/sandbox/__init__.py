"""Boxes to run a model's programs in. A tier that failed one of its escape attempts on this machine is off."""

from __future__ import annotations

from ...errors import SandboxUnavailable
from .base import Limits, ProducedFile, Restarted, RunResult, Sandbox, SandboxEvent, StdoutPiece, StillRunning, TierReport
from .prepare import prepare_sandboxes
from .probe import TIERS, probe_sandboxes, report_of

__all__ = [
    "Limits", "ProducedFile", "Restarted", "RunResult", "Sandbox", "SandboxEvent", "StdoutPiece", "StillRunning", "TierReport",
    "open_sandbox", "prepare_sandboxes", "probe_sandboxes",
]

DEFAULT_LIMITS = Limits()


def open_sandbox(tier: str | None = None, limits: Limits = DEFAULT_LIMITS, *, is_public: bool = False) -> Sandbox:
    """A fresh box of the best tier that passed its probe, or of the one named. The first call of a tier probes it: up to 2 s.

    `is_public`: for strangers the tier that shares no kernel with them comes first. Raises SandboxUnavailable when there is none."""
    names = [candidate.name for candidate in TIERS]
    if tier is not None and tier not in names:
        raise SandboxUnavailable(f"there is no tier {tier!r}, only {', '.join(names)}")
    reasons = []
    for candidate in reversed(TIERS) if is_public else TIERS:
        if tier not in (None, candidate.name):
            continue
        report = report_of(candidate)
        if report.is_available:
            return candidate.open(limits)
        reasons.append(f"{candidate.name}: {report.reason}")
    raise SandboxUnavailable("; ".join(reasons))
