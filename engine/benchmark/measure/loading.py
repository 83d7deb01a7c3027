"""Loads a model as part of a measurement."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from ...models.spec import LoadOptions, ModelSpec
from .control import Control, MeasurementStep

if TYPE_CHECKING:
    from ...runtime.engine import Engine


def load_model(engine: Engine, spec: ModelSpec, options: LoadOptions, control: Control) -> None:
    """Load a model. Raises JobStopped, in which case the load continues, and what `Engine.load` raises."""
    said = ""
    with closing(engine.load(spec, options, reservation=control.reservation)) as events:   
        for event in events:
            control.check()
            if event.note != said:
                said = event.note
                control.step(MeasurementStep("load", event.done, event.total, note=said))
