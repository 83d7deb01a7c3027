"""A sweep over models, quantizations and contexts, cell by cell. Each cell is saved when it ends; a resumed sweep measures the rest."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from ..errors import EngineError, InvalidRequest, StorageError
from ..models.quantization import Quantization
from ..models.spec import ModelSpec
from ..runtime.admission import OthersMessages
from ..storage import strict
from ..storage.formats import Value
from .cells import CellPlan, measure_loaded
from .exclusive import ExclusiveUse
from .measure.control import Control, MeasurementStep
from .measure.load import VisitorPlan
from .measure.loading import load_model
from .measure.speed import SpeedPlan
from .measure.subject import Subject, subject_facts
from .store.history import RunHistory

if TYPE_CHECKING:
    from ..runtime.engine import Engine

MAX_CELLS = 500


@dataclass(frozen=True, slots=True)
class SweepCell:
    """`context_tokens` are in the window before tg begins. `key` is its place in the plan."""

    key: str
    spec: ModelSpec
    context_tokens: int

    @property
    def subject(self) -> Subject:
        return Subject.of(self.spec, context_tokens=self.context_tokens)


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """`crowd`: concurrent visitors, measured at the first context only. `visitors`: whether their messages wait or are refused."""

    models: tuple[str, ...]
    quantizations: tuple[Quantization, ...] = (Quantization.NONE,)
    contexts: tuple[int, ...] = (0,)
    speed: SpeedPlan = field(default_factory=SpeedPlan)
    crowd: VisitorPlan | None = None
    visitors: str = "wait"

    def __post_init__(self) -> None:
        for name in ("models", "quantizations", "contexts"):
            if not getattr(self, name):
                raise InvalidRequest(name, "empty", "one or more")
        if self.visitors not in ("wait", "refuse"):
            raise InvalidRequest("visitors", self.visitors, "wait or refuse")
        count = len(self.models) * len(self.quantizations) * len(self.contexts)
        if count > MAX_CELLS:
            raise InvalidRequest("cells", count, f"at most {MAX_CELLS}")
        for context in self.contexts:
            replace(self.speed, depth_tokens=context)       # checks its range

    @property
    def cells(self) -> tuple[SweepCell, ...]:
        return tuple(SweepCell(f"{number}/{quantization}/{context}", ModelSpec(model, quantization=quantization), context)
                     for number, model in enumerate(self.models) for quantization in self.quantizations for context in self.contexts)

    @property
    def subject(self) -> Subject:
        tests = (f"pp{self.speed.prompt_tokens}", f"tg{self.speed.new_tokens}")
        return Subject(tuple(ModelSpec(model).name for model in self.models), self.quantizations, self.contexts, tests)

    @property
    def behaviour(self) -> OthersMessages:
        return "refuse" if self.visitors == "refuse" else "wait"

    def cell_plan(self, cell: SweepCell) -> CellPlan:
        crowd = self.crowd if cell.context_tokens == self.contexts[0] else None
        return CellPlan(replace(self.speed, depth_tokens=cell.context_tokens), crowd)


@dataclass(frozen=True, slots=True)
class FailedCell:
    """`subject`: None in results of earlier versions, which have only a title."""

    title: str
    error: str
    subject: Subject | None = None


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The result of a job. `uids`: of the saved runs, in the order of measurement."""

    uids: tuple[str, ...]
    failed: tuple[FailedCell, ...] = ()


def run_sweep(engine: Engine, history: RunHistory, sweep: str, plan: SweepPlan, control: Control) -> SweepResult:
    """Measure the cells that are not saved yet; a failed cell does not affect the others. Raises JobStopped and StorageError."""
    uids: list[str] = []
    failed: list[FailedCell] = []
    done = history.cells(sweep)
    with ExclusiveUse(engine, control, f"a benchmark is running ({plan.subject.title})", plan.behaviour) as own:
        for cell in plan.cells:
            if cell.key in done:
                continue
            try:
                uids.append(_one_cell(engine, history, sweep, plan, cell, own))
            except StorageError:
                raise
            except EngineError as error:
                failed.append(FailedCell(cell.subject.title, str(error), cell.subject))
                own.step(MeasurementStep("failed", note=f"{cell.subject.title}: {error}"))
    return SweepResult(tuple(uids), tuple(failed))


def _one_cell(engine: Engine, history: RunHistory, sweep: str, plan: SweepPlan, cell: SweepCell, control: Control) -> str:
    control.step(MeasurementStep("cell", subject=cell.subject))
    todo = plan.cell_plan(cell)
    load_model(engine, cell.spec, todo.load_options, control)
    run = measure_loaded(engine, todo, control, sweep=sweep, cell=cell.key)
    history.add([run])
    return run.uid


def sweep_facts(sweep: str, plan: SweepPlan) -> str:
    return subject_facts(plan.subject, sweep=sweep, plan=asdict(plan))


def read_facts(facts: str) -> tuple[str, SweepPlan]:
    """Return the sweep's id and plan from a job's facts. Raises InvalidRequest."""
    value = Value(json.loads(facts or "null"), "the sweep")
    return value.get("sweep").text(), strict.read(SweepPlan, value.get("plan").value, "the sweep")
