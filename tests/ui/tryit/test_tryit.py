"""The Try it box: what it asks for, what it shows of each kind of result, and its errors, over a real tiny model."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import Engine, ModelSpec
from engine.pipelines import Filling, Label, Span, TaskInput, TaskResult, Written
from tests import task_models
from tests.ui.tryit import parse
from ui.chat.welcome import welcome_html
from ui.shared.context import Context, build_services
from ui.tryit import view
from ui.tryit.box import attempt
from ui.tryit.session import TrySession


def shown(*rows: object, given: TaskInput | None = None, task: str = "text-classification", language: str = "en") -> str:
    given = given or TaskInput(("Ada lives in London",))
    return view.result_html(TaskResult(task, (tuple(rows),), 0.5, (4, 0), 512), given, language)      # type: ignore[arg-type]


def test_classes_are_a_table_of_shares_with_bars() -> None:
    found = shown(Label("good", 0.75), Label("<bad>", 0.25))
    assert parse.rows(found) == [("good", "75.0%"), ("<bad>", "25.0%")]
    assert "width:75.0%" in found
    assert "longer than the 512 tokens" in found
    assert "512 tokenden uzun" in shown(Label("good", 0.5), language="tr")
    assert parse.rows(shown(Label("stars", 3.5))) == [("stars", "3.500")]      # a number, not a share
    assert parse.rows(shown(Label("good", 0.75), language="tr")) == [("good", "%75,0")]


def test_entities_are_marked_in_their_text_by_colour_and_by_word() -> None:
    found = shown(Span("Ada", 0, 3, 0.9, "PER"), Span("London", 13, 19, 0.8, "LOC"), task="token-classification")
    assert parse.text(found).startswith("AdaPER lives in LondonLOC")
    assert found.count("<mark") == 2
    assert "mc-span-0" in found
    assert "mc-span-1" in found


def test_an_answer_is_marked_in_the_text_it_is_from() -> None:
    given = TaskInput(("where",), "Ada lives in <London>.")
    found = shown(Span("London", 14, 20, 0.6), Span("", -1, -1, 0.4), given=given, task="question-answering")
    assert "lives in &lt;<mark" in found
    assert parse.rows(found) == [("London", "60.0%"), ("No answer in this text", "40.0%")]


def test_fillings_of_several_masks_and_written_texts() -> None:
    found = shown(Filling("a", "a b", 0.5), Filling("c", "x c", 0.25, 1), task="fill-mask")
    assert found.count("<h3>") == 2
    assert "&lt;b&gt;" in shown(Written("<b>"), task="summarization")
    assert "Nothing was found" in shown(task="token-classification")


@pytest.fixture(scope="module")
def context(new_engine: Callable[..., Engine], tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = task_models.encoder(tmp_path_factory.mktemp("try") / "judge", "text-classification")
    return Context.of(build_services(new_engine(ModelSpec(str(folder), task="text-classification"))), None)


def test_a_text_is_classified_and_an_empty_one_is_refused(context: Context) -> None:
    session = TrySession()
    *_, last = attempt(context, session, "good film", "")
    assert sorted(name for name, _ in parse.rows(last)) == ["bad", "good", "mixed"]
    assert session.stop is None
    *_, last = attempt(context, session, "  ", "")
    assert 'role="alert"' in last


def test_a_stopped_request_says_so(context: Context) -> None:
    session = TrySession()
    steps = attempt(context, session, "good film", "")
    next(steps)
    assert isinstance(session.stop, threading.Event)
    session.stop.set()
    *_, last = steps
    assert "Stopped" in last


def test_the_chat_sends_visitors_to_the_box(context: Context, tmp_path: Path) -> None:
    found = welcome_html(context.engine.status(), "en")
    assert "does not chat" in found
    assert 'href="?tab=models"' in found
