"""Quality measurements as jobs: a text, a local task or lm-eval's tasks on the loaded model, and the cost of quantization."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidRequest
from ..models.quantization import Quantization
from ..models.spec import ModelSpec
from .cells import latest_load
from .exclusive import ExclusiveUse
from .measure.control import Control
from .measure.subject import Subject
from .quality.harness import checked_names, run_harness
from .quality.likelihood import TextPlan
from .quality.perplexity import COST_TOKENS, compare_quantizations, measure_perplexity
from .quality.tasks import MAX_SAMPLES, QualityTask, run_task
from .store.history import RunHistory
from .store.records import BenchmarkRun, environment_of, facts_of, new_uid, now
from .store.scores import Score

if TYPE_CHECKING:
    from ..runtime.engine import Engine


@dataclass(frozen=True, slots=True)
class QualityPlan:
    """What to evaluate the loaded model on: a plain text, a local task, lm-eval's tasks by name."""

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
    def tasks(self) -> tuple[str, ...]:
        """The names of all tasks. That of a plain text is "text"."""
        return (*(["text"] if self.text else []), *([self.task.name] if self.task else []), *self.harness_tasks)


@dataclass(frozen=True, slots=True)
class CostPlan:
    """The model, the quantizations to compare it with, and the text. Without quantizations: all that the machine supports."""

    model: str
    text: str
    quantizations: tuple[Quantization, ...] = ()
    max_tokens: int = COST_TOKENS

    def __post_init__(self) -> None:
        if Quantization.NONE in self.quantizations:
            raise InvalidRequest("quantizations", self.quantizations, "int8, int4, nf4: the reference is always measured")

    @property
    def subject(self) -> Subject:
        return Subject((ModelSpec(self.model).name,), self.quantizations)

    def complete(self, engine: Engine) -> CostPlan:
        """The plan with the quantizations to compare. Raises InvalidRequest where there are none."""
        supported = tuple(choice.quantization for choice in engine.quantization_choices()
                          if choice.is_supported and choice.quantization is not Quantization.NONE)
        if not (self.quantizations or supported):
            raise InvalidRequest("quantizations", "none", "supported by this machine")
        return replace(self, quantizations=self.quantizations or supported)


def measure_quality(engine: Engine, plan: QualityPlan, control: Control | None = None) -> BenchmarkRun:
    """Evaluate the loaded model. Blocking.

    Raises JobStopped, NoModelLoaded, EngineBusy, InvalidRequest, GenerationFailed, MissingLibrary.
    """
    control = control or Control()
    scores: list[Score] = []
    with engine.serving():
        if plan.text:
            scores.append(measure_perplexity(engine, plan.text, plan.text_plan, control))
        if plan.task:
            scores += run_task(engine, plan.task, control, plan.limit or MAX_SAMPLES)
        if plan.harness_tasks:
            scores += run_harness(engine, plan.harness_tasks, control, limit=plan.limit, folder=plan.harness_folder)
        return _run(engine, tuple(scores))


def run_cost(engine: Engine, history: RunHistory, plan: CostPlan, control: Control) -> tuple[str, ...]:
    """Measure the cost of quantization, one model after the other. Each run is saved when it ends; returns their ids.

    The previous model is loaded again. Raises JobStopped, StorageError, DiskFull, InvalidRequest, and what `Engine.load` raises.
    """
    uids: list[str] = []
    with ExclusiveUse(engine, control, f"quantizations are being compared ({plan.subject.title})") as own:
        text_plan = TextPlan(max_tokens=plan.max_tokens)
        for _, scores in compare_quantizations(engine, plan.model, plan.quantizations, plan.text, own, text_plan):
            run = _run(engine, scores)
            history.add([run])
            uids.append(run.uid)
    return tuple(uids)


def _run(engine: Engine, scores: tuple[Score, ...]) -> BenchmarkRun:
    with engine.serving() as model:
        seconds, peak = latest_load(engine, model.spec)
        return BenchmarkRun(new_uid(), now(), environment_of(model, engine.hardware), facts_of(model), seconds, peak, scores=scores)
