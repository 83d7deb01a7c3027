"""What a measurement says while it runs, and how it hears that it should stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from ...background import JobStopped, StopSignal
from ...runtime.admission import Reservation

MeasurementPhase = Literal["cell", "failed", "load", "warm-up", "prompt", "write", "chat", "visitors", "quality", "restore"]


@dataclass(frozen=True, slots=True)
class MeasurementStep:
    """`done` of `total` within a phase. `rate`: tokens per second of the latest repetition, 0 if there is none."""

    phase: MeasurementPhase
    done: int = 0
    total: int = 0
    rate: float = 0.0
    note: str = ""


def _silent(step: MeasurementStep) -> None:
    return


@dataclass(frozen=True, slots=True)
class Control:
    """`tell` hears every step, between measurements and never within one; setting `stop` ends the work within a token.

    `reservation`: lets the measurement in where everybody else waits.
    """

    tell: Callable[[MeasurementStep], None] = _silent
    stop: StopSignal = field(default_factory=StopSignal)
    reservation: Reservation | None = None

    def check(self) -> None:
        """Raises JobStopped once `stop` is set."""
        if self.stop.is_set():
            raise JobStopped

    def step(self, step: MeasurementStep) -> None:
        """Raises JobStopped once `stop` is set."""
        self.check()
        self.tell(step)
