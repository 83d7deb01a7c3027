"""Benchmarks as jobs: started here, followed from anywhere, their results saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from ..background import JobProgress, Jobs
from ..errors import InvalidRequest, NoModelLoaded
from ..library.permissions import Permissions, Visitor
from ..messages import GenerationOptions
from ..runtime.engine import Engine
from ..storage import strict
from ..storage.formats import Value
from ..storage.results import ResultFilter
from ..storage.runs import Job
from ..storage.votes import VoteStore
from .blind_comparison import BlindComparison, Contender, Rating, checked, ratings, run_blind_comparison
from .cells import CellPlan, measure_loaded
from .exclusive import ExclusiveUse
from .measure.control import Control, MeasurementStep
from .measure.subject import Subject, subject_facts
from .quality_runs import CostPlan, QualityPlan, measure_quality, run_cost
from .store.history import RunHistory
from .store.records import BenchmarkRun, new_uid
from .sweep import SweepPlan, SweepResult, read_facts, run_sweep, sweep_facts

JOB_KINDS = ("speed", "sweep", "quality", "cost", "duel")
SHOWN_CHARS = 40        # of a prompt, as the title of a blind comparison


@dataclass(frozen=True, slots=True)
class JobStep:
    """The current step of a running measurement. `subject`: the cell or model that is measured now; `note`: what a load reports."""

    phase: str
    done: int
    total: int
    rate: float
    note: str = ""
    subject: Subject | None = None


class Benchmarks:
    """Safe to use from many threads. `jobs`: those of the library; a process has one Jobs object."""

    def __init__(self, engine: Engine, jobs: Jobs) -> None:
        self._engine, self.jobs = engine, jobs
        self.history, self._votes = RunHistory(engine.database), VoteStore(engine.database)

    def start_speed(self, plan: CellPlan, visitor: Visitor) -> Job:
        """Measure the loaded model. Raises NotPermitted, NoModelLoaded, EngineBusy and StorageError."""
        self._require_allowed(visitor)
        spec = self._engine.spec
        if spec is None:
            raise NoModelLoaded()

        def work(control: Control) -> SweepResult:
            with ExclusiveUse(self._engine, control, f"{spec.name} is being measured") as own:
                run = measure_loaded(self._engine, plan, own)
            self.history.add([run])
            return SweepResult((run.uid,))
        return self._start("speed", Subject.of(spec), work, visitor)

    def start_sweep(self, plan: SweepPlan, visitor: Visitor) -> Job:
        """Raises NotPermitted, EngineBusy and StorageError."""
        return self._sweep(new_uid(), plan, visitor)

    def start_quality(self, plan: QualityPlan, visitor: Visitor) -> Job:
        """Evaluate the loaded model. Raises NotPermitted, NoModelLoaded, EngineBusy and StorageError."""
        self._require_allowed(visitor)
        spec = self._engine.spec
        if spec is None:
            raise NoModelLoaded()

        def work(control: Control) -> SweepResult:
            with ExclusiveUse(self._engine, control, f"{spec.name} is being evaluated") as own:
                run = measure_quality(self._engine, plan, own)
            self.history.add([run])
            return SweepResult((run.uid,))
        return self._start("quality", Subject.of(spec, tasks=plan.tasks), work, visitor)

    def start_cost(self, plan: CostPlan, visitor: Visitor) -> Job:
        """Measure how much quality quantization costs a model. Raises NotPermitted, InvalidRequest, EngineBusy and StorageError."""
        self._require_allowed(visitor)
        plan = plan.complete(self._engine)

        def work(control: Control) -> SweepResult:
            return SweepResult(run_cost(self._engine, self.history, plan, control))
        return self._start("cost", plan.subject, work, visitor)

    def start_blind_comparison(self, prompt: str, contenders: tuple[Contender, Contender], options: GenerationOptions,
                               visitor: Visitor) -> Job:
        """Give one prompt to two models whose names stay hidden until the vote; `blind_comparison_of` reads the ended job.

        Raises NotPermitted, EngineBusy and StorageError.
        """
        self._require_allowed(visitor)

        def run(progress: JobProgress) -> str:
            return json.dumps(asdict(run_blind_comparison(self._engine, prompt, contenders, options, _control(progress))))
        return self.jobs.start("duel", prompt.strip()[:SHOWN_CHARS], run, visitor.owner)

    def vote(self, comparison: BlindComparison, score: float) -> None:
        """`score` of the left side: 1 if it is better, 0 if the right side is, 0.5 for a tie. Raises InvalidRequest and StorageError."""
        self._votes.add(checked(comparison.left.label, comparison.right.label, score))

    def ratings(self) -> tuple[Rating, ...]:
        """Best first. Raises StorageError."""
        return ratings(self._votes.all())

    def clear_votes(self, visitor: Visitor) -> None:
        """Raises NotPermitted and StorageError."""
        self._require_allowed(visitor)
        self._votes.clear()

    def resume(self, job_id: int, visitor: Visitor) -> Job:
        """Resume a sweep that was cancelled or interrupted, or in which cells failed. Raises JobNotFound and what `start_sweep` raises."""
        job = self.jobs.get(job_id)
        if job.kind != "sweep":
            raise InvalidRequest("job", job_id, "a sweep")
        return self._sweep(*read_facts(job.facts), visitor)

    def plan_of(self, job_id: int) -> SweepPlan:
        """The plan of a sweep. Raises JobNotFound, and InvalidRequest for any other job."""
        return read_facts(self.jobs.get(job_id).facts)[1]

    def runs_of(self, job_id: int) -> tuple[BenchmarkRun, ...]:
        """The runs that a job has measured so far, also while it is running; newest first. Raises JobNotFound and StorageError."""
        job = self.jobs.get(job_id)
        if job.kind == "sweep":
            return self.history.list(ResultFilter(sweep=read_facts(job.facts)[0]))
        found = result_of(job)
        return self.history.some(found.uids) if found else ()

    def _sweep(self, sweep: str, plan: SweepPlan, visitor: Visitor) -> Job:
        self._require_allowed(visitor)
        cells = len(plan.cells)

        def work(control: Control) -> SweepResult:
            return run_sweep(self._engine, self.history, sweep, plan, control)

        def done() -> int:
            return len(self.history.cells(sweep))
        return self._start("sweep", plan.subject, work, visitor, sweep_facts(sweep, plan), (done, cells))

    def _start(self, kind: str, subject: Subject, work: Callable[[Control], SweepResult], visitor: Visitor, facts: str = "",
               count: tuple[Callable[[], int], int] | None = None) -> Job:
        def run(progress: JobProgress) -> str:
            return json.dumps(asdict(work(_control(progress, count))))
        return self.jobs.start(kind, subject.title, run, visitor.owner, facts or subject_facts(subject))

    def _require_allowed(self, visitor: Visitor) -> None:
        Permissions(self._engine).require_measuring(visitor)


def result_of(job: Job) -> SweepResult | None:
    """The result of a finished measurement; None for any other job."""
    is_measured = job.state == "done" and job.kind in JOB_KINDS and job.kind != "duel"
    return strict.read(SweepResult, json.loads(job.result), "the job") if is_measured else None


def blind_comparison_of(job: Job) -> BlindComparison | None:
    """The two replies of a finished blind comparison; None for any other job."""
    return strict.read(BlindComparison, json.loads(job.result), "the job") if job.state == "done" and job.kind == "duel" else None


def step_of(job: Job) -> JobStep | None:
    """The current step of a running measurement; None before it starts and after it ends."""
    return strict.read(JobStep, json.loads(job.note), "the job") if job.note and job.kind in JOB_KINDS else None


def subject_of(job: Job) -> Subject | None:
    """What a measurement is about; None for any other job, for blind comparisons, and for jobs of earlier versions."""
    facts = Value(json.loads(job.facts or "{}"), "the job")
    has_subject = job.kind in JOB_KINDS and "subject" in facts.members()
    return strict.read(Subject, facts.get("subject").value, "the job") if has_subject else None


def _control(progress: JobProgress, count: tuple[Callable[[], int], int] | None = None) -> Control:
    """Reports steps as the job's progress: cells if there are several, otherwise the phase's steps. Cells and failures go to its log."""
    now = JobStep("cell", 0, 0, 0.0)

    def tell(step: MeasurementStep) -> None:
        nonlocal now
        if step.phase == "failed":
            progress.add_log_line(step.note)
        if step.subject is not None:
            progress.add_log_line(step.subject.title)
        now = JobStep(step.phase, step.done, step.total, round(step.rate, 2), step.note, step.subject or now.subject)
        done, total = (count[0](), count[1]) if count else (step.done, step.total)
        progress.report(done, total, "cells" if count else step.phase, json.dumps(asdict(now)))
    return Control(tell, progress.stop)
