from typing import Any

import pytest

from engine.errors import InvalidRequest
from engine.messages import MAX_MESSAGE_CHARS, GenerationOptions
from engine.storage.records import Attachment, ChatMessage
from engine.storage.strict import read

MESSAGE = {"role": "user", "text": "hi"}


def test_lists_become_tuples_and_nested_values_their_dataclasses() -> None:
    value = {**MESSAGE, "notes": ["one"], "attachments": [{"name": "a", "text": "b"}], "options": {"temperature": 1, "stop": ["x"]}}
    assert read(ChatMessage, value, "it") == ChatMessage(
        "user", "hi", notes=("one",), attachments=(Attachment("a", "b"),), options=GenerationOptions(temperature=1.0, stop=("x",)))


def test_unknown_members_are_ignored_and_null_counts_as_missing() -> None:
    assert read(ChatMessage, {**MESSAGE, "odd": [1], "thoughts": None}, "it") == ChatMessage("user", "hi")


@pytest.mark.parametrize(("member", "value", "name"), [
    ("thought_s", float("inf"), "thought_s of it"), ("thought_s", -float("inf"), "thought_s of it"),
    ("thought_s", 10**400, "thought_s of it"),
    ("usage", {"prompt_tokens": 10**30}, "prompt_tokens of usage of it"),
    ("usage", {"prompt_tokens": None}, "prompt_tokens of usage of it"),
    ("usage", {"prompt_tokens": True}, "prompt_tokens of usage of it"), ("notes", ["x" * (MAX_MESSAGE_CHARS + 1)], "note 1 of it"),
    ("notes", [None], "note 1 of it"), ("options", {"seed": -1}, "seed of it"),
], ids=lambda value: str(value)[:30])
def test_invalid_members_are_refused_by_name(member: str, value: Any, name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(ChatMessage, {**MESSAGE, member: value}, "it")
    assert refused.value.name == name
    assert len(str(refused.value)) < 300


def test_values_nested_too_deeply_are_refused() -> None:
    nested: Any = 1
    for _ in range(5_000):
        nested = [nested]
    with pytest.raises(InvalidRequest, match="nesting"):
        read(ChatMessage, {**MESSAGE, "usage": nested}, "it")
