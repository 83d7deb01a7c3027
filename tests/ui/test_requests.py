"""Every endpoint of the page, the hidden ones too, answers values that no page sends with a sentence, never with `{"error": null}`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .scripted_engine import ScriptedEngine, answer
from .test_request_guard import sent

ROOT = str(Path(__file__).parents[2])
# One value for every input of an endpoint. Python writes NaN, which is no JSON, as some clients do.
ODD: dict[str, Any] = {
    "null": None, "a number": -7, "a huge number": 10**400, "a fraction": 1e308, "text": "x", "half a character": "\ud83d",
    "long text": "y" * 3_000_000, "a list": [[]], "an object": {"path": "/etc/passwd"}, "true": True, "not a number": float("nan"),
    "a file": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}}


def endpoints(address: str) -> list[dict[str, Any]]:
    _, _, text = sent(address, "GET", "/config")
    found: list[dict[str, Any]] = json.loads(text)["dependencies"]
    return [each for each in found if each["backend_fn"]]


def outcome(address: str, endpoint: int, data: object) -> object:
    """The error of a call; "none" if it had none."""
    status, _, text = sent(address, "POST", "/gradio_api/run/predict", {"fn_index": endpoint, "data": data, "session_hash": "fuzz"})
    if status == 200:
        return "none"
    try:
        content = json.loads(text)
    except ValueError:
        return f"{status} without JSON: {text[:80]}"
    return content.get("error", content.get("detail"))


def unworded(errors: dict[int, object]) -> dict[int, object]:
    return {number: error for number, error in errors.items() if not error or ROOT in str(error) or "without JSON" in str(error)}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_an_odd_value_in_every_input_of_every_endpoint_is_answered_with_a_sentence(
        engine: ScriptedEngine, address: str, value: object, capfd: pytest.CaptureFixture[str]) -> None:
    engine.script = answer("ok")
    errors = {each["id"]: outcome(address, each["id"], [value] * len(each["inputs"])) for each in endpoints(address)}
    assert len(errors) > 40
    assert unworded(errors) == {}
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("data", [[], None, 5, {}, "x"], ids=["missing", "null", "a number", "an object", "text"])
def test_missing_inputs_are_answered_with_a_sentence(
        engine: ScriptedEngine, address: str, data: object, capfd: pytest.CaptureFixture[str]) -> None:
    errors = {each["id"]: outcome(address, each["id"], data) for each in endpoints(address) if each["inputs"]}
    assert unworded(errors) == {}
    assert "none" not in errors.values()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(("data", "name"), [
    ([5, "", 0.5, 9], "content"), ([None, "", 0.5, 9], "content"), (["hi", 5, 0.5, 9], "system_prompt"),
    (["hi", None, 0.5, 9], "system_prompt"),
    (["hi", "", "hot", 9], "temperature"), (["hi", "", None, 9], "temperature"), (["hi", "", float("nan"), 9], "temperature"),
    (["hi", "", 0.5, 1.5], "max_new_tokens"), (["hi", "", 0.5, None], "max_new_tokens"), (["hi", "", 0.5, 10**15], "max_new_tokens"),
    ([[], "", 0.5, 9], "content"), (["hi"], "needs 4 values, and has 1")])
def test_an_argument_of_the_chat_endpoint_that_does_not_fit_is_named(
        engine: ScriptedEngine, address: str, data: list[object], name: str, capfd: pytest.CaptureFixture[str]) -> None:
    engine.script = answer("ok")
    _, _, text = sent(address, "POST", "/gradio_api/call/chat", {"data": data})
    event = json.loads(text)["event_id"]
    _, _, text = sent(address, "GET", f"/gradio_api/call/chat/{event}")
    assert "event: error" in text
    assert name in text
    assert "Traceback" not in capfd.readouterr().err
