"""Sandboxes for programs that a model wrote. A tier that fails one of its escape attempts on this machine is not used."""

from __future__ import annotations

from ..errors import SandboxUnavailable
from ..public_mode import SANDBOX_TIERS
from .base import Limits, ProducedFile, Restarted, RunResult, Sandbox, SandboxEvent, StdoutPiece, StillRunning, Tier, TierReport
from .folder import remove_own
from .prepare import prepare_sandboxes
from .probe import TIERS, probe_sandboxes, report_of

__all__ = [
    "Limits", "ProducedFile", "Restarted", "RunResult", "Sandbox", "SandboxEvent", "StdoutPiece", "StillRunning", "TierReport",
    "best_sandbox", "open_sandbox", "prepare_sandboxes", "probe_sandboxes", "remove_own",
]

DEFAULT_LIMITS = Limits()


def best_sandbox(*, is_public: bool = False) -> TierReport | None:
    """The tier that `open_sandbox` would use, or None. Probes it and the tiers before it if that was not done yet: up to 2 s each."""
    for candidate in _in_order(is_public):
        if (report := report_of(candidate)).is_available:
            return report
    return None


def _in_order(is_public: bool) -> tuple[Tier, ...]:
    """On a public page only the tier that shares less of the machine with visitors."""
    return tuple(tier for tier in TIERS if tier.name in SANDBOX_TIERS) if is_public else TIERS


def open_sandbox(tier: str | None = None, limits: Limits = DEFAULT_LIMITS, *, is_public: bool = False) -> Sandbox:
    """Open a session in the best tier that passed its probe, or in the named one. The first use of a tier probes it: up to 2 s.

    `is_public`: for visitors of a public page. Raises SandboxUnavailable.
    """
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
