"""Whole replies that call tools, of real small models: what they call is valid, wherever it is generated."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine import Engine, Finished, GenerationOptions, Message, ReasoningDelta, Settings, TextDelta, Tool, ToolCall, ToolCallDelta
from engine.errors import InvalidRequest
from engine.runtime.replies import new_chars
from engine.tool_calls import calls_of
from tests import spaces_standin, tiny_models
from tests.thinking_templates import SWITCH_OPEN
from tests.tool_templates import HARMONY, HERMES

SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Paris", "Oslo"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
          "required": ["city"], "additionalProperties": False}
WEATHER, NOW = Tool.of_schema("get_weather", "The weather of a city.", SCHEMA), Tool("now", "The time.")
HELLO = Message("user", "hello")


@pytest.fixture(scope="module")
def wide_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.llama(tmp_path_factory.mktemp("wide") / "m", window=2048)


@pytest.fixture(scope="module")
def wide_engine(new_engine: Callable[..., Engine], wide_folder: Path) -> Engine:
    return new_engine(wide_folder)


@pytest.fixture(scope="module")
def single_engine(new_engine: Callable[..., Engine], mamba_folder: Path) -> Engine:
    return new_engine(mamba_folder)


class Reply:
    def __init__(self, engine: Engine, *messages: Message, **options: Any) -> None:
        asked = GenerationOptions(**{"max_new_tokens": 300, "temperature": 1.0, "tools": (WEATHER, NOW), **options})
        events = list(engine.chat(messages or (HELLO,), asked))
        self.text, self.thoughts = ("".join(each.text for each in events if isinstance(each, kind)) for kind in (TextDelta, ReasoningDelta))
        self.pieces = [each for each in events if isinstance(each, ToolCallDelta)]
        assert isinstance(events[-1], Finished)
        self.finished = events[-1]

    @property
    def is_valid(self) -> bool:
        return all(not list(Draft202012Validator(SCHEMA if call.name == "get_weather" else {"maxProperties": 0}).iter_errors(call.values))
                   for call in calls_of(self.pieces))


@pytest.mark.parametrize("engine", ["wide_engine", "builtin_engine", "single_engine"])
def test_calls_are_valid_in_each_lane(request: pytest.FixtureRequest, engine: str) -> None:
    model: Engine = request.getfixturevalue(engine)
    with ThreadPoolExecutor(4) as readers:
        replies = list(readers.map(lambda seed: Reply(model, seed=seed, tool_choice="required", parallel_tool_calls=False), range(6)))
    whole = [each for each in replies if each.finished.reason == "tool_calls"]
    assert len(whole) >= 3
    assert all(each.is_valid and not each.text for each in whole)
    assert all(each.finished.reason == "length" for each in replies if each not in whole)


def test_a_named_tool_is_called_once_and_none_is_where_that_is_asked(wide_engine: Engine) -> None:
    named = Reply(wide_engine, seed=1, tool_choice="get_weather")
    assert ([call.name for call in calls_of(named.pieces)], named.finished.reason, named.is_valid) == (["get_weather"], "tool_calls", True)
    free, none = Reply(wide_engine, seed=5, max_new_tokens=30), Reply(wide_engine, seed=5, max_new_tokens=30, tool_choice="none")
    assert (free.pieces, none.pieces, bool(none.text)) == ([], [], True)
    assert none.text == Reply(wide_engine, seed=5, max_new_tokens=30, tools=()).text


def test_a_call_that_is_cut_is_not_whole(wide_engine: Engine) -> None:
    cut = Reply(wide_engine, seed=1, tool_choice="get_weather", max_new_tokens=50)
    assert (cut.finished.reason, cut.finished.notes, cut.text) == ("length", (), "")
    assert cut.pieces[0].name == "get_weather"
    with pytest.raises(InvalidRequest):
        calls_of(cut.pieces)


def test_a_lent_lane_calls_tools(new_engine: Callable[..., Engine], wide_folder: Path, settings: Settings) -> None:
    with spaces_standin.installed():
        lent = new_engine(wide_folder, replace(settings, is_zero_gpu=True))
        with lent.using() as model:
            model.place()
        reply = Reply(lent, seed=1, tool_choice="get_weather")
    assert (reply.finished.reason, reply.is_valid) == ("tool_calls", True)


@pytest.mark.parametrize("template", [SWITCH_OPEN, HARMONY], ids=["plain", "harmony"])
def test_thoughts_come_before_calls(new_engine: Callable[..., Engine], tmp_path_factory: pytest.TempPathFactory, template: str) -> None:
    engine = new_engine(thinker(tmp_path_factory.mktemp("thinker") / "m", template))
    reply = Reply(engine, seed=2, tool_choice="get_weather", reasoning_budget=8)
    assert (reply.finished.reason, reply.is_valid, reply.text) == ("tool_calls", True, "")
    assert reply.thoughts
    free = [Reply(engine, seed=seed, reasoning_budget=8, max_new_tokens=40) for seed in range(3, 11)]
    assert all("<|" not in each.text for each in free)
    assert any(each.text for each in free)


def thinker(folder: Path, template: str) -> Path:
    """With the tokens of gpt-oss, if the template is its."""
    tiny_models.llama(folder, template=template, window=2048)
    if template == HARMONY:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
        tokenizer.add_tokens(["<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|call|>"], special_tokens=True)
        model.resize_token_embeddings(len(tokenizer))
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)
    return folder


def test_scores_are_those_of_the_text(new_engine: Callable[..., Engine], tmp_path_factory: pytest.TempPathFactory) -> None:
    engine = new_engine(tiny_models.llama(tmp_path_factory.mktemp("hermes") / "m", template=HERMES, window=2048))
    plain, with_tools = (list(engine.chat([HELLO], GenerationOptions(max_new_tokens=20, temperature=0, top_logprobs=0, tools=tools)))
                         for tools in ((), (NOW,)))
    for events in (plain, with_tools):
        text = "".join(event.text for event in events if isinstance(event, TextDelta))
        data = b"".join(token.data for event in events if isinstance(event, TextDelta) for token in event.tokens)
        assert letters(data.replace(b"<|pad|>", b"").decode(errors="ignore")) == letters(text) != ""


def letters(text: str) -> str:
    return "".join(char for char in text if char.isascii() and char.isalpha())


def test_limits_count_what_a_request_adds_to_a_chat_with_calls() -> None:
    asked, called = Message("user", "u" * 10), Message("assistant", "", tool_calls=[ToolCall("1", "now", '{"a":1}')])
    long, short = (Message("tool", "r" * count, tool_call_id="1") for count in (50, 1))
    assert new_chars([Message("system", "s" * 5), asked, Message("assistant", "a"), asked]) == 15
    assert new_chars([asked, called, long]) == 57
    assert new_chars([asked, called, short]) == 10      # a long message before made-up calls counts
    assert new_chars([asked, called, long, called, short]) == 10
    assert new_chars([asked], GenerationOptions(tools=[Tool("now", "d" * 7)])) == 17 + len(NOW.parameters)
