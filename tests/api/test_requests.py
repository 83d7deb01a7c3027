"""What is refused, and how: errors in OpenAI's shape, unknown fields, pictures, clients that go away."""

from __future__ import annotations

import base64
import io
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from PIL import Image

from api.errors import api_error
from engine import Engine
from engine.pipelines import NotAChatModel, NoTaskModel
from tests.ui.scripted_engine import ScriptedEngine, answer

from .conftest import eventually

HELLO = [{"role": "user", "content": "Hello"}]
CHAT, RESPONSES, COMPLETIONS = "/v1/chat/completions", "/v1/responses", "/v1/completions"
SHORT = {"model": "builtin", "messages": HELLO, "max_tokens": 4}


def refused(address: str, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    given = {"content": body} if isinstance(body, (bytes, str)) else {"json": body}
    reply = httpx.post(address + path, headers={"Content-Type": "application/json", **headers}, **given)
    return reply.status_code, reply.json()["error"]


def png(side: int = 8) -> str:
    file = io.BytesIO()
    Image.new("RGB", (side, side), "red").save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(("body", "param"), [
    ({**SHORT, "temperature": 9}, "temperature"), ({**SHORT, "n": 9}, "n"), ({**SHORT, "messages": []}, "messages"),
    ({"model": "builtin"}, "messages"), ({"messages": HELLO}, "model"), ({**SHORT, "stop": [""]}, None), ({**SHORT, "seed": -1}, "seed"),
    ({**SHORT, "top_logprobs": 2}, "top_logprobs"), ({**SHORT, "messages": [{"role": "user", "content": " "}]}, "messages"),
    ({**SHORT, "messages": [{"role": "function", "content": "3"}]}, "messages.0.role"),
    ({**SHORT, "messages": [*HELLO, {"role": "system", "content": "Late."}]}, "messages"),
    ({**SHORT, "logit_bias": {"-4": 1}}, None), ({**SHORT, "generation_config": "{"}, "generation_config"),
    ({**SHORT, "generation_config": {"num_beams": 4}}, "generation_config.num_beams")])
def test_an_invalid_value_is_refused_with_its_field(address: str, body: dict[str, Any], param: str | None) -> None:
    status, error = refused(address, CHAT, body)
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert param is None or error["param"] == param
    assert error["message"]


@pytest.mark.parametrize(("path", "field", "value"), [
    (CHAT, "functions", [{"name": "f"}]), (CHAT, "temprature", 0), (CHAT, "verbosity", "low"), (COMPLETIONS, "suffix", "the end"),
    (COMPLETIONS, "best_of", 4),
    (RESPONSES, "previous_response_id", "resp_1"), (RESPONSES, "store", True), (RESPONSES, "background", True),
    (RESPONSES, "truncation", "disabled")])
def test_an_unknown_field_that_would_change_the_answer_is_refused_by_name(address: str, path: str, field: str, value: object) -> None:
    asked = {CHAT: {"messages": HELLO}, COMPLETIONS: {"prompt": "Hello"}, RESPONSES: {"input": "Hello"}}[path]
    status, error = refused(address, path, {"model": "builtin", **asked, field: value})
    assert (status, error["code"], error["param"]) == (400, "unsupported_parameter", field)


def test_a_harmless_field_is_accepted_and_named(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        **SHORT, user="me", metadata={"a": "b"}, parallel_tool_calls=True, tools=[], tool_choice="none", response_format={"type": "text"})
    assert raw.headers["warning"] == '299 mindcubes "without effect here: metadata, user"'
    assert "warning" not in client.chat.completions.with_raw_response.create(**SHORT).headers


def test_another_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(NotFoundError) as error:
        client.chat.completions.create(**{**SHORT, "model": "gpt-4o"})
    assert (error.value.code, error.value.param) == ("model_not_found", "model")
    with pytest.raises(NotFoundError):
        client.models.retrieve("gpt-4o")


def test_a_message_longer_than_the_window(client: OpenAI, builtin_engine: Engine) -> None:
    with pytest.raises(BadRequestError) as error:
        client.chat.completions.create(**{**SHORT, "messages": [{"role": "user", "content": "word " * 20_000}]}, stream=True)
    assert error.value.code == "context_length_exceeded"


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"model": NaN}', b"\xff", b"[" * 50_000, b'{"model": "builtin", "messages": "\\ud800"}'])
def test_what_is_no_request_is_refused(address: str, body: bytes) -> None:
    assert refused(address, CHAT, body)[0] == 400


def test_addresses_and_methods_that_do_not_exist(address: str) -> None:
    assert httpx.get(f"{address}/v1/nothing").json()["error"]["code"] == "not_found"
    assert httpx.delete(f"{address}/v1/models").json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(("url", "code"), [
    ("https://example.org/cat.png", "invalid_image_url"), ("http://169.254.169.254/latest", "invalid_image_url"),
    ("file:///etc/passwd", "invalid_image_url"), ("data:text/html;base64,PGI+", "invalid_image_url"),
    ("data:image/png;base64,AAAA", "invalid_image"), ("data:image/png;base64,***", "invalid_image")])
def test_pictures_are_never_fetched_and_damaged_ones_refused(address: str, url: str, code: str) -> None:
    chat = [{"role": "user", "content": [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]}]
    status, error = refused(address, CHAT, {**SHORT, "messages": chat})
    assert (status, error["code"], error["param"]) == (400, code, "messages.0.content.1.image_url")


def test_pictures_reach_the_engine(serve: Callable[[Engine], str]) -> None:
    engine = ScriptedEngine(answer("A red square."))
    client = OpenAI(base_url=f"{serve(engine)}/v1", api_key="none")     # type: ignore[arg-type]
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": png(), "detail": "low"}}]
    client.chat.completions.create(model="builtin", messages=[{"role": "user", "content": parts}])
    client.responses.create(model="builtin", input=[{"role": "user", "content": [
        {"type": "input_text", "text": "And this?"}, {"type": "input_image", "image_url": png(16), "detail": "auto"}]}])
    seen = [(message.content, [(picture.width, picture.height) for picture in message.pictures])
            for (message,), _ in engine.asked]
    assert seen == [("What is this?", [(8, 8)]), ("And this?", [(16, 16)])]


def test_a_model_that_reads_no_pictures_says_so(address: str) -> None:
    chat = [{"role": "user", "content": [{"type": "image_url", "image_url": png()}]}]
    status, error = refused(address, CHAT, {**SHORT, "messages": chat})
    assert (status, error["param"]) == (400, "messages")
    assert "cannot read pictures" in error["message"]


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
def test_a_client_that_goes_away_ends_its_request(address: str, builtin_engine: Engine, is_stream: bool) -> None:
    with builtin_engine.using() as model:
        never_ends = {str(token): -100 for token in model.vocabulary[1]}
    body = json.dumps({**SHORT, "max_tokens": 4000, "n": 2, "stream": is_stream, "logit_bias": never_ends}).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    eventually(lambda: builtin_engine.status().running == 0)
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))) as client:
        client.sendall(head.encode() + body)
        eventually(lambda: builtin_engine.status().running > 0)
    eventually(lambda: builtin_engine.status().running == 0)
    eventually(lambda: builtin_engine.status().cache_use[0] == 0)


def test_without_a_model_the_api_says_so(serve: Callable[[Engine], str], new_engine: Callable[..., Engine]) -> None:
    address = serve(new_engine())
    status, error = refused(address, CHAT, SHORT)
    assert (status, error["code"]) == (503, "no_model_loaded")
    assert httpx.get(f"{address}/health").status_code == 503
    assert httpx.get(f"{address}/v1/models").json()["data"] == []


def test_an_error_in_a_stream_is_its_last_event(serve: Callable[[Engine], str]) -> None:
    engine = ScriptedEngine([*answer("Two words")[:2], RuntimeError("a secret path")])
    with httpx.stream("POST", serve(engine) + CHAT, json={**SHORT, "stream": True}) as reply:       # type: ignore[arg-type]
        events = [line[6:] for line in reply.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    error = json.loads(events[-2])["error"]
    assert error["code"] == "server_error"
    assert "secret" not in error["message"]


def test_many_requests_at_once_are_all_answered(address: str) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(httpx.post(address + CHAT, json=SHORT, timeout=60).status_code))
               for _ in range(48)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 48


def test_a_model_that_does_something_else_is_no_mistake_of_the_server() -> None:
    for error in (NotAChatModel("judge", "text-classification"), NoTaskModel("llama")):
        assert (api_error(error).status, api_error(error).code) == (400, "unsupported_by_model")
