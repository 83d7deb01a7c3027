"""/v1/chat/completions, with OpenAI's own client."""

from __future__ import annotations

import math

import pytest
from openai import AsyncOpenAI, BadRequestError, OpenAI

from tests import own_thread

QUESTION = [{"role": "user", "content": "What is quantization, and when should I use it on my own machine?"}]
GREEDY = {"model": "builtin", "temperature": 0, "max_tokens": 24}


def text_of(chunks: list) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_a_reply_as_a_whole(client: OpenAI) -> None:
    reply = client.chat.completions.create(messages=QUESTION, **GREEDY)
    assert reply.choices[0].message.content
    assert (reply.choices[0].message.role, reply.model, reply.object) == ("assistant", "builtin", "chat.completion")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert 0 < reply.usage.completion_tokens <= 24
    assert reply.usage.dropped_tokens == 0


def test_a_streamed_reply_is_the_same(client: OpenAI) -> None:
    whole = client.chat.completions.create(messages=QUESTION, **GREEDY)
    chunks = list(client.chat.completions.create(messages=QUESTION, stream=True, stream_options={"include_usage": True}, **GREEDY))
    assert text_of(chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1] if chunk.choices][-1] == whole.choices[0].finish_reason
    assert {chunk.usage for chunk in chunks[:-1]} == {None}
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens > 0
    assert len(chunks) > 5


def test_the_asynchronous_client(address: str) -> None:
    async def ask() -> str:
        async with AsyncOpenAI(base_url=f"{address}/v1", api_key="none") as client:
            stream = await client.chat.completions.create(messages=QUESTION, stream=True, **GREEDY)
            return text_of([chunk async for chunk in stream])

    assert own_thread.run(ask())


def test_a_seed_repeats_a_reply_and_each_of_several_choices_has_its_own(client: OpenAI) -> None:
    given = {"messages": QUESTION, "model": "default", "temperature": 5, "top_p": 1, "extra_body": {"top_k": 0}, "max_tokens": 8, "seed": 7}
    three = [choice.message.content for choice in client.chat.completions.create(n=3, **given).choices]
    assert len(set(three)) > 1
    assert [choice.message.content for choice in client.chat.completions.create(n=3, **given).choices] == three
    assert client.chat.completions.create(**{**given, "seed": 8}).choices[0].message.content == three[1]


def test_several_choices_are_streamed_by_their_numbers_and_share_the_prompt(client: OpenAI) -> None:
    stream = client.chat.completions.create(messages=QUESTION, n=4, stream=True, stream_options={"include_usage": True}, **GREEDY)
    texts, ends, usage = dict.fromkeys(range(4), ""), {}, None
    order = []
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            ends[choice.index] = choice.finish_reason or ends.get(choice.index)
            order.append(choice.index)
    assert len(set(texts.values())) == 1        # greedy
    assert set(ends.values()) <= {"stop", "length"}
    assert usage.completion_tokens % 4 == 0
    assert order[4:] != sorted(order[4:])       # generated together, not one after the other


def test_stop_texts_biases_and_penalties_change_the_reply(client: OpenAI) -> None:
    plain = client.chat.completions.create(messages=QUESTION, **GREEDY).choices[0].message.content
    word = plain.split()[2]
    stopped = client.chat.completions.create(messages=QUESTION, stop=word, **GREEDY).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == (plain.partition(word)[0], "stop")
    first = client.chat.completions.create(messages=QUESTION, logprobs=True, top_logprobs=2, **{**GREEDY, "max_tokens": 1})
    assert client.chat.completions.create(
        messages=QUESTION, frequency_penalty=2, presence_penalty=2, logit_bias={"5": 100}, **GREEDY).choices[0].message.content != plain
    assert first.choices[0].finish_reason == "length"


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
def test_log_probabilities_belong_to_the_text(client: OpenAI, is_stream: bool) -> None:
    given = {"messages": QUESTION, "logprobs": True, "top_logprobs": 3, **GREEDY}
    if is_stream:
        chunks = [chunk.choices[0] for chunk in client.chat.completions.create(stream=True, **given)]
        text = "".join(chunk.delta.content or "" for chunk in chunks)
        tokens = [token for chunk in chunks if chunk.logprobs for token in chunk.logprobs.content]
    else:
        choice = client.chat.completions.create(**given).choices[0]
        text, tokens = choice.message.content, choice.logprobs.content
    assert bytes(byte for token in tokens for byte in token.bytes).decode() == text
    for token in tokens:
        assert token.top_logprobs[0].token == token.token
        assert sum(math.exp(each.logprob) for each in token.top_logprobs) < 1 + 1e-5


def test_the_last_message_of_the_assistant_is_continued(client: OpenAI) -> None:
    begun = [*QUESTION, {"role": "assistant", "content": "Quantization stores the weights"}]
    reply = client.chat.completions.create(messages=begun, extra_body={"continue_final_message": True}, **GREEDY).choices[0].message.content
    assert not reply.startswith("Quantization")
    with pytest.raises(BadRequestError, match="continue_final_message"):
        client.chat.completions.create(messages=QUESTION, extra_body={"continue_final_message": True}, **GREEDY)


def test_messages_as_parts_of_a_developer_and_with_reasoning(client: OpenAI) -> None:
    parts = [{"role": "developer", "content": "Be brief."}, {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
             {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
             {"role": "assistant", "content": "Hi", "reasoning_content": "They greet."}, {"role": "user", "content": "What is a token?"}]
    assert client.chat.completions.create(messages=parts, **GREEDY).choices[0].message.content


def test_our_own_options(client: OpenAI) -> None:
    more = {"top_k": 1, "min_p": 0.1, "repetition_penalty": 1.1, "reasoning_budget": 10}
    given = {**GREEDY, "temperature": 1.0}
    texts = {client.chat.completions.create(messages=QUESTION, extra_body=more, **given).choices[0].message.content for _ in range(2)}
    assert len(texts) == 1      # top_k 1 is greedy
    with pytest.raises(BadRequestError) as refused:
        client.chat.completions.create(messages=QUESTION, extra_body={"adapter": "none such"}, **GREEDY)
    assert refused.value.param == "adapter"


def test_models_are_listed_and_named(client: OpenAI) -> None:
    model = client.models.list().data[0]
    assert (model.id, model.owned_by, model.object) == ("builtin", "mindcubes", "model")
    assert model.max_model_len > 1000
    assert client.models.retrieve("builtin").id == client.models.retrieve("default").id == "builtin"
