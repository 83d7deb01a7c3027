"""The engine for one piece of long work: until it is over, everybody else's messages wait or are refused, and loads are."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

from ..errors import EngineBusy

Behaviour = Literal["wait", "refuse"]
LOOK_S = 0.1        # how often whoever waits hears something


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """`why`: what is going on, for whoever waits. Two of them are never equal: who holds it is let in."""

    why: str
    visitors: Behaviour = "wait"

    def refusal(self) -> EngineBusy:
        return EngineBusy(self.why, "Try again when it is over.")


class Door:
    """Who is let in to the engine. `changed` guards it and is told when it opens."""

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._held: Reservation | None = None

    @property
    def why(self) -> str:
        """What everybody waits for; empty while the door is open."""
        held = self._held
        return held.why if held else ""

    def reserve(self, reservation: Reservation) -> bool:
        """Keep the engine for whoever holds `reservation`; False while another one is held."""
        with self._changed:
            self._held = self._held or reservation
            return self._held is reservation

    def release(self, reservation: Reservation) -> None:
        with self._changed:
            if self._held is reservation:
                self._held = None
                self._changed.notify_all()

    def require(self, reservation: Reservation | None) -> None:
        """Raises EngineBusy while another reservation is held."""
        held = self._held
        if held not in (None, reservation):
            raise held.refusal()

    def is_barred(self, reservation: Reservation | None) -> bool:
        """Whether a reply has to wait, after a short wait. Raises EngineBusy where it is not to wait."""
        with self._changed:
            held = self._held
            if held is None or held is reservation:
                return False
            if held.visitors == "refuse":
                raise held.refusal()
            self._changed.wait(LOOK_S)
        return True
