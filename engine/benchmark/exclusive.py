"""Exclusive use of the engine: other visitors wait or are refused, and the previous model is loaded again at the end."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING

from ..background import BackgroundTask, JobStopped, StopSignal
from ..errors import EngineError
from ..runtime.admission import OthersMessages, Reservation
from .measure.control import Control, MeasurementStep

if TYPE_CHECKING:
    from ..runtime.engine import Engine

log = logging.getLogger(__name__)


class ExclusiveUse:
    """`with ExclusiveUse(engine, control, why) as control: ...`: the new control carries the reservation.

    If the work was cancelled, the block ends at once, the previous model is loaded in the background, and the engine stays reserved
    until it is loaded. Otherwise the block ends when that model is loaded. A second exclusive use waits for the end of the first.
    """

    def __init__(self, engine: Engine, control: Control, why: str, visitors: OthersMessages = "wait") -> None:
        self._engine, self._control = engine, control
        self._reservation = Reservation(why, visitors)

    def __enter__(self) -> Control:
        admission, stop = self._engine.admission, self._control.stop
        admission.wait_until(lambda: admission.reserve(self._reservation), stop)
        try:
            self._control.check()
            admission.wait_until(lambda: admission.is_settled, stop)
            self._control.check()
        except BaseException:
            admission.release(self._reservation)
            raise
        self._before = self._engine.current
        return Control(self._control.on_step, self._control.stop, self._reservation)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, JobStopped):
            BackgroundTask(self._give_back, lambda: None, name="restore").start()
            return
        self._give_back()

    def _give_back(self) -> None:
        engine, mine = self._engine, self._reservation
        try:
            engine.admission.wait_until(lambda: engine.admission.is_settled, StopSignal())
            if engine.current == self._before:
                return
            if self._before is None:
                engine.unload("stop", reservation=mine)
                return
            if not self._control.stop.is_set():
                self._control.on_step(MeasurementStep("restore", note=f"Loading {self._before[0].name}"))
            for _ in engine.load(*self._before, reservation=mine):
                pass
        except EngineError as failure:      # the engine's status reports it as well
            log.error("The model from before a measurement could not be loaded again: %s", failure)
        except JobStopped:     # cancelled during the restore, which continues
            self._give_back()
        finally:
            engine.admission.release(mine)
