"""Boxes to run a model's programs in. A tier that failed one of its escape attempts on this machine is off."""

from __future__ import annotations

from ..errors import SandboxUnavailable
from .base import Limits, ProducedFile, Restarted, RunResult, Sandbox, SandboxEvent, StdoutPiece, StillRunning, Tier, TierReport
from .prepare import prepare_sandboxes
from .probe import TIERS, probe_sandboxes, report_of

__all__ = [
    "Limits", "ProducedFile", "Restarted", "RunResult", "Sandbox", "SandboxEvent", "StdoutPiece", "StillRunning", "TierReport",
    "best_sandbox", "open_sandbox", "prepare_sandboxes", "probe_sandboxes",
]

DEFAULT_LIMITS = Limits()


def best_sandbox(*, is_public: bool = False) -> TierReport | None:
    """The tier that `open_sandbox` takes, or None. Only tiers that come before it are probed, too, if they were not yet: up to 2 s each."""
    for candidate in _in_order(is_public):
        if (report := report_of(candidate)).is_available:
            return report
    return None


def _in_order(is_public: bool) -> tuple[Tier, ...]:
    """For strangers the tier that shares no kernel with them comes first."""
    return TIERS[::-1] if is_public else TIERS


def open_sandbox(tier: str | None = None, limits: Limits = DEFAULT_LIMITS, *, is_public: bool = False) -> Sandbox:
    """A fresh box of the best tier that passed its probe, or of the one named. The first call of a tier probes it: up to 2 s.

    `is_public`: for strangers. Raises SandboxUnavailable when there is none."""
    names = [candidate.name for candidate in TIERS]
    if tier is not None and tier not in names:
        raise SandboxUnavailable(f"there is no tier {tier!r}, only {', '.join(names)}")
    reasons = []
    for candidate in _in_order(is_public):
        if tier not in (None, candidate.name):
            continue
        report = report_of(candidate)
        if report.is_available:
            return candidate.open(limits)
        reasons.append(f"{candidate.name}: {report.reason}")
    raise SandboxUnavailable("; ".join(reasons))
