"""Measurements of a model on another server: chats of the same sizes, with the tokens that the server counts."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, ModelSpec, Settings
from engine.benchmark.cells import CellPlan, measure_loaded
from engine.benchmark.measure.load import VisitorPlan
from engine.benchmark.measure.speed import SpeedPlan
from engine.benchmark.quality.tasks import read_task, run_task
from engine.benchmark.quality_runs import QualityPlan, measure_quality
from engine.benchmark.store.records import of_row, row_of
from engine.errors import NotOnThisMachine
from engine.remote import Connection
from tests.conftest import exhaust
from tests.openai_standin import OpenAIStandin, chunk, serve


@pytest.fixture(scope="module")
def standin() -> Iterator[OpenAIStandin]:
    with serve() as standin:
        standin.answer = counted
        yield standin


@pytest.fixture(scope="module")
def engine(new_engine: Callable[..., Engine], settings: Settings, tmp_path_factory: pytest.TempPathFactory,
           standin: OpenAIStandin) -> Engine:
    engine = new_engine(made_with=replace(settings, data_dir=tmp_path_factory.mktemp("remote")))
    engine.connections.save(Connection("office", standin.address, "tiny"))
    exhaust(engine.load(ModelSpec("remote:office")))
    return engine


def counted(body: dict[str, object]) -> list[object]:
    """As many pieces as were asked for; a token of the prompt has four letters."""
    asked = int(body["max_tokens"])       # type: ignore[call-overload]
    prompt = len(body["messages"][-1]["content"]) // 4       # type: ignore[index]
    usage = {"prompt_tokens": prompt, "completion_tokens": asked, "total_tokens": prompt + asked}
    return [*(chunk("a ") for _ in range(asked)), chunk(finish="length"), chunk(usage=usage)]


def test_speed_is_measured_by_chats(engine: Engine, standin: OpenAIStandin) -> None:
    standin.requests.clear()
    plan = CellPlan(SpeedPlan(prompt_tokens=64, new_tokens=8, repetitions=2), VisitorPlan((1, 2), 64, 8, 1))
    run = measure_loaded(engine, plan)
    assert run.speed is not None
    assert run.speed.prompt.mean > 0 < run.speed.write.mean
    assert (run.model.model, run.model.lane, run.model.window_tokens, run.share) == ("tiny", "remote", 512, None)
    assert (run.machine, run.environment.device) == ("office", "remote")
    assert [crowd.visitors for crowd in run.crowds] == [1, 2]
    prompts = [body["messages"][-1]["content"] for body in standin.requests]
    assert len(set(prompts)) == len(prompts)
    assert all(body["ignore_eos"] for body in standin.requests)
    assert of_row(row_of(run)) == run
    assert "127.0.0.1" not in json.dumps(row_of(run).content)


def test_questions_can_be_asked_but_probabilities_cannot(engine: Engine, standin: OpenAIStandin) -> None:
    questions = read_task("questions", '{"prompt": "Say a a", "answer": "a a"}')
    standin.answer = lambda body: [chunk("a a"), chunk(finish="stop")]
    assert run_task(engine, questions)[0].value == 1.0
    standin.answer = counted
    with pytest.raises(NotOnThisMachine, match="office"):
        run_task(engine, read_task("choices", '{"prompt": "Say", "choices": ["a", "b"], "answer": 0}'))
    with pytest.raises(NotOnThisMachine, match="office"):
        measure_quality(engine, QualityPlan(text="some text " * 50))


def test_a_server_without_the_window_is_measured_too(new_engine: Callable[..., Engine], settings: Settings, tmp_path: Path,
                                                     standin: OpenAIStandin) -> None:
    standin.models = [{"id": "tiny", "object": "model", "created": 0, "owned_by": "me"}]
    engine = new_engine(made_with=replace(settings, data_dir=tmp_path))
    engine.connections.save(Connection("office", standin.address, "tiny"))
    exhaust(engine.load(ModelSpec("remote:office")))
    run = measure_loaded(engine, CellPlan(SpeedPlan(prompt_tokens=64, new_tokens=4, repetitions=1)))
    assert run.speed is not None
    assert run.speed.chat is not None
    assert run.model.window_tokens == 0
