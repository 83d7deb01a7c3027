"""Every endpoint of the page, the hidden ones too, answers values that no page sends with a sentence, and logs no traceback.

Over the built-in model: a scripted engine lacks what some endpoints read.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any, get_type_hints

import gradio as gr
import pytest

from engine import Engine, Settings
from engine.messages import MAX_MESSAGE_CHARS

from .test_request_guard import sent

ROOT = str(Path(__file__).parents[2])
# One value for every input of an endpoint. Python writes NaN, which is no JSON, as some clients do.
ODD: dict[str, Any] = {
    "null": None, "a number": -7, "a huge number": 10**400, "a fraction": 1e308, "text": "x", "half a character": "\ud83d",
    "long text": "y" * (MAX_MESSAGE_CHARS + 1), "a list": [[]], "an object": {"path": "/etc/passwd"}, "true": True,
    "not a number": float("nan"), "a file": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, "a list of nothing": [None],
    "no text": ""}
SHORT = {name: value for name, value in ODD.items() if name != "long text"}
# What JavaScript passes on with an event.
DETAILS = [None, 5, "x", [], {}, {"act": None, "id": None, "value": None}, {"text": None}, {"do": [1], "value": {}},
           {"do": "x", "value": 1e99}, {"act": "open", "id": 10**17}, {"act": "edit", "id": "9" * 20}, {"act": "encoding", "id": "-1"}]


@pytest.fixture(scope="module")
def page_engine(new_engine: Callable[..., Engine], tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return new_engine("builtin", Settings(device="cpu", data_dir=tmp_path_factory.mktemp("data")))


@pytest.fixture
def address(served: tuple[object, str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[str]:
    """Of the page. At the end, no error of a request was logged or printed."""
    with caplog.at_level(logging.ERROR):
        yield served[1]
    assert [record.exc_info[1] for record in caplog.get_records("call") if record.exc_info] == []
    assert "Traceback" not in capfd.readouterr().err


def config(address: str) -> tuple[list[dict[str, Any]], dict[int, Any]]:
    """The endpoints, and the values of the components as a page shows them first."""
    _, _, text = sent(address, "GET", "/config")
    found = json.loads(text)
    return ([each for each in found["dependencies"] if each["backend_fn"]],
            {part["id"]: part["props"].get("value") for part in found["components"]})


def endpoints(address: str) -> list[dict[str, Any]]:
    return config(address)[0]


@pytest.fixture(scope="module")
def handlers(launched: gr.Blocks) -> dict[int, Callable[..., object]]:
    """One endpoint for each function: others with the same function differ only in what triggers them."""
    first: dict[Callable[..., object], int] = {}
    for each in launched.fns.values():
        if each.fn:
            first.setdefault(each.fn, each._id)
    return {endpoint: function for function, endpoint in first.items()}


def reads_details(function: Callable[..., object]) -> bool:
    return any(inspect.isclass(hint) and issubclass(hint, gr.EventData) for hint in get_type_hints(function).values())


def outcome(address: str, endpoint: int, data: object, detail: object = None, **headers: str) -> object:
    """The error of a call; "none" if it had none."""
    request = {"fn_index": endpoint, "data": data, "session_hash": f"fuzz{endpoint}", "event_data": detail}
    status, _, text = sent(address, "POST", "/gradio_api/run/predict", request, **headers)
    if status == 200:
        return "none"
    try:
        content = json.loads(text)
    except ValueError:
        return f"{status} without JSON: {text[:80]}"
    return content.get("error", content.get("detail"))


def unworded(errors: dict[Any, object]) -> dict[Any, object]:
    return {called: error for called, error in errors.items() if not error or ROOT in str(error) or "without JSON" in str(error)}


def test_one_endpoint_is_enough_for_a_function(launched: gr.Blocks, handlers: dict[int, Callable[..., object]]) -> None:
    """Its inputs and outputs are the same in all endpoints that call it."""
    called = {(each.fn, *(tuple(part._id for part in parts) for parts in (each.inputs, each.outputs)))
              for each in launched.fns.values() if each.fn}
    assert len(called) == len(handlers)


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_an_odd_value_in_every_input_of_every_endpoint_is_answered_with_a_sentence(
        address: str, handlers: dict[int, Callable[..., object]], value: object) -> None:
    errors = {each["id"]: outcome(address, each["id"], [value] * len(each["inputs"]))
              for each in endpoints(address) if each["id"] in handlers}
    assert len(errors) > 40
    assert unworded(errors) == {}


def test_one_odd_value_among_those_of_a_page_is_answered_with_a_sentence(
        address: str, launched: gr.Blocks, handlers: dict[int, Callable[..., object]]) -> None:
    """What is sent in the place of a gr.State is not read."""
    found, values = config(address)
    odd, errors = cycle(SHORT.items()), dict[Any, object]()
    for each in (each for each in found if each["id"] in handlers):
        usual = [values[part] for part in each["inputs"]]
        for place in (place for place, part in enumerate(each["inputs"]) if not isinstance(launched.blocks[part], gr.State)):
            for name, value in islice(odd, 3):
                errors[each["id"], place, name] = outcome(address, each["id"], [*usual[:place], value, *usual[place + 1:]])
    assert len(errors) > 300
    assert unworded(errors) == {}


def test_what_a_page_sends_is_answered_with_a_sentence_by_every_endpoint(address: str) -> None:
    found, values = config(address)
    errors = {each["id"]: outcome(address, each["id"], [values[part] for part in each["inputs"]], 5) for each in found}
    assert unworded(errors) == {}


@pytest.mark.parametrize("detail", DETAILS, ids=repr)
def test_an_odd_detail_of_an_event_is_answered_with_a_sentence(
        address: str, handlers: dict[int, Callable[..., object]], detail: object) -> None:
    """By the functions that read it."""
    found, values = config(address)
    errors = {each["id"]: outcome(address, each["id"], [values[part] for part in each["inputs"]], detail)
              for each in found if each["id"] in handlers and reads_details(handlers[each["id"]])}
    assert len(errors) >= 8
    assert unworded(errors) == {}


@pytest.mark.parametrize("data", [[], None, 5, {}, "x"], ids=["missing", "null", "a number", "an object", "text"])
def test_missing_inputs_are_answered_with_a_sentence(address: str, data: object) -> None:
    errors = {each["id"]: outcome(address, each["id"], data) for each in endpoints(address) if each["inputs"]}
    assert unworded(errors) == {}
    assert "none" not in errors.values()


@pytest.mark.parametrize(("language", "few", "unreadable"), [
    ("en", "needs 4 values", "cannot be read"), ("tr", "4 değer gerekiyor", "istek okunamıyor"), ("zh-CN", "需要 4 个值", "无法读取")])
def test_a_refusal_is_in_the_language_of_the_browser(address: str, language: str, few: str, unreadable: str) -> None:
    chat = next(each["id"] for each in endpoints(address) if each["api_name"] == "chat")
    assert few in str(outcome(address, chat, ["hi"], Accept_Language=language))
    assert unreadable in str(outcome(address, chat, ["hi", "", 0.5, 10**400], Accept_Language=language))


@pytest.mark.parametrize(("data", "name"), [
    ([5, "", 0.5, 9], "content"), ([None, "", 0.5, 9], "content"), (["hi", 5, 0.5, 9], "system_prompt"),
    (["hi", None, 0.5, 9], "system_prompt"),
    (["hi", "", "hot", 9], "temperature"), (["hi", "", None, 9], "temperature"), (["hi", "", float("nan"), 9], "temperature"),
    (["hi", "", 0.5, 1.5], "max_new_tokens"), (["hi", "", 0.5, None], "max_new_tokens"), (["hi", "", 0.5, 10**15], "max_new_tokens"),
    (["hi", "", 0.5, 9, "much"], "reasoning_effort"), (["hi", "", 0.5, 9, ""], "reasoning_effort"),
    (["hi", "", 0.5, 9, None, -1], "reasoning_budget"), (["hi", "", 0.5, 9, None, "5"], "reasoning_budget"),
    ([[], "", 0.5, 9], "content"), (["hi"], "needs 4 values, and has 1")])
def test_an_argument_of_the_chat_endpoint_that_does_not_fit_is_named(address: str, data: list[object], name: str) -> None:
    _, _, text = sent(address, "POST", "/gradio_api/call/chat", {"data": data})
    event = json.loads(text)["event_id"]
    _, _, text = sent(address, "GET", f"/gradio_api/call/chat/{event}")
    assert "event: error" in text
    assert name in text
