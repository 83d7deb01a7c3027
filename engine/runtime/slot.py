"""The one place where a model lives: who may come in, how it goes out, and what came back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..hardware import Hardware
from ..models.loader import collect
from ..models.spec import Released

if TYPE_CHECKING:
    from .active_model import ActiveModel


class Slot:
    """Holds the only strong reference to the loaded model. `changed` guards it and tells whoever waits for a model."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._active_model: ActiveModel | None = None

    @property
    def active_model(self) -> ActiveModel | None:
        return self._active_model

    def put(self, active_model: ActiveModel) -> None:
        with self.changed:
            self._active_model = active_model
            self.changed.notify_all()

    def enter(self) -> ActiveModel | None:
        """The model with one more reader; None where there is none, or it is on its way out."""
        active_model = self._active_model
        return active_model if active_model is not None and active_model.enter() else None

    def empty(self, hardware: Hardware, drain_timeout_s: float, announce: Callable[[int], None] = lambda users: None) -> Released:
        """Wait for running replies (bounded), free the model, measure what came back. `announce` hears how many replies are left."""
        started = time.monotonic()
        with self.changed:
            active_model, self._active_model = self._active_model, None
        if active_model is None:
            return Released(0, 0, 0.0)
        before, expected = hardware.used_bytes(), active_model.held_bytes
        active_model.release(drain_timeout_s, announce)
        del active_model
        collect()
        return Released(expected, before - hardware.used_bytes(), time.monotonic() - started)

    def discard(self) -> None:
        """Stop everything without waiting for replies. For the end of the process."""
        active_model, self._active_model = self._active_model, None
        if active_model:
            active_model.release(drain_timeout_s=0)
