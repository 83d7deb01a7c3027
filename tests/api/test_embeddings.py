"""/v1/embeddings with OpenAI's own client, over a tiny random model."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from openai import APIStatusError, OpenAI

from api.embeddings import Turns
from api.requests import MAX_TEXTS
from engine import Engine, Settings
from engine.errors import EngineBusy, TooManyReplies
from engine.limits import Limits
from tests import embedding_models, own_thread


@pytest.fixture(scope="module")
def engine(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Without a chat model: an embedding model needs none."""
    folder = tmp_path_factory.mktemp("embedding")
    model = embedding_models.embedder(folder / "tiny", {"query": "what ", "document": ""})
    made = Engine(replace(settings, embedder=str(model), data_dir=folder))
    yield made
    made.close()


@pytest.fixture(scope="module")
def url(engine: Engine, serve: Callable[[Engine], str]) -> str:
    return serve(engine)


@pytest.fixture(scope="module")
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def test_openais_client_gets_the_vectors_of_the_model(client: OpenAI, engine: Engine) -> None:
    texts = ["good film", "你好 世界"]
    answer = client.embeddings.create(model="default", input=texts)         # it asks for base64
    assert [each.index for each in answer.data] == [0, 1]
    assert np.array_equal(np.array([each.embedding for each in answer.data], np.float32), engine.embedders.embed(texts, "document"))
    assert (answer.model, answer.usage.prompt_tokens, answer.usage.total_tokens) == ("tiny", 8, 8)
    one = client.embeddings.create(model="tiny", input="good film", encoding_format="float", dimensions=32)
    assert np.allclose(one.data[0].embedding, answer.data[0].embedding, atol=1e-6)


def test_the_two_encodings_are_the_same_numbers(url: str) -> None:
    plain, packed = (httpx.post(f"{url}/v1/embeddings", json={"model": "default", "input": "good", "encoding_format": kind}).json()
                     for kind in ("float", "base64"))
    assert np.frombuffer(base64.b64decode(packed["data"][0]["embedding"]), "<f4").tolist() == plain["data"][0]["embedding"]


def test_a_question_is_read_as_one(client: OpenAI, engine: Engine) -> None:
    answer = client.embeddings.create(model="default", input="Zeynep", extra_body={"input_type": "query"})
    assert np.allclose(answer.data[0].embedding, engine.embedders.embed(["what Zeynep"], "document")[0], atol=1e-6)


@pytest.mark.parametrize(("fields", "status", "code", "param"), [
    ({"input": ""}, 400, "invalid_value", "input"),
    ({"input": []}, 400, "invalid_value", "input"),
    ({"input": ["good", " "]}, 400, "invalid_value", "input"),
    ({"input": [1, 2]}, 400, "unsupported_by_model", "input"),
    ({"input": [[1], [2]]}, 400, "unsupported_by_model", "input"),
    ({"input": "good " * 63}, 400, "context_length_exceeded", "input"),
    ({"input": "good", "dimensions": 8}, 400, "unsupported_by_model", "dimensions"),
    ({"input": "good", "model": "text-embedding-3-small"}, 404, "model_not_found", "model"),
    ({"input": "good", "encoding_format": "int8"}, 400, "invalid_value", "encoding_format"),
    ({"input": "good", "truncate": True}, 400, "unsupported_parameter", "truncate"),
])
def test_what_cannot_be_answered_names_its_field(url: str, fields: dict[str, object], status: int, code: str, param: str) -> None:
    answer = httpx.post(f"{url}/v1/embeddings", json={"model": "default", **fields})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)


def test_too_many_texts_are_refused(url: str) -> None:
    answer = httpx.post(f"{url}/v1/embeddings", json={"model": "default", "input": ["good"] * (MAX_TEXTS + 1)})
    assert answer.status_code == 400


def test_fields_without_effect_are_named(url: str) -> None:
    assert "user" in httpx.post(f"{url}/v1/embeddings", json={"model": "default", "input": "good", "user": "me"}).headers["Warning"]


@pytest.mark.parametrize(("embedder", "status", "code"), [("none", 501, "not_implemented"), ("me/missing", 503, "no_model_loaded")])
def test_without_a_model_the_answer_says_what_to_do(settings: Settings, serve: Callable[[Engine], str], tmp_path: Path, embedder: str,
                                                    status: int, code: str) -> None:
    bare = Engine(replace(settings, embedder=embedder, data_dir=tmp_path, cache_dir=tmp_path))
    client = OpenAI(base_url=f"{serve(bare)}/v1", api_key="none", max_retries=0)
    with pytest.raises(APIStatusError) as error:
        client.embeddings.create(model="default", input="good")
    assert (error.value.status_code, error.value.code) == (status, code)


def test_tokens_and_characters_count_for_the_visitors_limits(settings: Settings, engine: Engine, serve: Callable[[Engine], str],
                                                             tmp_path: Path) -> None:
    limits = Limits(message_chars=20, tokens_per_day=8)
    limited = Engine(replace(settings, embedder=engine.settings.embedder, data_dir=tmp_path, limits=limits))
    url = serve(limited)
    answers = [httpx.post(f"{url}/v1/embeddings", json={"model": "default", "input": text})
               for text in ("good film good film good", "good film", "good film", "good film")]
    assert [answer.status_code for answer in answers] == [400, 200, 200, 429]       # 4 tokens each, with special ones
    assert answers[3].json()["error"]["code"] == "rate_limit_exceeded"
    assert [use.tokens for use in limited.visitors.today()] == [8]
    limited.close()


def test_one_visitor_computes_once_at_a_time_and_a_long_queue_is_refused(settings: Settings, tmp_path: Path) -> None:
    limited = Engine(replace(settings, is_public=True, data_dir=tmp_path, limits=Limits(replies_at_once=3), max_waiting=4))
    computing: list[str] = []

    async def ask(turns: Turns, visitor: str, end: asyncio.Event) -> None:
        async with turns.turn(visitor, 5):
            computing.append(visitor)
            await end.wait()

    async def visits() -> None:
        turns, end = Turns(limited), asyncio.Event()
        asks = [asyncio.create_task(ask(turns, visitor, end)) for visitor in ("ann", "ann", "ann", "bob")]
        await asyncio.sleep(0)
        assert computing == ["ann", "bob"]
        for visitor, error, words in (("ann", TooManyReplies, "3"), ("eve", EngineBusy, "wait")):
            with pytest.raises(error, match=words):
                await ask(turns, visitor, end)
        end.set()
        await asyncio.gather(*asks)
        assert computing == ["ann", "bob", "ann", "ann"]
        async with turns.turn("eve", 5):
            pass

    own_thread.run(visits())
    limited.close()
