"""The one place where a model lives: who may come in, how it goes out, and what came back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .hardware import Hardware
from .models.loader import collect
from .models.spec import Released

if TYPE_CHECKING:
    from .residence import Residence


class Slot:
    """Holds the only strong reference to the loaded model. `changed` guards it and tells whoever waits for a model."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._residence: Residence | None = None

    @property
    def residence(self) -> Residence | None:
        return self._residence

    def put(self, residence: Residence) -> None:
        with self.changed:
            self._residence = residence
            self.changed.notify_all()

    def enter(self) -> Residence | None:
        """The model with one more reader; None where there is none, or it is on its way out."""
        residence = self._residence
        return residence if residence is not None and residence.enter() else None

    def empty(self, hardware: Hardware, drain_timeout_s: float, announce: Callable[[int], None] = lambda users: None) -> Released:
        """Wait for running replies (bounded), free the model, measure what came back. `announce` hears how many replies are left."""
        started = time.monotonic()
        with self.changed:
            residence, self._residence = self._residence, None
        if residence is None:
            return Released(0, 0, 0.0)
        before, expected = hardware.used_bytes(), residence.held_bytes
        residence.release(drain_timeout_s, announce)
        del residence
        collect()
        return Released(expected, before - hardware.used_bytes(), time.monotonic() - started)

    def discard(self) -> None:
        """Stop everything without waiting for replies. For the end of the process."""
        residence, self._residence = self._residence, None
        if residence:
            residence.release(drain_timeout_s=0)
