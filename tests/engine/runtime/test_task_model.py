"""A model for a task in the place of one that chats: one at a time, in turn, with the same limits."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, EngineError, ModelSpec, Quantization, Settings
from engine.background import StopSignal
from engine.errors import EngineBusy, UnsupportedModel, UnsupportedQuantization
from engine.limits import Limits
from engine.messages import Waiting
from engine.pipelines import NotAChatModel, NoTaskModel, TaskInput, TaskResult
from engine.runtime.task_model import MOST_OF_ONE, Turns
from tests import task_models
from tests.conftest import ask, exhaust

TEXTS = TaskInput(("good film", "bad film"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return task_models.encoder(tmp_path_factory.mktemp("task") / "judge", "text-classification")


@pytest.fixture(scope="module")
def engine(new_engine: Callable[..., Engine], folder: Path) -> Engine:
    return new_engine(ModelSpec(str(folder), task="text-classification"))


def result(engine: Engine, given: TaskInput = TEXTS, **options: object) -> TaskResult:
    events = list(engine.run_task(given, **options))     # type: ignore[arg-type]
    assert isinstance(events[-1], TaskResult)
    return events[-1]


def test_it_answers_and_does_not_chat(engine: Engine) -> None:
    assert [rows[0].label for rows in result(engine).rows]
    status = engine.status()
    assert (status.model, status.task, status.lane) == ("judge", "text-classification", "task")
    for work in (lambda: ask(engine, "hi"), lambda: engine.using().__enter__(), lambda: list(engine.complete("hi"))):
        with pytest.raises(NotAChatModel, match="judge does not chat"):
            work()


def test_it_is_never_loaded_as_a_chat_model(engine: Engine, folder: Path) -> None:
    with pytest.raises(UnsupportedModel, match="another task"):
        exhaust(engine.load(str(folder)))
    with pytest.raises(UnsupportedQuantization):
        exhaust(engine.load(ModelSpec(str(folder), quantization=Quantization.INT8, task="text-classification")))
    assert engine.status().model == "judge"


def test_one_model_is_in_memory_at_a_time(new_engine: Callable[..., Engine], folder: Path, llama_folder: Path) -> None:
    engine = new_engine(llama_folder)
    with pytest.raises(NoTaskModel):
        result(engine)
    stages = [event.stage for event in engine.load(ModelSpec(str(folder), task="text-classification"))]
    assert stages.index("unload") < stages.index("weights")
    assert result(engine).tokens[0] > 0
    with pytest.raises(EngineError):
        exhaust(engine.load(str(folder / "nothing")))
    assert result(engine)
    exhaust(engine.load(str(llama_folder)))
    assert ask(engine, "hello")[0]


def test_requests_are_answered_in_turn_and_a_stop_ends_one(engine: Engine) -> None:
    """The first holds the model while its events are not read on; the second waits and is stopped, the third comes next."""
    first, stop = engine.run_task(TaskInput(("good film",) * 32)), threading.Event()
    opening = next(first)
    second = engine.run_task(TEXTS, stop=stop)
    waited = next(second)
    assert isinstance(waited, Waiting)
    assert waited.position == 1 if not isinstance(opening, TaskResult) else waited
    stop.set()
    assert not any(isinstance(event, TaskResult) for event in second)
    first.close()
    assert result(engine)
    assert engine.status().waiting == 0


def test_visitors_take_turns_and_none_fills_the_queue() -> None:
    turns = Turns()
    mine = [turns.enter("me") for _ in range(MOST_OF_ONE)]
    with pytest.raises(EngineBusy, match="your requests"):
        turns.enter("me")
    other = turns.enter("other")
    assert [turns.ahead_of(each) for each in (*mine, other)] == [0, 2, 3, 4, 1]
    turns.leave(mine[0])
    assert [turns.ahead_of(each) for each in (other, *mine[1:])] == [0, 1, 2, 3]
    again = turns.enter("other")
    turns.leave(mine[3])
    turns.leave(other)
    assert [turns.ahead_of(each) for each in (mine[1], again, mine[2])] == [0, 1, 2]


def test_a_visitors_limits_apply(new_engine: Callable[..., Engine], folder: Path, settings: Settings, tmp_path: Path) -> None:
    limited = new_engine(ModelSpec(str(folder), task="text-classification"),
                         replace(settings, data_dir=tmp_path, limits=Limits(messages_per_minute=1)))
    assert result(limited, visitor="one")
    with pytest.raises(EngineBusy):
        result(limited, visitor="one")
    assert result(limited, visitor="two")
    assert {use.visitor: use.tokens > 0 for use in limited.visitors.today()} == {"one": True, "two": True}


def test_a_request_wakes_a_model_that_was_unloaded_while_idle(
        new_engine: Callable[..., Engine], folder: Path, settings: Settings, tmp_path: Path) -> None:
    idle = new_engine(ModelSpec(str(folder), task="text-classification"), replace(settings, data_dir=tmp_path, idle_unload_s=0.2))
    idle.admission.wait_until(lambda: idle.status().state == "asleep", StopSignal())
    assert idle.status().task == "text-classification"
    assert result(idle).rows
