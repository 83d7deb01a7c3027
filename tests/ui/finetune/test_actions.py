"""What the Fine-tune tab does with files, choices and buttons, over the engine's own tables, checks and estimates. Nothing is trained."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from engine import BUILTIN, Engine, Settings
from engine.errors import FineTuneNotFound, InvalidRequest
from engine.finetune import TableRefused
from engine.finetune.events import Ended, EventWriter, Started
from engine.finetune.job import STOP
from engine.library import Visitor
from engine.storage.alive import this_process
from engine.storage.finetune_runs import FineTuneStore
from ui.finetune import actions, start
from ui.finetune.content import TuneContent
from ui.finetune.parts import NUMBERS, build_parts
from ui.finetune.session import FineTuneSession
from ui.shared.actions import Click
from ui.shared.context import Context, PageBuilder, build_services
from ui.shared.errors import PageError

from .made_runs import ESTIMATE, PLAN

REVIEWS = "review,mood\n" + "".join(f"It was {'fine' if row % 3 else 'awful'} {row},{'good' if row % 3 else 'bad'}\n" for row in range(30))
Open = Callable[..., Context]


@pytest.fixture
def open_context(tmp_path: Path) -> Iterator[Open]:
    opened: list[Context] = []

    def start(**settings: Any) -> Context:
        engine = Engine(Settings(device="cpu", data_dir=tmp_path / "data", **settings))
        context = replace(Context.of(build_services(engine), None), visitor=Visitor("me"))
        opened.append(context)
        return context

    yield start
    for context in opened:
        context.library.jobs.close()
        context.engine.close()


@pytest.fixture
def context(open_context: Open) -> Context:
    return open_context()


def uploaded(tmp_path: Path, content: str = REVIEWS, name: str = "reviews.csv") -> Path:
    path = tmp_path / name
    path.write_text(content)
    return path


def click(context: Context, session: FineTuneSession, name: str, value: str = "") -> str:
    return actions.perform(context, session, Click(name, value, value))


def mapped(context: Context, tmp_path: Path) -> FineTuneSession:
    """A session at the step Map."""
    session = FineTuneSession()
    start.read_upload(context, session, uploaded(tmp_path))
    click(context, session, "step", "map")
    return session


# --- data and columns ---

def test_a_file_is_read_its_task_and_columns_guessed_and_the_upload_deleted(context: Context, tmp_path: Path) -> None:
    session, path = FineTuneSession(), uploaded(tmp_path)
    start.read_upload(context, session, path)
    assert session.table is not None
    assert (session.table.columns, session.task, session.columns) == (
        ("review", "mood"), "text-classification", {"text": "review", "label": "mood"})
    assert not path.exists()


def test_a_file_that_cannot_be_read_is_refused_beside_the_table_and_deleted(context: Context, tmp_path: Path) -> None:
    session, path = FineTuneSession(), uploaded(tmp_path, "a,b\n1,2\n1,2,3\n", "broken.csv")
    start.read_upload(context, session, path)
    error = session.problems["data"]
    assert isinstance(error, TableRefused)
    assert error.row == 2
    assert (session.table, path.exists()) == (None, False)


def test_the_first_line_can_become_an_example(context: Context, tmp_path: Path) -> None:
    session = FineTuneSession()
    start.read_upload(context, session, uploaded(tmp_path))
    click(context, session, "header")
    assert session.table is not None
    assert session.table.count == 31
    click(context, session, "header")
    assert session.table.columns == ("review", "mood")


def test_the_step_map_counts_problems_and_shows_the_first_example(context: Context, tmp_path: Path) -> None:
    session = mapped(context, tmp_path)
    assert session.report is not None
    assert (session.report.train, session.report.validation, session.usable) == (27, 3, 30)
    assert context.examiner.preview(session.plan(), 0, "me")[-1].tag == "bad"
    for _ in range(3):
        click(context, session, "look", "next")
    click(context, session, "look", "previous")
    assert session.at == 2


def test_another_task_gets_its_own_columns_and_missing_ones_are_named(context: Context, tmp_path: Path) -> None:
    session = mapped(context, tmp_path)
    start.choose_columns(context, session, "question-answering", {}, 10)
    error = session.problems["map"]
    assert isinstance(error, PageError)
    assert "Answers" in str(error.values["roles"])
    assert TuneContent(context, session).reachable() == ["data", "map"]
    start.choose_columns(context, session, "text-classification", {}, 20)
    assert session.columns == {"text": "review", "label": "mood"}
    start.choose_columns(context, session, "text-classification", {"text": "mood", "label": "no such column"}, 20)
    assert session.columns == {"text": "mood"}


def test_a_second_file_takes_the_place_of_held_back_examples(context: Context, tmp_path: Path) -> None:
    session = mapped(context, tmp_path)
    start.read_second(context, session, uploaded(tmp_path, "review,mood\nIt was so so,bad\nGreat,good\n", "test.csv"))
    assert session.report is not None
    assert (session.report.train, session.report.validation, session.plan().test_share) == (30, 2, 0.0)
    click(context, session, "hold-back")
    assert (session.report.train, session.plan().validation_table) == (27, "")


# --- model ---

def test_the_example_set_is_ready_to_start_after_one_click(context: Context) -> None:
    session = FineTuneSession()
    click(context, session, "example")
    assert (session.step, session.problems) == ("model", {})
    assert session.estimate is not None
    assert session.estimate.can_start
    plan = session.plan()
    assert (plan.base.model, plan.method, plan.task) == (BUILTIN, "lora", "chat")
    assert len(context.tables.list("me")) == 1
    click(context, FineTuneSession(), "example")
    assert len(context.tables.list("me")) == 1      # it is stored once


def test_choices_of_the_model_are_estimated_again_and_impossible_ones_refused(context: Context) -> None:
    session = FineTuneSession()
    click(context, session, "example")
    lora = session.estimate
    numbers = [getattr(session.options, key) for key in NUMBERS]
    start.choose_model(context, session, BUILTIN, "full", "Everything", numbers)
    assert lora is not None
    assert session.estimate is not None
    assert session.estimate.trained_parameters > 5 * lora.trained_parameters
    start.choose_model(context, session, BUILTIN, "full", "", [-1, *numbers[1:]])
    assert isinstance(session.problems["model"], InvalidRequest)
    assert session.estimate is None
    start.choose_model(context, session, BUILTIN, "full", "", [None, *numbers[1:]])
    assert str(session.problems["model"]) == "tune.option.missing"


def test_a_remedy_changes_what_it_names(context: Context) -> None:
    session = FineTuneSession()
    click(context, session, "example")
    click(context, session, "remedy", "smaller_batch")
    assert session.options.batch_size == 4
    click(context, session, "remedy", "qlora")
    assert (session.method, session.problems) == ("qlora", {})


# --- who may ---

def test_who_cannot_train_gets_the_script(open_context: Open) -> None:
    context, session = open_context(is_public=True), FineTuneSession()
    click(context, session, "example")
    assert start.refusal(context) == "tune.refusal.sign_in"
    message = actions.begin(context, session)
    assert "download" in message
    assert "Tallmere.py" in message
    assert (session.run_id, context.fine_tunes.list(context.visitor)) == ("", ())
    assert start.refusal(replace(context, visitor=Visitor("me", name="Ada"))) == ""


def test_where_a_gpu_is_lent_nobody_can_train_and_the_page_says_why(open_context: Open) -> None:
    context = open_context(is_zero_gpu=True)
    assert start.refusal(context) == "tune.refusal.zero_gpu"


@pytest.mark.parametrize("name", ["open", "resume", "delete"])
def test_a_run_of_someone_else_does_not_exist(context: Context, name: str) -> None:
    session = FineTuneSession()
    click(context, session, name, "0" * 32)
    assert isinstance(session.problems["data"], FineTuneNotFound)


def test_a_button_that_needs_a_run_is_refused_without_one(context: Context) -> None:
    session = FineTuneSession()
    for name in ("stop", "script", "card", "export", "merge", "again", "no such action"):
        click(context, session, name)
        assert isinstance(session.problems["data"], PageError)


def test_only_steps_that_have_something_to_show_can_be_reached(context: Context, tmp_path: Path) -> None:
    session = FineTuneSession()
    assert TuneContent(context, session).reachable() == ["data"]
    session = mapped(context, tmp_path)
    assert TuneContent(context, session).reachable() == ["data", "map", "model"]
    click(context, session, "step", "result")
    assert re.search("tune", click(context, session, "step", "data"))


# --- a run in progress ---

def test_the_page_of_a_run_changes_when_it_ends_and_its_stop_can_be_repeated(context: Context) -> None:
    session = FineTuneSession()
    store = FineTuneStore(context.engine.database)
    row = store.add("me", json.dumps(asdict(PLAN)), json.dumps(asdict(ESTIMATE)))
    store.set_trainer(row.id, this_process())
    folder = context.fine_tunes.folder(row.id, context.visitor)
    folder.mkdir(parents=True)
    EventWriter(folder).write(Started("1:1", 10))
    click(context, session, "open", row.id)
    with gr.Blocks():
        parts = build_parts(PageBuilder(context))

    def stop_button() -> dict[str, Any]:
        return TuneContent(context, session).progress(parts)[parts.run.stop]

    def is_whole() -> bool:
        return parts.steps in TuneContent(context, session).progress(parts)

    assert is_whole()       # the first time
    assert not is_whole()
    assert stop_button()["interactive"]
    (folder / STOP).touch()
    assert not stop_button()["interactive"]
    os.utime(folder / STOP, (1e9, 1e9))
    assert (stop_button()["interactive"], stop_button()["value"]) == (True, "End now, without saving")
    EventWriter(folder).write(Ended("person"))
    assert is_whole()
    assert not is_whole()
