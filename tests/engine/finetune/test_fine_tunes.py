"""The service, with real trainer processes on a tiny model. A process takes seconds to start, so each is used for several claims."""

from __future__ import annotations

import json
import os
import signal
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, Library, ModelSpec, Settings
from engine.errors import EngineBusy, FineTuneNotFound, ModelAccessDenied, TokenRejected
from engine.finetune import FineTunePlan, FineTunes, Run, TableNotFound, Tables, TrainingOptions
from engine.finetune.job import BOARD, STOP
from engine.finetune.process import TrainerProcess
from engine.hub.hub import Hub
from engine.library import Visitor
from engine.models.memory import Verdict
from engine.settings import Secret
from engine.storage.alive import is_alive
from tests import hub_standin
from tests.hub_standin import BAD_TOKEN, GOOD_TOKEN, StandIn

ME, OTHER = Visitor("me", name="me"), Visitor("other", name="other")
OPTIONS = TrainingOptions(epochs=2, learning_rate=1e-3, batch_size=4, max_tokens=64, lora_rank=4, evaluations=1, patience=0)
WORDS = ("fox", "dog", "cat", "owl", "hen", "bee", "ant", "elk")


class App:
    """The services of one process of the app. `again()`: those of the next one, on the same data."""

    def __init__(self, settings: Settings, hub: str = "") -> None:
        self.engine = Engine(settings)
        self.library = Library(self.engine, hub=Hub(settings, hub) if hub else None)
        self.tables = Tables(settings)
        self.runs = FineTunes(self.engine, self.library, self.tables)

    def plan(self, base: Path, count: int = 16, **changes: object) -> FineTunePlan:
        rows = "question,answer\n" + "".join(f"Who is number {at}?,The {WORDS[at % 8]} {at}\n" for at in range(count))
        table = self.tables.read("people.csv", rows.encode(), ME.owner)
        return replace(FineTunePlan("chat", table.id, {"question": "question", "answer": "answer"}, ModelSpec(str(base)), options=OPTIONS,
                                    test_share=0.2), **changes)     # type: ignore[arg-type]

    def wait(self, run: Run, until: Callable[[Run], bool] = lambda run: False) -> Run:
        """Follow a run until it is over, or until `until` holds."""
        for latest in self.runs.follow(run.id, ME):
            if until(latest):
                break
        return latest

    def close(self) -> None:
        self.library.jobs.close()
        self.engine.close()


@pytest.fixture
def hub() -> Iterator[StandIn]:
    with hub_standin.running({}) as standin:
        yield standin


@pytest.fixture
def app(tmp_path: Path, hub: StandIn) -> Iterator[App]:
    made = App(Settings(device="cpu", data_dir=tmp_path / "data"), hub.address)
    yield made
    made.close()
    for row in made.runs._store.active():       # of a test that failed
        TrainerProcess(row.trainer or "0:0").kill()


def test_a_run_from_its_start_to_its_result(app: App, hub: StandIn, llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process: states, curves, metrics, the files that remain, and who can see them."""
    plan = app.plan(llama_folder)
    estimate = app.runs.estimate(plan, ME)
    assert estimate.verdict is Verdict.FITS

    run = app.runs.start(plan, ME)
    with pytest.raises(EngineBusy, match="is being fine-tuned"):
        app.runs.start(plan, ME)
    with pytest.raises(EngineBusy, match="in progress"):
        app.runs.delete(run.id, ME)
    phases = {latest.phase for latest in app.runs.follow(run.id, ME)}
    done = app.runs.get(run.id, ME)

    assert done.state == "done", done.reason
    assert {"prepare", "load"} <= phases
    assert [point.step for point in done.points if point.loss is not None] == list(range(1, done.total + 1))
    assert done.before is not None
    assert done.after is not None
    assert done.before.value("perplexity") != done.after.value("perplexity")
    assert done.measured is not None
    assert 0.8 < estimate.needed_bytes / done.measured.peak_bytes < 1.2
    assert list((app.runs.folder(run.id, ME) / BOARD).glob("events.out.tfevents.*"))
    assert (app.runs.result_folder(run.id, ME) / "adapter_model.safetensors").is_file()
    assert [job.state for job in app.library.jobs.list(("finetune",))] == ["done"]
    assert not (app.runs.folder(run.id, ME) / STOP).exists()

    for use in (app.runs.get, app.runs.stop, app.runs.delete, app.runs.card, app.runs.result_folder, app.runs.resume):
        with pytest.raises(FineTuneNotFound):
            use(run.id, OTHER)      # type: ignore[operator]
    assert app.runs.list(OTHER) == ()
    with pytest.raises(TableNotFound):
        app.runs.start(plan, OTHER)
    the_card(app, done)
    the_archive(app, done, llama_folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)      # which the stand-in does not have
    the_upload(app, done, hub)

    app.runs.delete(run.id, ME)
    assert app.runs.list(ME) == ()
    assert not (app.engine.settings.data_dir / "finetune" / "runs" / run.id).exists()


def the_card(app: App, run: Run) -> None:
    card = app.runs.card(run.id, ME)
    assert f"| SHA-256 of the data file | `{run.digest}` |" in card
    assert "| Method | LoRA, rank 4, alpha 32 |" in card
    assert "| Examples trained | 13 |" in card
    assert run.after
    assert f"| Perplexity | {run.before.value('perplexity'):,.2f} | {run.after.value('perplexity'):,.2f} |" in card   # type: ignore[union-attr]
    assert app.engine.hardware.name in card
    assert "| peft | 0." in card


def the_archive(app: App, run: Run, base: Path) -> None:
    path = app.runs.export(run.id, ME)
    with zipfile.ZipFile(path) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
        config = json.loads(archive.read(f"{path.stem}/adapter_config.json"))
        assert str(base.parent) not in "".join(archive.read(name).decode("utf-8", "ignore") for name in archive.namelist())
    assert {"README.md", "train.py", "adapter_model.safetensors", "tokenizer.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth"))]
    assert config["base_model_name_or_path"] == base.name


def the_upload(app: App, run: Run, hub: StandIn) -> None:
    with hub_standin.online():
        for token, refusal in ((BAD_TOKEN, TokenRejected), ("", TokenRejected)):
            with pytest.raises(refusal):
                app.runs.push(run.id, "me/people", Secret(token), ME)
        with pytest.raises(ModelAccessDenied):
            app.runs.push(run.id, "someone/people", Secret(GOOD_TOKEN), ME)
        assert app.runs.push(run.id, "me/people", Secret(GOOD_TOKEN), ME) == f"{hub.address}/me/people"
    pushed = hub.uploads["me/people"]
    assert pushed.is_private
    assert {"README.md", "train.py", "adapter_model.safetensors", "adapter_config.json", "tokenizer.json"} <= set(pushed.files)
    assert pushed.files["adapter_model.safetensors"] == (app.runs.result_folder(run.id, ME) / "adapter_model.safetensors").read_bytes()
    assert not list((app.runs.folder(run.id, ME) / "export").iterdir())


def test_stop_saves_and_the_next_process_of_the_app_goes_on(app: App, llama_folder: Path) -> None:
    """The app ends while it trains: the trainer does not. The next app follows it, and stops it; a killed process is resumed."""
    run = app.runs.start(app.plan(llama_folder, options=replace(OPTIONS, epochs=400, evaluations=1)), ME)
    app.wait(run, lambda latest: latest.step >= 2)
    app.close()
    trainer = process_of(app, run)
    assert is_alive(trainer)

    later = App(app.engine.settings)
    again = later.runs.get(run.id, ME)
    assert again.state == "running"
    assert [job.state for job in later.library.jobs.list(("finetune",))] == ["running"]
    step = again.step
    later.wait(run, lambda latest: latest.step > step and latest.checkpoint is not None)
    later.runs.stop(run.id, ME)
    stopped = later.wait(run)
    assert (stopped.state, stopped.stop_kind, stopped.can_resume) == ("stopped", "person", True)
    assert stopped.checkpoint == stopped.step
    assert stopped.has_result
    assert not TrainerProcess(trainer).is_running()
    assert [job.state for job in later.library.jobs.list(("finetune",))] == ["cancelled"]

    later.runs.resume(run.id, ME)
    going = later.wait(run, lambda latest: latest.phase == "train" and latest.step > stopped.step)
    os.kill(TrainerProcess(process_of(later, run)).pid, signal.SIGKILL)
    killed = later.wait(run)
    assert killed.state == "failed"
    assert "killed (signal 9)" in killed.reason
    assert f"checkpoint is that of step {killed.checkpoint:,}" in killed.reason
    assert (killed.checkpoint or 0) >= (stopped.checkpoint or 0) > 0
    assert (killed.can_resume, killed.has_result) == (True, True)
    steps = [point.step for point in going.points if point.loss is not None]
    assert steps == sorted(set(steps))
    later.close()


def process_of(app: App, run: Run) -> str:
    return next(row.trainer for row in app.runs._store.active() if row.id == run.id)
