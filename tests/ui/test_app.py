import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from engine import TextDelta
from engine.errors import MessageTooLong
from ui.app import build_app

from .scripted_engine import ScriptedEngine, answer


def client_of(address: str) -> Client:
    return Client(address, verbose=False)


def test_chat_is_the_only_named_endpoint() -> None:
    page = build_app(ScriptedEngine())  # type: ignore[arg-type]
    assert list(page.get_api_info()["named_endpoints"]) == ["/chat"]


def test_the_arguments_of_the_endpoint_and_their_defaults() -> None:
    parameters = build_app(ScriptedEngine()).get_api_info()["named_endpoints"]["/chat"]["parameters"]  # type: ignore[arg-type]
    assert [(p["parameter_name"], p.get("parameter_default")) for p in parameters] == [
        ("message", None), ("system_prompt", ""), ("temperature", 0.7), ("max_new_tokens", 256),
        ("reasoning_effort", None), ("reasoning_budget", None)]


def test_a_client_gets_the_whole_answer(engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("one two three")
    assert client_of(address).predict("hi", api_name="/chat") == "one two three "


def test_a_client_sees_the_answer_grow(engine: ScriptedEngine, address: str) -> None:
    steps = [step for word in "abcdef" for step in (TextDelta(word), 0.1)]
    engine.script = [*steps, *answer("end")]
    job = client_of(address).submit("hi", api_name="/chat")
    job.result(timeout=20)
    seen = job.outputs()
    assert len(set(seen)) > 3
    assert all(later.startswith(earlier) for earlier, later in pairwise(seen))


def test_the_system_prompt_and_the_options_reach_the_engine(engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("ok")
    client_of(address).predict("hi", "Be brief.", 0.0, 9, api_name="/chat")
    messages, options = engine.asked[-1]
    assert [(m.role, m.content) for m in messages] == [("system", "Be brief."), ("user", "hi")]
    assert (options.temperature, options.max_new_tokens) == (0.0, 9)


def test_an_engine_error_reaches_a_client_as_its_sentence(engine: ScriptedEngine, address: str) -> None:
    engine.script = [MessageTooLong(9003, 2032)]
    client = client_of(address)
    with pytest.raises(AppError, match="9,003 tokens"):
        client.predict("hi", api_name="/chat")


def test_an_impossible_option_reaches_a_client_as_a_sentence(engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("ok")
    client = client_of(address)
    with pytest.raises(AppError, match="temperature"):
        client.predict("hi", "", -1.0, api_name="/chat")


def test_an_unexpected_error_reaches_a_client_without_internals(engine: ScriptedEngine, address: str) -> None:
    engine.script = [RuntimeError("secret path")]
    client = client_of(address)
    with pytest.raises(AppError) as caught:
        client.predict("hi", api_name="/chat")
    assert "secret" not in str(caught.value)


def test_a_cancelled_job_closes_the_engines_reply(engine: ScriptedEngine, address: str) -> None:
    engine.script = [TextDelta("a"), 30.0]
    job = client_of(address).submit("hi", api_name="/chat")
    wait_until(lambda: bool(job.outputs()) and bool(engine.asked))
    job.cancel()
    wait_until(lambda: engine.num_closed == 1)


def test_many_clients_are_answered_at_the_same_time(engine: ScriptedEngine, address: str) -> None:
    engine.script = [TextDelta("a"), 1.0, *answer("b")]
    client = client_of(address)
    started = time.monotonic()
    jobs = [client.submit("hi", api_name="/chat") for _ in range(12)]
    assert {job.result(timeout=30) for job in jobs} == {"ab "}
    assert time.monotonic() - started < 6


def wait_until(is_true: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
