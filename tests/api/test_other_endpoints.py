"""/v1/completions, /v1/responses and /metrics, with OpenAI's own client."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
from openai import OpenAI

from engine import Engine, Finished, GenerationOptions, ReasoningDelta, TextDelta
from tests.ui.scripted_engine import USAGE, ScriptedEngine

QUESTION = "What is quantization, and when should I use it on my own machine?"
GREEDY: dict[str, Any] = {"model": "builtin", "temperature": 0, "max_tokens": 16}
THOUGHTFUL = [ReasoningDelta("They "), ReasoningDelta("ask."), TextDelta("A "), TextDelta("reply."), Finished("stop", USAGE)]


# --- completions ---

def test_a_text_is_continued_as_it_is(client: OpenAI, builtin_engine: Engine) -> None:
    reply = client.completions.create(prompt="The context window", **GREEDY)
    events = builtin_engine.complete("The context window", GenerationOptions(temperature=0.0, max_new_tokens=16))
    assert reply.choices[0].text == "".join(event.text for event in events if isinstance(event, TextDelta))
    assert (reply.object, reply.choices[0].finish_reason) == ("text_completion", "stop")
    chunks = list(client.completions.create(prompt="The context window", stream=True, **GREEDY))
    assert "".join(chunk.choices[0].text for chunk in chunks) == reply.choices[0].text


def test_several_texts_with_several_choices_each(client: OpenAI, builtin_engine: Engine) -> None:
    reply = client.completions.create(prompt=["The context window", "A token"], n=2, **GREEDY)
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    assert reply.choices[0].text == reply.choices[1].text != reply.choices[2].text == reply.choices[3].text
    alone = [client.completions.create(prompt=prompt, **GREEDY).usage for prompt in ("The context window", "A token")]
    assert reply.usage.prompt_tokens == sum(usage.prompt_tokens for usage in alone)
    with builtin_engine.using() as model:
        ids = [*model.first_ids, *model.encode("A token")]
    assert client.completions.create(prompt=ids, **GREEDY).choices[0].text == reply.choices[2].text


def test_log_probabilities_of_a_continued_text(client: OpenAI) -> None:
    choice = client.completions.create(prompt="The context window", logprobs=2, **GREEDY).choices[0]
    assert "".join(choice.logprobs.tokens) == choice.text
    assert choice.logprobs.text_offset == [len("".join(choice.logprobs.tokens[:number])) for number in range(len(choice.logprobs.tokens))]
    assert all(len(each) <= 2 for each in choice.logprobs.top_logprobs)


# --- responses ---

def test_a_response_as_a_whole_and_streamed(client: OpenAI) -> None:
    given = {"model": "builtin", "temperature": 0, "max_output_tokens": 200, "instructions": "Be brief."}
    whole = client.responses.create(input=QUESTION, **given)
    assert (whole.status, whole.object, whole.output[0].type) == ("completed", "response", "message")
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
    with client.responses.stream(input=QUESTION, **given) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_text == whole.output_text
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert kinds[-4:] == ["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}


def test_a_response_that_is_cut_says_so(client: OpenAI) -> None:
    whole = client.responses.create(model="builtin", input=QUESTION, max_output_tokens=3)
    assert (whole.status, whole.incomplete_details.reason, whole.output[0].status) == ("incomplete", "max_output_tokens", "incomplete")
    *_, last = client.responses.create(model="builtin", input=QUESTION, max_output_tokens=3, stream=True)
    assert (last.type, last.response.status) == ("response.incomplete", "incomplete")


def test_a_conversation_of_responses_is_sent_back_as_it_came(client: OpenAI) -> None:
    first = client.responses.create(model="builtin", input=[{"role": "user", "content": "Hello"}], temperature=0)
    items = [{"role": "user", "content": "Hello"}, *(item.model_dump(exclude_none=True) for item in first.output),
             {"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]
    second = client.responses.create(model="builtin", input=items, temperature=0, store=False, include=["reasoning.encrypted_content"],
                                     reasoning={"effort": "low", "summary": "auto"}, text={"format": {"type": "text"}})
    assert second.output_text
    assert second.usage.input_tokens > first.usage.input_tokens


def test_thoughts_are_an_item_of_their_own(serve: Callable[[Engine], str]) -> None:
    engine = ScriptedEngine(THOUGHTFUL)
    client = OpenAI(base_url=f"{serve(engine)}/v1", api_key="none", max_retries=0)     # type: ignore[arg-type]
    chat = client.chat.completions.create(model="builtin", messages=[{"role": "user", "content": "Hi"}]).choices[0].message
    assert (chat.content, chat.reasoning_content) == ("A reply.", "They ask.")
    chunks = list(client.chat.completions.create(model="builtin", messages=[{"role": "user", "content": "Hi"}], stream=True))
    assert "".join(getattr(chunk.choices[0].delta, "reasoning_content", None) or "" for chunk in chunks) == "They ask."

    whole = client.responses.create(model="builtin", input="Hi")
    events = list(client.responses.create(model="builtin", input="Hi", stream=True))
    for output in (whole.output, events[-1].response.output):
        assert [(item.type, item.content[0].text) for item in output] == [("reasoning", "They ask."), ("message", "A reply.")]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    for index, kind, text in ((0, "response.reasoning_text.delta", "They ask."), (1, "response.output_text.delta", "A reply.")):
        assert "".join(event.delta for event in events if event.type == kind and event.output_index == index) == text
    items = [item.model_dump() for item in whole.output] + [{"role": "user", "content": "And?"}]
    client.responses.create(model="builtin", input=[{"role": "user", "content": "Hi"}, *items])
    assert engine.asked[-1][0][1].reasoning == "They ask."


def test_log_probabilities_of_a_response(client: OpenAI) -> None:
    part = client.responses.create(model="builtin", input=QUESTION, temperature=0, top_logprobs=2, max_output_tokens=8,
                                   include=["message.output_text.logprobs"]).output[0].content[0]
    assert "".join(token.token for token in part.logprobs) == part.text


def test_an_error_in_a_streamed_response(serve: Callable[[Engine], str]) -> None:
    engine = ScriptedEngine([TextDelta("Two "), RuntimeError("a secret path")])
    client = OpenAI(base_url=f"{serve(engine)}/v1", api_key="none", max_retries=0)     # type: ignore[arg-type]
    *_, last = client.responses.create(model="builtin", input="Hi", stream=True)
    assert (last.type, last.response.status, last.response.error.code) == ("response.failed", "failed", "server_error")
    assert "secret" not in last.response.error.message


# --- the rest ---

def test_the_metrics_count_requests_tokens_and_times(address: str, client: OpenAI) -> None:
    def metric(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", httpx.get(f"{address}/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    names = ('mindcubes_requests_total{path="/v1/chat/completions",status="200"}', 'mindcubes_tokens_total{kind="new"}',
             'mindcubes_tokens_total{kind="prompt"}', "mindcubes_ttft_seconds_count", "mindcubes_tpot_seconds_count")
    before = [metric(name) for name in names]
    usage = client.chat.completions.create(messages=[{"role": "user", "content": QUESTION}], **GREEDY).usage
    after = [metric(name) for name in names]
    assert [end - begin for begin, end in zip(before, after, strict=True)] == [1, usage.completion_tokens, usage.prompt_tokens, 1, 1]
    assert metric("mindcubes_cache_blocks") > metric("mindcubes_cache_blocks_used") == 0
    assert metric("mindcubes_memory_bytes") > metric("mindcubes_memory_used_bytes") > 0
    assert metric("mindcubes_replies_running") == metric("mindcubes_replies_waiting") == 0
    assert 'name="Built-in guide"' in httpx.get(f"{address}/metrics").text
