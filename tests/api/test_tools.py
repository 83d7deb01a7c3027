"""Tools with OpenAI's client unmodified: its loop of calls and results, streams, and both endpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from jsonschema import Draft202012Validator
from openai import BadRequestError, OpenAI
from pydantic import BaseModel

SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Paris", "Oslo"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
          "required": ["city"], "additionalProperties": False}
FUNCTION = {"name": "get_weather", "description": "The weather of a city.", "parameters": SCHEMA}
TOOLS: list[Any] = [{"type": "function", "function": FUNCTION}]
FLAT: list[Any] = [{"type": "function", **FUNCTION}]
NAMED: Any = {"type": "function", "function": {"name": "get_weather"}}
HELLO: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
SENT: dict[str, Any] = {"model": "builtin", "max_tokens": 120, "seed": 1, "tools": TOOLS}


def weather(city: str, days: int = 1) -> str:
    return f"{days} days of rain in {city}"


def valid(arguments: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(arguments)
    Draft202012Validator(SCHEMA).validate(values)
    return values


def test_the_loop_of_a_program_with_tools(client: OpenAI) -> None:
    """As OpenAI's guide writes it: call, run, send the result, until there is an answer."""
    messages: list[Any] = list(HELLO)
    choices: list[Any] = ["required", NAMED, "none"]
    for choice in choices:
        answer = client.chat.completions.create(**SENT, messages=messages, tool_choice=choice, parallel_tool_calls=False).choices[0]
        messages.append(answer.message)
        for call in answer.message.tool_calls or ():
            assert (call.type, call.function.name, len(call.id) > 0) == ("function", "get_weather", True)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": weather(**valid(call.function.arguments))})
        assert answer.finish_reason == ("tool_calls" if answer.message.tool_calls else answer.finish_reason)
        assert bool(answer.message.tool_calls) is (choice != "none")
        assert answer.message.content is None if answer.message.tool_calls else answer.message.content


class GetWeather(BaseModel):
    city: str
    days: int


def test_the_clients_streams_and_models_of_pydantic(client: OpenAI) -> None:
    with client.chat.completions.stream(**SENT, messages=HELLO, tool_choice=NAMED) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion().choices[0]
    assert [valid(event.arguments) for event in done] == [valid(call.function.arguments) for call in final.message.tool_calls or ()]
    assert (len(done), final.finish_reason) == (1, "tool_calls")
    pydantic: Any = openai.pydantic_function_tool(GetWeather, name="get_weather")
    sent = {**SENT, "tools": [pydantic], "max_tokens": 300, "temperature": 0.2}
    parsed = client.chat.completions.parse(**sent, messages=HELLO, tool_choice=NAMED)
    call = (parsed.choices[0].message.tool_calls or [None])[0]
    assert call is not None
    assert isinstance(call.function.parsed_arguments, GetWeather)


def test_pieces_of_a_stream_make_the_same_call(client: OpenAI) -> None:
    whole = client.chat.completions.create(**SENT, messages=HELLO, tool_choice=NAMED).choices[0]
    chunks = [each.choices[0] for each in client.chat.completions.create(**SENT, messages=HELLO, tool_choice=NAMED, stream=True)]
    pieces = [piece for chunk in chunks for piece in chunk.delta.tool_calls or ()]
    assert pieces[0].id
    assert [piece.function.name for piece in pieces if piece.function and piece.function.name] == ["get_weather"]
    assert whole.message.tool_calls
    assert "".join(piece.function.arguments or "" for piece in pieces if piece.function) == whole.message.tool_calls[0].function.arguments
    assert chunks[-1].finish_reason == whole.finish_reason == "tool_calls"
    assert not any(chunk.delta.content for chunk in chunks)


def test_a_cut_call_is_given_as_far_as_it_is_written(client: OpenAI) -> None:
    """The client may send it back, with the error that its program found."""
    cut = client.chat.completions.create(**{**SENT, "max_tokens": 20}, messages=HELLO, tool_choice=NAMED).choices[0]
    assert cut.finish_reason == "length"
    for arguments in ('{"city": "Os', "", "5"):
        call = {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
        messages: list[Any] = [*HELLO, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "a", "content": "?"}]
        assert client.chat.completions.create(**{**SENT, "max_tokens": 2}, messages=messages).choices[0].finish_reason


def test_responses_have_calls_as_items(client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": "builtin", "max_output_tokens": 120, "tools": FLAT, "extra_body": {"seed": 1},
                             "tool_choice": {"type": "function", "name": "get_weather"}}
    whole = client.responses.create(input=HELLO, **asked)
    call = whole.output[-1]
    assert (call.type, whole.status) == ("function_call", "completed")
    assert whole.tools[0].name == whole.tool_choice.name == call.name == "get_weather"
    values = valid(call.arguments)
    with client.responses.stream(input=HELLO, **asked) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert (final.output[-1].arguments, final.output[-1].name) == (call.arguments, "get_weather")
    assert [kind for kind in kinds if "function_call" in kind][-1] == "response.function_call_arguments.done"
    result = {"type": "function_call_output", "call_id": call.call_id, "output": weather(**values)}
    after = client.responses.create(input=[*HELLO, call.to_dict(), result], **{**asked, "tool_choice": "none"})
    assert after.output_text


@pytest.mark.parametrize(("change", "param"), [
    (lambda sent: sent["tools"].append({"type": "web_search"}), "tools.1.type"),
    (lambda sent: sent["tools"].append({"type": "function"}), "tools.1.function.name"),
    (lambda sent: sent["tools"].append({"type": "function", "function": {"name": "a b"}}), None),
    (lambda sent: sent["tools"].append(TOOLS[0]), None),
    (lambda sent: sent["tools"].append({"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}), None),
    (lambda sent: sent["tools"].append({"type": "function", "function": {"name": "f", "parameters": {
        "properties": {"a": {"not": {}}}}}}), None),
    (lambda sent: sent.update(tool_choice="maybe"), "tool_choice"),
    (lambda sent: sent.update(tool_choice={"type": "function", "function": {"name": "other"}}), None),
    (lambda sent: sent.update(tool_choice={"type": "allowed_tools"}), "tool_choice"),
    (lambda sent: sent.update(tools=[], tool_choice="required"), None),
    (lambda sent: sent["messages"].append({"role": "tool", "content": "x", "tool_call_id": "nobody"}), None),
    (lambda sent: sent["messages"].append({"role": "tool", "content": "x"}), None)])
def test_what_cannot_be_used_is_refused(client: OpenAI, change: Callable[[dict[str, Any]], None], param: str | None) -> None:
    sent = {**SENT, "tools": list(TOOLS), "messages": list(HELLO)}
    change(sent)
    with pytest.raises(BadRequestError) as error:
        client.chat.completions.create(**sent)
    assert error.value.param == param or param is None


def test_a_tool_and_an_answer_in_a_shape(client: OpenAI) -> None:
    """An answer without calls has the shape."""
    shape = {"extra_body": {"guided_choice": ["rain", "sun"]}}
    answer = client.chat.completions.create(**SENT, **shape, messages=HELLO, tool_choice="none").choices[0]
    assert answer.message.content in ("rain", "sun")
    either = client.chat.completions.create(**SENT, **shape, messages=HELLO).choices[0].message
    assert either.content in ("rain", "sun") or either.tool_calls
