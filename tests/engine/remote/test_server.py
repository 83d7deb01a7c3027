"""Chats with a model on another server: events, options, stops and every kind of failure, over real HTTP."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from engine import Finished, GenerationOptions, Message, ReasoningDelta, Secret, StreamEvent, TextDelta, Waiting
from engine.errors import InvalidRequest, MessageTooLong, NotOnThisMachine
from engine.pictures import read_picture
from engine.remote import (
    Connection,
    RemoteBusy,
    RemoteError,
    RemoteFailed,
    RemoteKeyRefused,
    RemoteModelMissing,
    RemoteServer,
    RemoteUnreachable,
)
from engine.remote.reply import NO_CALL_NOTE, NO_JSON_NOTE
from engine.shapes import CUT_NOTE, Shape
from engine.tool_calls import Tool, ToolCall, ToolCallDelta, calls_of
from tests.engine.test_pictures import file_of, halves
from tests.openai_standin import OpenAIStandin, chunk, reply, serve

KEY = "sk-very-secret-key"
HELLO = (Message("user", "Hello"),)
NOW = Tool("now", "The current time.")


@pytest.fixture
def standin() -> Iterator[OpenAIStandin]:
    with serve() as standin:
        yield standin


@pytest.fixture
def server(standin: OpenAIStandin) -> Iterator[RemoteServer]:
    with closing(RemoteServer(Connection("test", standin.address, "tiny", Secret(KEY)), silence_s=20)) as server:
        yield server


def answer(server: RemoteServer, messages: tuple[Message, ...] = HELLO, **options: object) -> tuple[str, Finished]:
    events = list(server.chat(messages, GenerationOptions(**options)))      # type: ignore[arg-type]
    assert isinstance(events[-1], Finished)
    return texts(events), events[-1]


def texts(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_a_reply_arrives_in_pieces_with_the_tokens_that_the_server_counted(server: RemoteServer, standin: OpenAIStandin) -> None:
    text, finished = answer(server)
    assert (text, finished.reason) == ("Hello there", "stop")
    assert (finished.usage.prompt_tokens, finished.usage.cached_tokens, finished.usage.new_tokens) == (21, 16, 3)
    assert standin.requests[0]["messages"] == [{"role": "user", "content": "Hello"}]


def test_without_a_count_of_tokens_the_pieces_are_counted_and_that_is_said(server: RemoteServer, standin: OpenAIStandin) -> None:
    standin.answer = lambda body: [chunk("a"), chunk("b", finish="length")]
    _, finished = answer(server)
    assert (finished.reason, finished.usage.new_tokens) == ("length", 2)
    assert "did not report" in finished.notes[0]


@pytest.mark.parametrize("thought", [
    [chunk(reasoning_content="Let me"), chunk(reasoning_content=" see.")], [chunk(reasoning="Let me see.")],
    [chunk("<thi"), chunk("nk>Let me see."), chunk("</think>")]], ids=["reasoning_content", "reasoning", "marks in the text"])
def test_thoughts_are_told_from_the_answer(server: RemoteServer, standin: OpenAIStandin, thought: list[object]) -> None:
    standin.answer = lambda body: [*thought, *reply("Yes.")]
    events = list(server.chat(HELLO, GenerationOptions()))
    assert texts(events) == "Yes."
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "Let me see."


def test_options_have_the_names_that_servers_know(server: RemoteServer, standin: OpenAIStandin) -> None:
    answer(server, temperature=0.5, top_p=0.9, top_k=20, min_p=0.1, repetition_penalty=1.2, presence_penalty=0.3, stop=["END"], seed=0,
           logit_bias={7: -100}, reasoning_effort="low", max_new_tokens=9)
    sent = standin.requests[0]
    assert sent["stream_options"] == {"include_usage": True}
    assert {name: sent[name] for name in ("temperature", "top_p", "top_k", "min_p", "presence_penalty", "stop", "seed", "max_tokens")} == {
        "temperature": 0.5, "top_p": 0.9, "top_k": 20, "min_p": 0.1, "presence_penalty": 0.3, "stop": ["END"], "seed": 0, "max_tokens": 9}
    assert sent["repetition_penalty"] == sent["repeat_penalty"] == 1.2
    assert (sent["logit_bias"], sent["reasoning_effort"]) == ({"7": -100}, "low")
    assert sent["chat_template_kwargs"] == {"enable_thinking": True}


def test_a_shape_of_json_is_asked_for_and_another_one_refused(server: RemoteServer, standin: OpenAIStandin) -> None:
    standin.answer = lambda body: reply('{"a"', ": 1}")
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert answer(server, shape=Shape.of_schema(schema))[1].notes == ()
    assert answer(server, shape=Shape("json"))[1].notes == ()
    assert [sent["response_format"] for sent in standin.requests] == [
        {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}, {"type": "json_object"}]
    with pytest.raises(NotOnThisMachine, match="another shape than JSON"):
        answer(server, shape=Shape.of_choices(["a"]))
    assert len(standin.requests) == 2


@pytest.mark.parametrize(("finish", "note"), [("length", CUT_NOTE), ("stop", NO_JSON_NOTE)])
def test_an_answer_that_is_not_json_is_told(server: RemoteServer, standin: OpenAIStandin, finish: str, note: str) -> None:
    standin.answer = lambda body: reply('{"a": ', finish=finish)
    assert answer(server, shape=Shape("json"))[1].notes == (note,)
    standin.answer = lambda body: reply("1}", finish=finish)
    assert answer(server, (*HELLO, Message("assistant", '{"a": ')), shape=Shape("json"))[1].notes == ()


def called(*pieces: dict[str, object]) -> list[object]:
    """The chunks of an answer that calls tools."""
    return [*(chunk(tool_calls=[piece]) for piece in pieces), *reply(finish="tool_calls")]


def test_tools_are_offered_and_calls_arrive_in_pieces(server: RemoteServer, standin: OpenAIStandin) -> None:
    standin.answer = lambda body: called(
        {"index": 1, "id": "abc", "type": "function", "function": {"name": "now", "arguments": ""}},
        {"index": 1, "function": {"arguments": '{"zone"'}}, {"index": 1, "function": {"arguments": ': "UTC"}'}},
        {"index": 4, "type": "function", "function": {"name": "now", "arguments": "{}"}})
    before = (Message("user", "When?"), Message("assistant", "", tool_calls=[ToolCall("1", "now")]),
              Message("tool", "noon", tool_call_id="1"))
    options = GenerationOptions(tools=[NOW], tool_choice="now", parallel_tool_calls=False)
    events = list(server.chat(before, options))
    calls = calls_of([event for event in events if isinstance(event, ToolCallDelta)])
    assert [(call.name, call.values) for call in calls] == [("now", {"zone": "UTC"}), ("now", {})]
    assert (calls[0].id, bool(calls[1].id)) == ("abc", True)
    assert isinstance(events[-1], Finished)
    assert (events[-1].reason, events[-1].notes) == ("tool_calls", ())
    sent = standin.requests[0]
    assert (sent["tools"], sent["parallel_tool_calls"]) == ([NOW.described], False)
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "now"}}
    earlier = {"id": "1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    assert sent["messages"][1:] == [
        {"role": "assistant", "content": None, "tool_calls": [earlier]}, {"role": "tool", "tool_call_id": "1", "content": "noon"}]


@pytest.mark.parametrize("function", [
    {"name": "delete_all", "arguments": "{}"}, {"name": "now", "arguments": "{"}, {"name": "now", "arguments": "[]"}])
def test_a_call_of_a_server_that_cannot_be_used_is_told(server: RemoteServer, standin: OpenAIStandin, function: dict[str, str]) -> None:
    standin.answer = lambda body: called({"index": 0, "id": "1", "type": "function", "function": function})
    finished = answer(server, tools=[NOW])[1]
    assert (finished.reason, finished.notes) == ("stop", (NO_CALL_NOTE,))


def test_options_that_are_off_are_not_sent(server: RemoteServer, standin: OpenAIStandin) -> None:
    answer(server)
    assert not {"top_k", "min_p", "repetition_penalty", "seed", "stop", "reasoning_effort"} & standin.requests[0].keys()


def test_an_option_that_the_server_refuses_by_name_is_left_out_and_named(server: RemoteServer, standin: OpenAIStandin) -> None:
    standin.answer = lambda body: (422, {"detail": "Unexpected keys: {'top_k'}"}) if "top_k" in body else reply("Fine")
    text, finished = answer(server, top_k=20, min_p=0.1)
    assert text == "Fine"
    assert "top_k" in finished.notes[0]
    assert standin.requests[-1]["min_p"] == 0.1


def test_the_beginning_of_a_reply_is_continued(server: RemoteServer, standin: OpenAIStandin) -> None:
    answer(server, (*HELLO, Message("assistant", "Dear")))
    assert standin.requests[0]["continue_final_message"] is True
    assert standin.requests[0]["add_generation_prompt"] is False


def test_a_picture_is_sent_before_the_text(server: RemoteServer, standin: OpenAIStandin) -> None:
    answer(server, (Message("user", "What is it?", pictures=[read_picture("a.png", file_of(halves()))]),))
    picture, text = standin.requests[0]["messages"][0]["content"]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    assert text == {"type": "text", "text": "What is it?"}


# --- stops ---

def test_closing_the_reply_closes_the_connection(server: RemoteServer, standin: OpenAIStandin) -> None:
    standin.answer = lambda body: [chunk("a"), True, *([chunk("x" * 4096)] * 4096)]
    events = server.chat(HELLO, GenerationOptions())
    assert next(event for event in events if not isinstance(event, Waiting)) == TextDelta("a")
    events.close()
    assert server.running == 0
    standin.go_on.set()
    assert standin.left.wait(20)


@pytest.mark.parametrize("closes_server", [False, True], ids=["the signal", "the server's end"])
def test_a_silent_server_does_not_delay_a_stop(server: RemoteServer, standin: OpenAIStandin, closes_server: bool) -> None:
    standin.answer = lambda body: [chunk("a"), True]
    stop = threading.Event()
    events = []
    for event in server.chat(HELLO, GenerationOptions(), stop):
        events.append(event)
        if isinstance(event, TextDelta):
            server.close() if closes_server else stop.set()
    assert isinstance(events[-1], Finished)
    assert (texts(events), events[-1].reason) == ("a", "stopped")


# --- failures ---

@pytest.mark.parametrize(("status", "headers", "expected", "words"), [
    (401, {}, RemoteKeyRefused, "did not accept the key"),
    (403, {}, RemoteKeyRefused, "did not accept the key"),
    (404, {}, RemoteModelMissing, "no model tiny"),
    (429, {"Retry-After": "7"}, RemoteBusy, "in 7 s"),
    (500, {}, RemoteFailed, "500"),
    (503, {}, RemoteFailed, "503"),
    (400, {}, RemoteFailed, "400"),
])
def test_refusals_become_typed_errors_without_the_key(server: RemoteServer, standin: OpenAIStandin, status: int, headers: dict[str, str],
                                                      expected: type[RemoteError], words: str) -> None:
    standin.headers, standin.answer = headers, lambda body: (status, {"error": {"message": f"Bad: {KEY}", "code": "odd"}})
    with pytest.raises(expected, match=words) as failure:
        answer(server)
    assert KEY not in str(failure.value)
    assert "Bad: ***" in str(failure.value)


def test_a_refusal_that_is_no_json_is_shown(server: RemoteServer, standin: OpenAIStandin) -> None:
    standin.answer = lambda body: (502, "<html>Bad gateway</html>")
    with pytest.raises(RemoteFailed, match="Bad gateway"):
        answer(server)


@pytest.mark.parametrize("ends_properly", [False, True], ids=["closed", "done without a reason"])
def test_a_cut_off_reply_is_an_error_after_its_text(server: RemoteServer, standin: OpenAIStandin, ends_properly: bool) -> None:
    standin.answer, standin.ends_properly = lambda body: [chunk("Half of")], ends_properly
    events = []
    with pytest.raises(RemoteFailed, match="before the reply was complete"):
        for event in server.chat(HELLO, GenerationOptions()):
            events.append(event)
    assert texts(events) == "Half of"


def test_an_error_within_the_stream_is_shown(server: RemoteServer, standin: OpenAIStandin) -> None:
    standin.answer = lambda body: [chunk("Half"), {"error": {"message": "out of memory", "code": 500}}]
    with pytest.raises(RemoteFailed, match="out of memory"):
        answer(server)


def test_nonsense_in_the_stream_is_an_error(server: RemoteServer, standin: OpenAIStandin) -> None:
    standin.answer = lambda body: ["nonsense"]
    with pytest.raises(RemoteFailed, match="could not be read"):
        answer(server)


def test_silence_is_an_error_after_the_time_limit(standin: OpenAIStandin) -> None:
    standin.answer = lambda body: [True]
    with closing(RemoteServer(Connection("test", standin.address, "tiny"), silence_s=0.3)) as server, \
            pytest.raises(RemoteUnreachable, match="in time"):
        answer(server)


def test_a_server_that_does_not_run_is_an_error_with_the_connections_name() -> None:
    with closing(RemoteServer(Connection("test", "http://127.0.0.1:9", "tiny"))) as server:
        with pytest.raises(RemoteUnreachable, match="test: the server cannot be reached"):
            answer(server)
        with pytest.raises(RemoteUnreachable):
            server.models()


# --- long chats ---

TOO_LONG = {
    "vLLM": {"error": {"message": "This model's maximum context length is 512 tokens. However, you requested 900 tokens (800 in the "
                                  "messages, 100 in the completion).", "code": 400}},
    "llama.cpp": {"error": {"message": "the request exceeds the available context size, try increasing it", "code": 400,
                            "type": "exceed_context_size_error", "n_prompt_tokens": 900, "n_ctx": 512}},
    "TGI": {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 512. Given: 900 `inputs` tokens"},
}


@pytest.mark.parametrize("body", TOO_LONG.values(), ids=TOO_LONG)
def test_the_oldest_turns_of_a_long_chat_are_left_out(server: RemoteServer, standin: OpenAIStandin, body: object) -> None:
    standin.answer = lambda sent: (400, body) if len(sent["messages"]) > 4 else reply("Short enough")
    turns = [message for number in range(6) for message in (Message("user", f"question {number}" * 9), Message("assistant", "answer" * 9))]
    text, finished = answer(server, (Message("system", "Be brief"), *turns, Message("user", "last")))
    assert text == "Short enough"
    sent = standin.requests[-1]["messages"]
    assert (sent[0]["role"], sent[1]["role"], sent[-1]["content"]) == ("system", "user", "last")
    assert finished.usage.dropped_messages == 14 - len(sent)


def test_a_chat_is_not_sent_again_after_the_reply_has_begun(server: RemoteServer, standin: OpenAIStandin) -> None:
    turns = (Message("user", "question " * 9), Message("assistant", "answer"), *HELLO)
    standin.answer = lambda body: [chunk("Half"), TOO_LONG["vLLM"]]
    with pytest.raises(RemoteFailed, match="900"):
        answer(server, turns)
    assert len(standin.requests) == 1


@pytest.mark.parametrize("number", ["20261129112233", "9" * 5000])
def test_other_numbers_in_a_refusal_are_not_sizes(server: RemoteServer, standin: OpenAIStandin, number: str) -> None:
    sentence = f"maximum context length is 4096 tokens. However, you requested 4200 tokens (request {number})"
    standin.answer = lambda body: (400, {"error": {"message": sentence}})
    with pytest.raises(MessageTooLong) as failure:
        answer(server)
    assert (failure.value.tokens, failure.value.window_tokens) == (4200, 4096)


def test_a_wait_without_end_is_cut(server: RemoteServer, standin: OpenAIStandin) -> None:
    standin.headers, standin.answer = {"Retry-After": "inf"}, lambda body: (429, {"error": "later"})
    with pytest.raises(RemoteBusy) as failure:
        answer(server)
    assert failure.value.retry_after_s == 86_400


def test_one_message_that_is_too_long_is_refused_with_its_size(server: RemoteServer, standin: OpenAIStandin) -> None:
    standin.answer = lambda body: (400, TOO_LONG["vLLM"])
    with pytest.raises(MessageTooLong, match="900") as failure:
        answer(server)
    assert failure.value.window_tokens == 512


# --- connections ---

def test_models_and_their_windows_are_read(server: RemoteServer, standin: OpenAIStandin) -> None:
    standin.models.append({"id": "other", "object": "model", "created": 0, "owned_by": "me", "meta": {"n_ctx": 2048}})
    assert [(each.name, each.window_tokens) for each in server.models()] == [("tiny", 512), ("other", 2048)]
    assert server.find().window_tokens == 512
    assert standin.keys[-1] == f"Bearer {KEY}"


def test_a_model_that_the_server_lacks_is_refused_with_those_it_has(standin: OpenAIStandin) -> None:
    standin.answer = lambda body: (404, {"error": {"message": "no such model"}})
    with closing(RemoteServer(Connection("test", standin.address, "large"))) as server, \
            pytest.raises(RemoteModelMissing, match="it offers tiny"):
        server.find()


@pytest.mark.parametrize("models_answer", [(200, {"object": "list", "data": []}), (404, {"detail": "Not Found"}), (500, "broken"), None])
def test_a_model_that_is_not_listed_is_asked_for_a_token(standin: OpenAIStandin, models_answer: tuple[int, object] | None) -> None:
    standin.models_answer = models_answer
    with closing(RemoteServer(Connection("test", standin.address, "tiny:together"))) as server:
        assert server.find().name == "tiny:together"
    assert standin.requests[-1]["max_tokens"] == 1


def test_the_keys_of_the_environment_are_not_sent(standin: OpenAIStandin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    with closing(RemoteServer(Connection("test", standin.address, "tiny"))) as server:
        server.models()
    assert standin.keys == ["Bearer none"]


@pytest.mark.parametrize(("typed", "address"), [
    ("http://host:8000", "http://host:8000/v1"), ("https://host/v1/", "https://host/v1"),
    ("http://[::1]:8000/v1/chat/completions", "http://[::1]:8000/v1"), (" http://host/api/models ", "http://host/api")])
def test_addresses_are_completed(typed: str, address: str) -> None:
    assert Connection("test", typed, "tiny").address == address


@pytest.mark.parametrize("typed", ["", "host:8000", "ftp://host", "http://", "http://a b", "http://host:x", "file:///etc/passwd",
                                   "http://user:pass@host", "http://" + "x" * 600])
def test_other_addresses_are_refused(typed: str) -> None:
    with pytest.raises(InvalidRequest, match="address") as failure:
        Connection("test", typed, "tiny")
    assert "pass@" not in str(failure.value)


@pytest.mark.parametrize("values", [{"name": ""}, {"name": "a\nb"}, {"name": "x" * 81}, {"model": ""}, {"model": "a\nb"},
                                    {"key": Secret("two words")}, {"key": Secret("schlüssel")}, {"key": Secret("x" * 501)}])
def test_other_values_are_refused_without_the_key(values: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as failure:
        Connection(**{"name": "a", "address": "http://host", "model": "tiny", **values})      # type: ignore[arg-type]
    assert not {"two words", "schlüssel", "x" * 501} & {str(failure.value.value)}
