"""Whole replies in random schemas, checked with jsonschema; and what they change for replies beside them: nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from jsonschema import Draft202012Validator

from benchmarks.random_schemas import random_schema
from engine import Engine, GenerationOptions, Message, TextDelta
from engine.shapes import CUT_NOTE, InvalidShape, Shape
from tests import thinking_templates as templates
from tests import tiny_models
from tests.conftest import ask

from .test_thought_limit import reply


@pytest.mark.parametrize(("model", "seeds", "tokens"), [("llama_engine", range(45), 120), ("builtin_engine", range(45, 60), 90)])
def test_every_answer_that_is_not_cut_is_valid(request: pytest.FixtureRequest, model: str, seeds: range, tokens: int) -> None:
    engine: Engine = request.getfixturevalue(model)

    def is_whole(seed: int) -> bool:
        schema = random_schema(seed)
        text, finished = ask(engine, "Fill in the form.", temperature=1.0, seed=seed, max_new_tokens=tokens, shape=Shape.of_schema(schema))
        if finished.reason == "length":
            assert CUT_NOTE in finished.notes or not _problems(schema, text)
            return False
        assert (finished.notes, _problems(schema, text)) == ((), [])
        return True

    with ThreadPoolExecutor(8) as readers:
        num_whole = sum(readers.map(is_whole, seeds))
    assert num_whole >= len(seeds) / 3


def _problems(schema: dict[str, object], text: str) -> list[str]:
    return [error.message for error in Draft202012Validator(schema).iter_errors(json.loads(text))]


def test_replies_beside_one_in_a_shape_are_the_same(llama_engine: Engine) -> None:
    def free(number: int) -> str:
        return ask(llama_engine, f"again {number}", temperature=0.9, seed=number, max_new_tokens=40)[0]

    alone = [free(number) for number in range(3)]
    with ThreadPoolExecutor(4) as readers:
        shaped = readers.submit(ask, llama_engine, "numbers", shape=Shape("regex", "[0-9 ]{60}"), max_new_tokens=80)
        assert list(readers.map(free, range(3))) == alone
        assert len(shaped.result()[0]) == 60


def test_a_stop_string_that_cuts_an_answer_is_told(llama_engine: Engine) -> None:
    text, finished = ask(llama_engine, "hello", shape=Shape("regex", "abc;abc"), stop=";")
    assert (text, finished.notes) == ("abc", (CUT_NOTE,))


def test_a_reply_that_has_begun_ends_in_its_shape(llama_engine: Engine) -> None:
    begun, shape = "abc 1", Shape("regex", "abc [0-9]{4}")
    messages = [Message("user", "hello"), Message("assistant", begun)]
    _, rest, finished = reply(llama_engine, *messages, shape=shape, ignores_end=False)
    assert (begun + rest)[:4] == "abc "
    assert (len(begun + rest), finished.reason, finished.notes) == (8, "stop", ())
    with pytest.raises(InvalidShape, match="beginning"):
        reply(llama_engine, messages[0], Message("assistant", "well"), shape=shape, ignores_end=False)


@pytest.mark.parametrize("template", [templates.SWITCH_OPEN, templates.CHANNEL], ids=["open", "channel"])
def test_thoughts_come_before_an_answer_in_a_shape(new_engine: Callable[..., Engine], tmp_path_factory: pytest.TempPathFactory,
                                                   template: str) -> None:
    engine = new_engine(tiny_models.llama(tmp_path_factory.mktemp("thinker") / "tiny-thinker", template=template))
    thoughts, answer, finished = reply(engine, shape=Shape("regex", "[a-z]{3}!"), reasoning_budget=8, ignores_end=False, max_new_tokens=90)
    assert len(answer) == 4
    assert answer.endswith("!")
    assert (finished.reason, finished.notes) == ("stop", ())
    assert thoughts or template == templates.CHANNEL


def test_a_continued_text_has_the_shape_at_once(llama_engine: Engine) -> None:
    events = llama_engine.complete("again and", GenerationOptions(shape=Shape.of_choices(["7", "8"]), max_new_tokens=5))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) in ("7", "8")


def test_a_chat_is_refused_before_it_begins(llama_engine: Engine) -> None:
    with pytest.raises(InvalidShape):
        llama_engine.check_prompt([Message("user", "hello")], GenerationOptions(shape=Shape("regex", "a(")))


def test_the_single_lane_has_shapes_too(new_engine: Callable[..., Engine], request: pytest.FixtureRequest) -> None:
    engine = new_engine(request.getfixturevalue("mamba_folder"))
    assert engine.status().lane == "single"
    text, finished = ask(engine, "hello", shape=Shape("regex", "[a-z]{3} [0-9]{2}"))
    assert (len(text), finished.reason, finished.notes) == (6, "stop", ())
