"""Quality as a job: a text, a local task or lm-eval's tasks on the loaded model; what quantization costs; all kept as runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidRequest
from ..models.quantization import Quantization
from ..models.spec import ModelSpec
from .cells import latest_load
from .exclusive import ExclusiveUse
from .measure.control import Control
from .measure.machine import environment
from .quality.harness import checked_names, run_harness
from .quality.likelihood import TextPlan
from .quality.perplexity import COST_TOKENS, compare_quantizations, measure_perplexity
from .quality.tasks import MAX_SAMPLES, QualityTask, run_task
from .store.history import RunHistory
from .store.records import BenchmarkRun, facts_of, new_uid, now
from .store.scores import Score

if TYPE_CHECKING:
    from ..runtime.engine import Engine


@dataclass(frozen=True, slots=True)
class QualityPlan:
    """What to ask the loaded model: any of a plain text, a local task, and tasks of lm-eval by name."""

    text: str = ""
    text_plan: TextPlan = field(default_factory=TextPlan)
    task: QualityTask | None = None
    harness_tasks: tuple[str, ...] = ()
    harness_folder: Path | None = None
    limit: int | None = None        # samples of each task

    def __post_init__(self) -> None:
        if not (self.text or self.task or self.harness_tasks):
            raise InvalidRequest("quality", "nothing", "a text, a task, or names of lm-eval's tasks")
        checked_names(self.harness_tasks)
        if self.limit is not None and self.limit < 1:
            raise InvalidRequest("limit", self.limit, "at least 1")

    @property
    def title(self) -> str:
        return ", ".join([*(["text"] if self.text else []), *([self.task.name] if self.task else []), *self.harness_tasks])


@dataclass(frozen=True, slots=True)
class CostPlan:
    """Which quantizations of which model to compare with the model itself, on which text."""

    model: str
    text: str
    quantizations: tuple[Quantization, ...] = (Quantization.INT8, Quantization.NF4)
    max_tokens: int = COST_TOKENS

    def __post_init__(self) -> None:
        if Quantization.NONE in self.quantizations or not self.quantizations:
            raise InvalidRequest("quantizations", self.quantizations, "int8, nf4, or both: the reference is always measured")

    @property
    def title(self) -> str:
        return f"{ModelSpec(self.model).name} x {', '.join(self.quantizations)}"


def measure_quality(engine: Engine, plan: QualityPlan, control: Control | None = None) -> BenchmarkRun:
    """Judge the loaded model. Blocking.

    Raises JobStopped, NoModelLoaded, EngineBusy, InvalidRequest, GenerationFailed, MissingLibrary.
    """
    control = control or Control()
    scores: list[Score] = []
    with engine.using():
        if plan.text:
            scores.append(measure_perplexity(engine, plan.text, plan.text_plan, control))
        if plan.task:
            scores += run_task(engine, plan.task, control, plan.limit or MAX_SAMPLES)
        if plan.harness_tasks:
            scores += run_harness(engine, plan.harness_tasks, control, limit=plan.limit, folder=plan.harness_folder)
        return _run(engine, tuple(scores))


def run_cost(engine: Engine, history: RunHistory, plan: CostPlan, control: Control) -> tuple[str, ...]:
    """Measure what quantization costs, one model after the other; returns the runs, each kept as it ends.

    The model from before comes back. Raises JobStopped, StorageError, DiskFull, InvalidRequest, and what `Engine.load` raises.
    """
    uids: list[str] = []
    with ExclusiveUse(engine, control, f"quantizations are being compared ({plan.title})") as own:
        text_plan = TextPlan(max_tokens=plan.max_tokens)
        for _, scores in compare_quantizations(engine, plan.model, plan.quantizations, plan.text, own, text_plan):
            run = _run(engine, scores)
            history.add([run])
            uids.append(run.uid)
    return tuple(uids)


def _run(engine: Engine, scores: tuple[Score, ...]) -> BenchmarkRun:
    with engine.using() as active_model:
        seconds, peak = latest_load(engine, active_model.spec)
        return BenchmarkRun(new_uid(), now(), environment(engine.hardware), facts_of(active_model), seconds, peak, scores=scores)
