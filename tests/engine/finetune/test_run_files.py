"""The files of a run, where the disk is full or a process was killed: nothing that is half written is taken for complete."""

from __future__ import annotations

import json
import os
import resource
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.errors import DiskFull
from engine.finetune.checkpoints import ADAPTER, BESIDE, COMPLETE, build_result
from engine.finetune.events import EVENTS, Ended, EventWriter, InPhase, Scores, Started, read_events
from engine.finetune.job import CHECKPOINTS, MERGED, RESULT, STOP, read_job
from engine.finetune.plan import FineTunePlan
from engine.finetune.results import EXPORT, Result
from engine.finetune.run import Measured, Metrics, Value
from engine.finetune.snapshots import RunReader
from engine.hardware import detect

from .training import dialogues, write

WEIGHTS = bytes(range(256)) * 40


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """The system refuses to write more into a file, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run that has stopped after two steps, with an adapter of the built-in model."""
    made = write(tmp_path / "run", Path("builtin"), "chat", dialogues(8), dialogues(2))
    EventWriter(made).write(Started("1:1", 4))
    EventWriter(made).write(Scores("after", Metrics("loss", (Value("loss", 2.0),), 2)))
    checkpoint(made, 2)
    EventWriter(made).write(Ended("person", "", best=build_result(made), has_result=True))
    return made


def checkpoint(folder: Path, step: int) -> None:
    path = folder / CHECKPOINTS / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "adapter_model.safetensors").write_bytes(WEIGHTS + bytes([step]))
    (path / ADAPTER).write_text("{}", "utf-8")
    (path / COMPLETE).touch()


def reader(folder: Path) -> RunReader:
    return RunReader(folder, "id", read_job(folder).plan, 1e9, None)


def result(folder: Path) -> Result:
    return Result(reader(folder).read(), folder, detect("cpu"))


def test_a_folder_has_a_job_only_after_its_examples(tmp_path: Path) -> None:
    with files_up_to(2000), pytest.raises(OSError, match="File too large"):
        write(tmp_path, Path("builtin"), "chat", dialogues(200))
    made = RunReader(tmp_path, "id", read_plan(tmp_path), 1e9, None)
    assert not made.has_job
    assert write(tmp_path, Path("builtin"), "chat", dialogues(200)) == tmp_path
    assert made.has_job


def read_plan(tmp_path: Path) -> FineTunePlan:
    return read_job(write(tmp_path / "other", Path("builtin"), "chat", dialogues(1))).plan


def test_a_line_that_was_cut_off_takes_no_other_with_it(folder: Path) -> None:
    with (folder / EVENTS).open("ab") as file:
        file.write(b'{"event": "Progress", "st')
    EventWriter(folder).write(Started("2:2", 4, 2))
    EventWriter(folder).write(InPhase("load"))
    assert read_events(folder)[0][-2:] == [Started("2:2", 4, 2), InPhase("load")]
    assert b"\n\n" not in (folder / EVENTS).read_bytes()
    assert reader(folder).read().state == "running"


def test_the_earlier_result_stays_until_the_new_one_is_complete(folder: Path) -> None:
    checkpoint(folder, 4)
    (folder / BESIDE).mkdir()
    (folder / BESIDE / "tokenizer.json").write_bytes(WEIGHTS)
    with files_up_to(5000), pytest.raises(OSError, match="File too large"):
        build_result(folder)
    assert sorted(path.name for path in (folder / RESULT).iterdir()) == [ADAPTER, "adapter_model.safetensors"]
    assert (folder / RESULT / "adapter_model.safetensors").read_bytes()[-1] == 2
    assert not list(folder.glob(f"{RESULT}.*"))
    EventWriter(folder).write(Ended("", "The disk is full."))
    assert not reader(folder).read().has_result         # of what was trained last

    (folder / MERGED).mkdir()
    assert build_result(folder) == 4
    assert not (folder / MERGED).exists()       # made of the earlier result
    assert (folder / RESULT / "tokenizer.json").read_bytes() == WEIGHTS
    assert (folder / RESULT / "adapter_model.safetensors").read_bytes()[-1] == 4


def test_a_stop_that_takes_long_can_be_made_at_once(folder: Path) -> None:
    EventWriter(folder).write(Started("2:2", 4, 2))
    assert reader(folder).read().after is None      # what was measured is the result of an earlier process
    (folder / STOP).touch()
    assert (reader(folder).read().is_stopping, reader(folder).read().can_kill) == (True, False)
    os.utime(folder / STOP, (1e9, 1e9))
    assert (reader(folder).read().is_stopping, reader(folder).read().can_kill) == (True, True)


def test_a_result_that_takes_the_place_of_another_is_known_as_another(folder: Path) -> None:
    """So that what is merged of the earlier one is not taken for it."""
    before = result(folder)._result_id()
    assert result(folder)._result_id() == before
    checkpoint(folder, 4)
    build_result(folder)
    assert result(folder)._result_id() != before


def test_what_several_processes_of_a_run_took_is_added(folder: Path) -> None:
    EventWriter(folder).write(Ended("person", measured=Measured(5, 10.0, 7, 20.0)))
    EventWriter(folder).write(Ended("", "It was killed."))
    EventWriter(folder).write(Ended("finished", measured=Measured(4, 1.0, 8, 2.0)))
    assert reader(folder).read().measured == Measured(5, 11.0, 8, 22.0)


def test_an_export_has_a_folder_of_its_own_and_leaves_nothing(folder: Path) -> None:
    with result(folder).exported() as one, result(folder).exported() as other:
        assert one != other
        for path in (one, other):
            with zipfile.ZipFile(path) as archive:
                assert json.loads(archive.read(f"{path.stem}/{ADAPTER}"))["base_model_name_or_path"] == "builtin"    # can be loaded
                assert archive.read(f"{path.stem}/adapter_model.safetensors")[:-1] == WEIGHTS
    with files_up_to(len(WEIGHTS) + 100), pytest.raises(OSError, match="File too large"), result(folder).exported():
        pass
    assert not list((folder / EXPORT).iterdir())


def test_an_export_needs_the_space_of_two_copies(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=round(1.5 * len(WEIGHTS))))
    with result(folder).prepared() as target:
        assert (target / ADAPTER).is_file()
    with pytest.raises(DiskFull), result(folder).exported():
        pass
