"""What fails while a run is in progress, with processes that train nothing: one run at a time, and it always ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from engine import ModelSpec, Settings
from engine.errors import EngineBusy, EngineError, FineTuneNotFound, NotEnoughMemory
from engine.finetune import Estimate, MemoryPart, Metrics, Run, Value
from engine.finetune.checkpoints import COMPLETE, write_metrics
from engine.finetune.estimate import disk_bytes
from engine.finetune.events import EVENTS, Ended, EventWriter, InPhase, Scores, Started
from engine.finetune.inputs import disk_left, machine_of
from engine.finetune.job import CHECKPOINTS, used_results_folder
from engine.finetune.process import TrainerProcess
from engine.finetune.running import LATE_S, PhaseLimit
from engine.models.memory import Verdict
from engine.runtime.admission import Reservation
from engine.storage.finetune_runs import FineTuneRow

from .test_fine_tunes import ME, App

SMALL = Estimate((MemoryPart("process", 1),), 1 << 40, 1.0, 0, 1 << 40, Verdict.FITS)
LARGE = replace(SMALL, parts=(MemoryPart("weights", 1 << 50),), free_bytes=1 << 51)      # of a machine with more memory
SLEEPS = "import time; time.sleep(60)"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = App(Settings(device="cpu", data_dir=tmp_path / "data"))
    yield made
    made.close()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process in the place of a trainer."""
    with subprocess.Popen([sys.executable, "-c", SLEEPS]) as process:
        yield process
        process.kill()


class Waits:
    """In the place of a long download: until it is stopped."""

    limit_s = 0.0

    def __init__(self, reservation: tuple[App, Reservation] | None = None) -> None:
        self.was_stopped, self._reservation = False, reservation

    def __call__(self, writer: EventWriter, stop: threading.Event) -> None:
        if self._reservation is not None:
            self._reservation[0].engine.admission.reserve(self._reservation[1])
        else:
            self.was_stopped = stop.wait(30)


def stored(app: App, estimate: Estimate = SMALL) -> FineTuneRow:
    return app.runs._store.add(ME.owner, json.dumps(asdict(app.plan(Path("builtin")))), json.dumps(asdict(estimate)))


def begin(app: App, writer: Waits, estimate: Estimate = SMALL) -> Run:
    return app.runs._active.begin(lambda: stored(app, estimate), estimate, lambda row: writer, lambda row: None)     # type: ignore[arg-type,return-value]


def training(app: App, child: subprocess.Popen[bytes]) -> tuple[App, FineTuneRow]:
    """A run of an earlier process of the app, which the next one follows."""
    row = stored(app)
    name = f"{child.pid}:{psutil.Process(child.pid).create_time():.0f}"
    folder = app.runs.folder(row.id, ME)
    folder.mkdir(parents=True)
    EventWriter(folder).write(Started(name, 10))
    app.runs._store.set_trainer(row.id, name)
    app.runs._store.leave(row.id)
    return App(app.engine.settings), row


def wait_for_job(app: App) -> str:
    return [job.state for job in app.library.jobs.follow(app.library.jobs.list(("finetune",))[0].id)][-1]


def test_a_database_that_cannot_be_written_does_not_block_the_next_run(app: App, child: subprocess.Popen[bytes]) -> None:
    later, row = training(app, child)
    assert later.runs.get(row.id, ME).state == "running"
    with app.engine.database.transaction(is_writing=True) as connection:
        connection.execute("ALTER TABLE finetune_runs RENAME TO away")
    child.kill()
    wait_for_job(later)
    with app.engine.database.transaction(is_writing=True) as connection:
        connection.execute("ALTER TABLE away RENAME TO finetune_runs")

    assert "ended without a word. It may have been killed" in later.runs.get(row.id, ME).reason
    assert "not running" in TrainerProcess.of(row).how_it_ended()       # when this app began
    later.runs._active.require_idle()
    used = used_results_folder(app.engine.settings) / row.id
    used.mkdir(parents=True)
    later.runs.delete(row.id, ME)
    assert later.runs.list(ME) == ()
    assert not used.exists()
    later.close()


def test_a_run_that_cannot_be_followed_is_ended_and_has_failed_even_if_that_cannot_be_written(
        app: App, child: subprocess.Popen[bytes]) -> None:
    later, row = training(app, child)
    events = app.runs.folder(row.id, ME) / EVENTS
    events.rename(events.with_suffix(".away"))
    events.mkdir()      # which can be neither read nor written
    assert wait_for_job(later) == "failed"
    assert child.wait(10) != 0
    events.rmdir()
    events.with_suffix(".away").rename(events)

    found = later.runs.get(row.id, ME)
    assert (found.state, found.can_resume, found.has_result) == ("failed", True, False)
    assert "could not be written" in found.reason
    assert [run.state for run in later.runs.list(ME)] == ["failed"]
    later.close()


def test_of_two_starts_at_once_one_begins_and_a_stop_reaches_its_download(app: App) -> None:
    refused: list[EngineError] = []

    def second() -> None:
        try:
            begin(app, Waits())
        except EngineError as error:
            refused.append(error)

    writer, other = Waits(), threading.Thread(target=second)

    def first() -> FineTuneRow:
        other.start()       # while the first has been allowed to start, and is not known yet
        return stored(app)

    run = app.runs._active.begin(first, SMALL, lambda row: writer, lambda row: None)     # type: ignore[arg-type,return-value]
    other.join()
    assert [type(error) for error in refused] == [EngineBusy]
    assert len(app.runs.list(ME)) == 1

    app.runs.stop(run.id, ME)
    assert app.wait(run).stop_kind == "person"
    assert writer.was_stopped


def test_a_run_that_is_stopped_while_it_waits_for_the_chat_model_starts_no_process(app: App) -> None:
    reservation = Reservation("a measurement")
    run = begin(app, Waits((app, reservation)), replace(SMALL, must_unload=True))
    app.wait(run, lambda latest: latest.phase == "unload")
    app.runs.stop(run.id, ME)
    stopped = app.wait(run)
    assert (stopped.state, stopped.stop_kind, stopped.log) == ("stopped", "person", "")
    app.engine.admission.release(reservation)


def test_a_run_is_resumed_while_its_earlier_job_is_still_ending(app: App) -> None:
    """Both have the same name, and are two jobs."""
    done, writer = threading.Event(), Waits()

    def resumed() -> FineTuneRow:
        row = stored(app)
        title = f"{app.runs._active.reader(row).read().name} {row.id[:6]}"
        app.library.jobs.start("finetune", title, lambda progress: str(done.wait(30)), ME.owner, row.id)
        return row

    run = app.runs._active.begin(resumed, SMALL, lambda row: writer, lambda row: None)      # type: ignore[arg-type,return-value]
    app.runs.stop(run.id, ME)
    assert app.wait(run).stop_kind == "person"
    app.runs._active.require_idle()
    done.set()


def test_a_run_is_not_deleted_while_it_is_resumed_and_not_resumed_when_it_is_deleted(app: App) -> None:
    row, refused = stored(app), list[EngineError]()
    app.runs._store.end(row.id)

    def delete() -> None:
        try:
            app.runs._active.remove(row, app.runs._remove)
        except EngineBusy as error:
            refused.append(error)

    other = threading.Thread(target=delete)

    def writer(row: FineTuneRow) -> Waits:
        other.start()       # while the run is not known as one in progress yet
        other.join(0.2)
        return Waits()

    run = app.runs._active.begin(lambda: row, SMALL, writer, lambda row: None)      # type: ignore[arg-type,return-value]
    other.join()
    assert len(refused) == 1
    app.runs.stop(run.id, ME)
    app.wait(run)
    app.runs.delete(row.id, ME)

    def resumed() -> FineTuneRow:
        app.runs._store.watch(row.id)
        return row

    with pytest.raises(FineTuneNotFound):
        app.runs._active.begin(resumed, SMALL, lambda row: None, lambda row: None)
    assert not (app.engine.settings.data_dir / "finetune" / "runs" / row.id).exists()


def test_a_run_of_another_version_stops_neither_the_app_nor_the_list(app: App) -> None:
    other, mine = app.runs._store.add(ME.owner, '{"task": "painting"}', "{}"), stored(app)
    for row in (other, mine):
        app.runs._store.leave(row.id)
    later = App(app.engine.settings)
    assert [run.id for run in later.runs.list(ME)] == [mine.id]
    later.runs._active.let_end()
    later.close()


def test_a_killed_run_has_the_metrics_of_its_result_and_no_checkpoint_that_was_cut_off(
        app: App, child: subprocess.Popen[bytes]) -> None:
    later, row = training(app, child)
    checkpoints = app.runs.folder(row.id, ME) / CHECKPOINTS
    for step, is_complete in ((2, True), (4, False)):
        (folder := checkpoints / f"checkpoint-{step}").mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"weights")
        if is_complete:
            write_metrics(folder, Metrics("loss", (Value("loss", 2.0),), 5))
            (folder / COMPLETE).touch()
    EventWriter(checkpoints.parent).write(Scores("after", Metrics("loss", (Value("loss", 9.0),), 5)))      # of an earlier result
    child.kill()
    wait_for_job(later)
    run = later.runs.get(row.id, ME)
    assert (run.state, run.best_step, run.has_result) == ("failed", 2, True)
    assert run.after is not None
    assert run.after.value("loss") == 2.0
    assert [path.name for path in checkpoints.iterdir()] == ["checkpoint-2"]
    later.close()


def test_the_limit_of_time_is_that_of_each_phase() -> None:
    limit = PhaseLimit(60.0)
    assert not any(limit.is_over(phase, now) for phase, now in (("load", 1.0), ("load", 170.0), ("train", 190.0), ("train", 365.0)))
    assert not limit.is_over("evaluate", 400.0)
    assert limit.is_over("evaluate", 400.0 + 60.0 + LATE_S + 1)
    assert not PhaseLimit(0.0).is_over("train", 1e9)


def test_a_resumed_run_needs_the_disk_only_for_what_is_not_there(app: App, tmp_path: Path) -> None:
    found = replace(SMALL, disk_bytes=disk_bytes(1000) + 500, trained_parameters=1000)      # with the base, which is there by now
    assert disk_left(found, tmp_path, 0) == disk_bytes(1000)
    (tmp_path / CHECKPOINTS / "checkpoint-2").mkdir(parents=True)
    (tmp_path / CHECKPOINTS / "checkpoint-2" / "model.safetensors").write_bytes(bytes(4000))
    assert disk_left(found, tmp_path, 500) == disk_bytes(1000) + 500 - 4000


def test_a_start_that_is_refused_leaves_nothing(app: App, llama_folder: Path) -> None:
    done = threading.Event()
    for at in range(4):
        app.library.jobs.start("other", str(at), lambda progress: str(done.wait(30)), ME.owner)
    with pytest.raises(EngineBusy, match="jobs are running"):
        app.runs.start(app.plan(llama_folder), ME)
    assert app.runs.list(ME) == ()
    assert not list((app.engine.settings.data_dir / "finetune" / "runs").iterdir())
    done.set()


def test_a_resumed_run_must_fit_into_the_memory_that_is_free_now(app: App) -> None:
    with pytest.raises(NotEnoughMemory, match="Close other programs"):
        app.runs.resume(failed(app).id, ME)


def test_on_a_public_page_only_the_operators_run_takes_the_place_of_the_chat_model(tmp_path: Path, llama_folder: Path) -> None:
    public = App(Settings(device="cpu", data_dir=tmp_path, is_public=True, operator="boss", model=str(llama_folder)))
    for _ in public.engine.load(ModelSpec(str(llama_folder))):
        pass
    run = failed(public)
    with pytest.raises(NotEnoughMemory, match="only the operator of this page can unload it"):
        public.runs.resume(run.id, ME)
    with pytest.raises(NotEnoughMemory, match="Close other programs"):
        public.runs.resume(run.id, replace(ME, name="boss"))
    assert public.engine.current is not None
    disk = shutil.disk_usage(tmp_path)
    of_visitor, of_operator = (machine_of(public.engine, is_operator=each).free_disk_bytes for each in (False, True))
    assert of_operator - of_visitor == pytest.approx(min(disk.free, disk.total / 10), rel=0.05)     # others write to the disk, too
    public.close()


def failed(app: App) -> FineTuneRow:
    """A run that had enough memory when it was started."""
    row = stored(app, LARGE)
    folder = app.runs.folder(row.id, ME)
    folder.mkdir(parents=True)
    EventWriter(folder).write(InPhase("prepare"))
    EventWriter(folder).write(Ended("", "The disk is full."))
    app.runs._store.end(row.id)
    return row


def test_a_process_is_killed_with_what_it_started_also_without_process_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, which has no `os.killpg`."""
    monkeypatch.delattr(os, "killpg", raising=False)
    starts = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-c", starts], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        started = psutil.Process(int(parent.stdout.readline()))
        TrainerProcess(f"{parent.pid}:0", parent).kill()
        assert parent.wait(10) == -9
    assert not psutil.wait_procs([started], timeout=10)[1]
