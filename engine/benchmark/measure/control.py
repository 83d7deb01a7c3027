"""How a measurement reports its steps and is stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from ...background import JobStopped, StopSignal
from ...runtime.admission import Reservation
from .subject import Subject

MeasurementPhase = Literal["cell", "failed", "load", "warm-up", "prompt", "write", "chat", "visitors", "quality", "restore"]


@dataclass(frozen=True, slots=True)
class MeasurementStep:
    """`done` of `total` within a phase. `rate`: tokens per second of the latest repetition, 0 if there is none.

    `subject`: in the phase "cell", the cell that begins.
    """

    phase: MeasurementPhase
    done: int = 0
    total: int = 0
    rate: float = 0.0
    note: str = ""
    subject: Subject | None = None


def _silent(step: MeasurementStep) -> None:
    return


@dataclass(frozen=True, slots=True)
class Control:
    """`on_step` is called with every step, between measurements and never during one; `stop` ends the work within a token.

    `reservation`: the exclusive use that the measurement has.
    """

    on_step: Callable[[MeasurementStep], None] = _silent
    stop: StopSignal = field(default_factory=StopSignal)
    reservation: Reservation | None = None

    def check(self) -> None:
        """Raises JobStopped once `stop` is set."""
        if self.stop.is_set():
            raise JobStopped

    def step(self, step: MeasurementStep) -> None:
        """Raises JobStopped once `stop` is set."""
        self.check()
        self.on_step(step)
