"""One cell of a sweep: a model in one configuration, loaded and measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import StorageError
from ..models.spec import MIN_CONTEXT, LoadOptions, ModelSpec
from ..storage.loads import LoadHistory
from .measure.control import Control
from .measure.limits import LimitShare, share_of_limit
from .measure.load import VisitorPlan, measure_visitors
from .measure.speed import Speed, SpeedPlan, fitted, measure_speed
from .store.records import BenchmarkRun, environment_of, facts_of, new_uid, now

if TYPE_CHECKING:
    from ..runtime.engine import Engine


@dataclass(frozen=True, slots=True)
class CellPlan:
    """What to measure for one model. None: not measured."""

    speed: SpeedPlan | None = None
    visitors: VisitorPlan | None = None

    @property
    def load_options(self) -> LoadOptions:
        """Return load options with a cache for the whole plan: one window per concurrent visitor, each as long as the longest test."""
        windows = [plan.window_tokens for plan in (self.speed, self.visitors) if plan is not None]
        return LoadOptions(context_tokens=max(MIN_CONTEXT, *windows), visitors=max(self.visitors.levels) if self.visitors else 1)


def measure_loaded(engine: Engine, plan: CellPlan, control: Control | None = None, *, sweep: str = "", cell: str = "") -> BenchmarkRun:
    """Measure the loaded model. Blocking.

    Raises JobStopped, NoModelLoaded, EngineBusy, InvalidRequest (the window is too small) and GenerationFailed.
    """
    control = control or Control()
    with engine.serving() as model:
        speed = measure_speed(engine, fitted(plan.speed, model.window_tokens), control) if plan.speed else None
        crowds = measure_visitors(engine, plan.visitors, control) if plan.visitors else ()
        seconds, peak = latest_load(engine, model.spec)
        return BenchmarkRun(new_uid(), now(), environment_of(model, engine.hardware), facts_of(model), seconds, peak, speed,
                            _share(engine, speed), crowds, sweep=sweep, cell=cell)


def _share(engine: Engine, speed: Speed | None) -> LimitShare | None:
    """None for a model on another server, whose limits are not known."""
    spec = engine.spec
    if speed is None or spec is None or spec.is_remote:
        return None
    with engine.using() as active_model:
        candidate = active_model.candidate
        return share_of_limit(speed, candidate.shape, active_model.weight_bytes, candidate.dtype, candidate.held, engine.hardware)


def latest_load(engine: Engine, spec: ModelSpec) -> tuple[float | None, int | None]:
    """Return the seconds and peak bytes of the latest load of this model on this machine; None if unknown."""
    history, known = LoadHistory(engine.database), (spec.model, spec.quantization, engine.hardware.name)
    try:
        peak = history.last_peak(*known)
        return history.last_seconds(*known), peak.peak_bytes if peak else None
    except StorageError:        # unreadable history must not lose the new measurement
        return None, None
