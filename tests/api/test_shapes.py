"""Answers in a shape: OpenAI's fields and vLLM's, with OpenAI's client unmodified."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import httpx
import pytest
from openai import BadRequestError, LengthFinishReasonError, OpenAI
from pydantic import BaseModel, Field

HELLO: list[Any] = [{"role": "user", "content": "Describe a fruit."}]
SCHEMA = {"type": "object", "properties": {"ripe": {"type": "boolean"}, "kind": {"enum": ["apple", "pear"]}},
          "required": ["ripe", "kind"], "additionalProperties": False}
SENT = {"model": "builtin", "messages": HELLO, "max_tokens": 60, "seed": 3}


class Fruit(BaseModel):
    kind: Literal["apple", "pear", "plum"]
    ripe: bool
    grams: int = Field(ge=1, le=500)


def test_the_client_parses_an_answer_as_a_model_of_pydantic(client: OpenAI) -> None:
    parsed = client.chat.completions.parse(model="builtin", messages=HELLO, response_format=Fruit, max_tokens=80).choices[0].message.parsed
    assert isinstance(parsed, Fruit)
    again = client.responses.parse(model="builtin", input="Describe a fruit.", text_format=Fruit, max_output_tokens=80)
    assert isinstance(again.output_parsed, Fruit)
    with pytest.raises(LengthFinishReasonError):
        client.chat.completions.parse(model="builtin", messages=HELLO, response_format=Fruit, max_tokens=2)


@pytest.mark.parametrize(("field", "value", "fits"), [
    ("response_format", {"type": "json_schema", "json_schema": {"name": "fruit", "schema": SCHEMA, "strict": True}},
     lambda text: set(json.loads(text)) == {"ripe", "kind"}),
    ("guided_json", json.dumps(SCHEMA), lambda text: set(json.loads(text)) == {"ripe", "kind"}),
    ("guided_regex", r"\d{3}-[a-z]{2}", lambda text: re.fullmatch(r"\d{3}-[a-z]{2}", text)),
    ("guided_choice", ["ripe", "not ripe"], lambda text: text in ("ripe", "not ripe"))], ids=["format", "json", "regex", "choice"])
@pytest.mark.parametrize("is_stream", [False, True])
def test_each_field_gives_its_shape(client: OpenAI, field: str, value: object, fits: Any, is_stream: bool) -> None:
    asked = {"extra_body": {field: value}}
    if is_stream:
        chunks = list(client.chat.completions.create(**SENT, **asked, stream=True))
        text, reason = "".join(chunk.choices[0].delta.content or "" for chunk in chunks), chunks[-1].choices[0].finish_reason
    else:
        choice = client.chat.completions.create(**SENT, **asked).choices[0]
        text, reason = choice.message.content, choice.finish_reason
    assert fits(text)
    assert reason == "stop"
    completed = client.completions.create(model="builtin", prompt="A pear is", max_tokens=60, **asked).choices[0]
    assert fits(completed.text)


def test_an_answer_that_is_cut_says_so(client: OpenAI) -> None:
    cut = client.chat.completions.create(**{**SENT, "max_tokens": 2}, response_format={"type": "json_object"})
    assert cut.choices[0].finish_reason == "length"
    assert "does not have the shape" in cut.usage.notes[0]


def test_log_probabilities_are_those_among_the_allowed_tokens(client: OpenAI) -> None:
    answer = client.chat.completions.create(**SENT, extra_body={"guided_choice": ["a", "b"]}, logprobs=True, top_logprobs=5)
    first = answer.choices[0].logprobs.content[0]
    assert {each.token for each in first.top_logprobs} == {"a", "b"}
    assert max(each.logprob for each in first.top_logprobs) < 0


@pytest.mark.parametrize(("fields", "param", "word"), [
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}}, "response_format", '"not"'),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema", "missing"),
    ({"response_format": {"type": "xml"}}, "response_format.type", ""), ({"guided_regex": "a(b"}, "response_format", "unclosed group"),
    ({"guided_json": "{"}, "response_format", "not JSON"), ({"guided_choice": []}, "guided_choice", ""),
    ({"guided_choice": ["a"], "guided_regex": "b"}, "guided_choice", "one of"),
    ({"guided_choice": ["a"], "ignore_eos": True}, "ignore_eos", "")])
def test_a_shape_that_cannot_be_used_is_refused_with_the_reason(client: OpenAI, fields: dict[str, Any], param: str, word: str) -> None:
    with pytest.raises(BadRequestError) as error:
        client.chat.completions.create(**SENT, extra_body=fields)
    assert (error.value.type, error.value.param) == ("invalid_request_error", param)
    assert word in error.value.message


def test_a_response_repeats_the_format_that_was_asked_for(address: str) -> None:
    wanted = {"type": "json_schema", "name": "fruit", "schema": SCHEMA, "strict": True}
    body = httpx.post(f"{address}/v1/responses", json={"model": "builtin", "input": "A fruit.", "text": {"format": wanted}}).json()
    assert body["text"]["format"] == wanted
    assert set(json.loads(body["output"][0]["content"][0]["text"])) == {"ripe", "kind"}
