"""Sweeps as jobs: every cell saved as it ends, quick to cancel, resumable, and the previous model loaded again at the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, Finished, Message, ModelSpec, Quantization, Settings, Waiting
from engine.background import Jobs
from engine.benchmark.benchmarks import Benchmarks, result_of, step_of
from engine.benchmark.cells import CellPlan
from engine.benchmark.exclusive import ExclusiveUse
from engine.benchmark.measure.control import Control
from engine.benchmark.measure.speed import SpeedPlan
from engine.benchmark.measure.subject import Subject
from engine.benchmark.sweep import SweepPlan, read_facts, sweep_facts
from engine.errors import EngineBusy, InvalidRequest, NotPermitted
from engine.library import Visitor
from engine.runtime.admission import Reservation
from tests.conftest import ask, exhaust

ME = Visitor("me")
QUICK = SpeedPlan(prompt_tokens=16, new_tokens=4, repetitions=2, sees_chat=False)
LONG = SpeedPlan(prompt_tokens=16, new_tokens=60, repetitions=100, sees_chat=False)


@pytest.fixture
def engine(settings: Settings, tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(replace(settings, data_dir=tmp_path))
    yield engine
    engine.close()


@pytest.fixture
def benchmarks(engine: Engine) -> Iterator[Benchmarks]:
    jobs = Jobs(engine.database)
    yield Benchmarks(engine, jobs)
    jobs.close()


def settle(engine: Engine) -> None:
    """Wait for the previous model, which is loaded again in the background after a cancelled job."""
    deadline = time.monotonic() + 30
    while engine.admission.reserved_for and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not engine.admission.reserved_for


def test_a_sweep_saves_a_run_per_cell(benchmarks: Benchmarks, llama_folder: Path, gpt2_folder: Path) -> None:
    plan = SweepPlan((str(llama_folder), str(gpt2_folder)), (Quantization.NONE, Quantization.NF4), (16,), QUICK)
    job = exhaust(benchmarks.jobs.follow(benchmarks.start_sweep(plan, ME).id))[-1]
    runs = benchmarks.history.list()
    cells = {(run.model.model, run.model.quantization, run.speed.plan.depth_tokens) for run in runs if run.speed}
    assert cells == {(model, quantization, 16) for model in ("tiny-llama", "tiny-gpt2")
                     for quantization in (Quantization.NONE, Quantization.NF4)}
    result = result_of(job)     # type: ignore[arg-type]
    assert result is not None
    assert (len(result.uids), result.failed) == (4, ())


def test_the_previous_model_is_back_at_the_end(benchmarks: Benchmarks, engine: Engine, gpt2_folder: Path, llama_folder: Path) -> None:
    before = ModelSpec(str(gpt2_folder))
    exhaust(engine.load(before))
    exhaust(benchmarks.jobs.follow(benchmarks.start_sweep(SweepPlan((str(llama_folder),), speed=QUICK), ME).id))
    assert (engine.spec, engine.status().state, engine.status().reserved) == (before, "ready", "")
    assert ask(engine, "hello")[1].usage.new_tokens > 0


def test_no_model_is_loaded_after_a_sweep_that_started_without_one(benchmarks: Benchmarks, engine: Engine, llama_folder: Path) -> None:
    exhaust(benchmarks.jobs.follow(benchmarks.start_sweep(SweepPlan((str(llama_folder),), speed=QUICK), ME).id))
    assert engine.status().state == "empty"


def test_a_failed_cell_does_not_affect_the_others(
        benchmarks: Benchmarks, engine: Engine, gpt2_folder: Path, llama_folder: Path) -> None:
    exhaust(engine.load(ModelSpec(str(gpt2_folder))))
    plan = SweepPlan(("/no/such/folder", str(llama_folder)), speed=QUICK)
    job = exhaust(benchmarks.jobs.follow(benchmarks.start_sweep(plan, ME).id))[-1]
    result = result_of(job)     # type: ignore[arg-type]
    assert result is not None
    assert len(result.uids) == 1
    assert "no model with this name" in result.failed[0].error
    assert result.failed[0].subject == plan.cells[0].subject
    assert engine.spec == ModelSpec(str(gpt2_folder))


def test_cancelling_is_quick_and_restores_the_previous_model(
        benchmarks: Benchmarks, engine: Engine, gpt2_folder: Path, llama_folder: Path) -> None:
    exhaust(engine.load(ModelSpec(str(gpt2_folder))))
    job = benchmarks.start_sweep(SweepPlan((str(llama_folder),), speed=LONG), ME)
    for now in benchmarks.jobs.follow(job.id):
        step = step_of(now)
        if step and step.phase == "write":
            assert step.subject == Subject.of(ModelSpec(str(llama_folder)))
            break
    benchmarks.jobs.cancel(job.id)
    asked = time.monotonic()
    ended = exhaust(benchmarks.jobs.follow(job.id))[-1]
    assert (ended.state, time.monotonic() - asked < 2) == ("cancelled", True)       # type: ignore[attr-defined]
    settle(engine)
    assert engine.spec == ModelSpec(str(gpt2_folder))


def test_a_resumed_sweep_measures_the_missing_cells(benchmarks: Benchmarks, engine: Engine, llama_folder: Path) -> None:
    plan = SweepPlan((str(llama_folder),), (Quantization.NONE,), (0, 16, 32), QUICK)
    job = benchmarks.start_sweep(plan, ME)
    for now in benchmarks.jobs.follow(job.id):
        if now.done >= 1:
            benchmarks.jobs.cancel(job.id)
    kept = {run.uid for run in benchmarks.runs_of(job.id)}
    assert 1 <= len(kept) < 3
    ended = exhaust(benchmarks.jobs.follow(benchmarks.resume(job.id, ME).id))[-1]
    assert ended.state == "done"        # type: ignore[attr-defined]
    runs = benchmarks.history.list()
    assert kept < {run.uid for run in runs}
    assert sorted(run.cell for run in runs) == ["0/none/0", "0/none/16", "0/none/32"]
    assert len({run.sweep for run in runs}) == 1


def test_a_sweep_can_be_resumed_after_the_process_has_ended(engine: Engine, llama_folder: Path) -> None:
    first = Benchmarks(engine, Jobs(engine.database))
    job = first.start_sweep(SweepPlan((str(llama_folder),), speed=LONG), ME)
    second = Benchmarks(engine, Jobs(engine.database))      # what a new process does with what the old one left behind
    assert second.jobs.get(job.id).state == "interrupted"
    assert second.plan_of(job.id).models == (str(llama_folder),)
    first.jobs.close()
    settle(engine)


def test_messages_wait_for_the_end_of_a_measurement(engine: Engine, llama_folder: Path) -> None:
    exhaust(engine.load(ModelSpec(str(llama_folder))))
    with ExclusiveUse(engine, Control(), "a benchmark is running"):
        events = engine.chat([Message("user", "hello")])
        assert isinstance(next(events), Waiting)
        assert engine.status().reserved == "a benchmark is running"
    with closing(events):     
        assert isinstance(list(events)[-1], Finished)


def test_messages_and_loads_are_refused_if_the_plan_says_so(engine: Engine, llama_folder: Path) -> None:
    exhaust(engine.load(ModelSpec(str(llama_folder))))
    with ExclusiveUse(engine, Control(), "a benchmark is running", "refuse"):
        with pytest.raises(EngineBusy, match="a benchmark is running"):
            ask(engine, "hello")
        with pytest.raises(EngineBusy):
            engine.start_loading("builtin")
        with pytest.raises(EngineBusy):
            engine.unload()
    assert ask(engine, "hello")[0]


def test_a_second_reservation_waits_for_the_first(engine: Engine) -> None:
    first, second = Reservation("one"), Reservation("two")
    assert engine.admission.reserve(first)
    assert not engine.admission.reserve(second)
    engine.admission.release(second)
    assert engine.admission.reserved_for == "one"
    engine.admission.release(first)
    assert engine.admission.reserve(second)
    engine.admission.release(second)


def test_the_loaded_model_is_measured_as_it_is(benchmarks: Benchmarks, engine: Engine) -> None:
    exhaust(engine.load("builtin"))
    active_model = engine._model
    job = exhaust(benchmarks.jobs.follow(benchmarks.start_speed(CellPlan(QUICK), ME).id))[-1]
    result = result_of(job)     # type: ignore[arg-type]
    assert result is not None
    assert benchmarks.history.get(result.uids[0]).model.model == "builtin"
    assert engine._model is active_model


def test_anonymous_visitors_of_a_public_page_cannot_measure(new_engine: Callable[..., Engine], settings: Settings, tmp_path: Path) -> None:
    engine = new_engine(made_with=replace(settings, is_public=True, operator="ada", data_dir=tmp_path))
    benchmarks = Benchmarks(engine, Jobs(engine.database))
    with pytest.raises(NotPermitted, match="only the operator"):
        benchmarks.start_sweep(SweepPlan(("builtin",), speed=QUICK), ME)
    benchmarks.jobs.cancel(benchmarks.start_sweep(SweepPlan(("builtin",), speed=QUICK), Visitor("x", name="ada")).id)
    benchmarks.jobs.close()
    settle(engine)


def test_a_plan_can_be_read_back_from_its_job() -> None:
    plan = SweepPlan(("a", "b"), (Quantization.INT8,), (0, 512), LONG, visitors="refuse")
    assert read_facts(sweep_facts("5", plan)) == ("5", plan)


@pytest.mark.parametrize("values", [{"models": ()}, {"contexts": (-1,)}, {"visitors": "leave"}, {"contexts": tuple(range(501))}])
def test_impossible_plans_are_refused(values: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(InvalidRequest):
        SweepPlan(**{"models": ("builtin",), **values})     # type: ignore[arg-type]
