"""Tools in a chat: calls are approved, run and answered, and the state of each belongs to its reply."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Conversations, Engine, Finished, GenerationOptions, ReasoningDelta, TextDelta, ToolCallDelta
from engine.background import Jobs, StopSignal
from engine.chat import Ask, Attachment, Chat, ChatMessage, Question, ToolStep, prompt_messages, reply_messages
from engine.chat import tool_loop as loop_module
from engine.chat.approvals import APPROVAL_S, READABLE_CHARS, ApprovalQuestion
from engine.chat.attachments import first_part
from engine.chat.reply_in_progress import ReplyInProgress
from engine.chat.tool_loop import MAX_ROUNDS, WINDOW_SHARE
from engine.chat.tool_room import LEFT_OUT, NO_ROOM_NOTE, make_room
from engine.embedding import Embedders
from engine.errors import EngineBusy, GenerationFailed, MessageTooLong
from engine.knowledge import Knowledge
from engine.messages import Message
from engine.settings import NO_MODEL, Secret
from engine.storage.database import Database
from engine.storage.transfer import read_chats, to_json, to_markdown
from engine.tool_calls import InvalidTools, Tool, ToolCall
from engine.tools import CallContext, Toolbox, python
from engine.tools.mcp_config import ServerConfig
from engine.tools.mcp_servers import McpServers
from tests.attacks import ATTACKS
from tests.ui.scripted_engine import READY, USAGE, ScriptedEngine, Step, answer

ANN, BOB = "a" * 32, "b" * 32
SERVER = Path(__file__).parent.parent.parent / "mcp_server.py"
ASK = Ask(GenerationOptions(), tools=("calculator", "clock", "python", "mcp:test"))


def calling(*calls: tuple[str, dict[str, object]], text: str = "") -> list[Step]:
    """The script of a model that writes `text` and calls tools."""
    pieces: list[Step] = [TextDelta(text)] if text else []
    for index, (name, arguments) in enumerate(calls):
        written = json.dumps(arguments)
        pieces += [ToolCallDelta(index, f"call{index}", name, written[:3]), ToolCallDelta(index, arguments=written[3:])]
    return [*pieces, Finished("tool_calls", USAGE)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def toolbox(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toolbox]:
    made = Toolbox(ScriptedEngine().settings)
    arguments = (Secret(str(SERVER)), Secret(str(folder)))
    made.servers = McpServers([ServerConfig("test", sys.executable, arguments, trusted=frozenset({"long"}))])
    yield made
    made.close()


@pytest.fixture
def engine(folder: Path, tmp_path: Path) -> ScriptedEngine:
    (folder / "calls.txt").unlink(missing_ok=True)
    return ScriptedEngine(status=replace(READY, calls_tools=True), data_dir=tmp_path)


@pytest.fixture
def chats(engine: ScriptedEngine, toolbox: Toolbox, tmp_path: Path) -> Iterator[Conversations]:
    made = Conversations(engine, Database(tmp_path), toolbox)  # type: ignore[arg-type]
    yield made
    made._replies.close(5)


def made_calls(folder: Path) -> list[list[object]]:
    """The calls that reached the server."""
    path = folder / "calls.txt"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def send(chats: Conversations, engine: ScriptedEngine, *scripts: list[Step], ask: Ask = ASK, text: str = "Question",
         attachments: tuple[Attachment, ...] = ()) -> Chat:
    engine.script, *engine.later = ([], *scripts) if engine.asked else scripts      # the first script is that of the first request
    return chats.send(ANN, None, None, Question(text, attachments), [ask])


def waiting(chats: Conversations, chat: Chat) -> ToolStep:
    """The call that waits for approval."""
    def asked() -> ToolStep | None:
        progress = chats.progress(ANN, chat.id)
        return progress[0].asks if progress else None
    until(asked)
    step = asked()
    assert step is not None
    return step


def ended(chats: Conversations, chat: Chat) -> ChatMessage:
    until(lambda: not chats.is_writing(chat.id))
    return chats.get(ANN, chat.id).path[-1]


def decide(chats: Conversations, chat: Chat, decision: str, owner: str = ANN) -> bool:
    step = waiting(chats, chat)
    return chats.tools.approvals.decide(owner, chat.path[-1].id, step.id, decision)  # type: ignore[arg-type]


def test_a_harmless_tool_runs_and_its_result_goes_back_to_the_model(chats: Conversations, engine: ScriptedEngine) -> None:
    chat = send(chats, engine, calling(("calculator", {"expression": "6 * 7"}), text="Let me see."), answer("It is 42."))
    reply = ended(chats, chat)
    assert (reply.state, reply.text) == ("done", "Let me see.\n\nIt is 42. ")
    [step] = reply.steps
    assert (step.name, step.state, step.result, step.at) == ("calculator", "done", "42", len("Let me see."))
    (_, first), (messages, _) = engine.asked
    assert [tool.name for tool in first.tools][:3] == ["calculator", "current_date", "run_python"]
    assert [message.role for message in messages] == ["user", "assistant", "tool"]
    assert (messages[1].content, messages[1].tool_calls[0].values, messages[2].content) == ("Let me see.", {"expression": "6 * 7"}, "42")
    assert messages[1].tool_calls[0].id == messages[2].tool_call_id
    assert reply.usage is not None
    assert reply.usage.new_tokens == 2 * USAGE.new_tokens


def test_a_call_waits_for_approval_without_holding_the_model_and_is_then_made(
        chats: Conversations, engine: ScriptedEngine, folder: Path) -> None:
    chat = send(chats, engine, calling(("test__echo", {"text": "hi"})), answer("Done."))
    waiting(chats, chat)
    assert made_calls(folder) == []
    assert engine.num_closed == 1           # the model is free for others
    until(lambda: chats.get(ANN, chat.id).path[-1].steps)      # saved: a page that is opened now shows it
    assert decide(chats, chat, "approve")
    reply = ended(chats, chat)
    assert made_calls(folder) == [["echo", {"text": "hi"}]]
    assert [(step.state, step.result) for step in reply.steps] == [("done", "hi")]


def test_a_refused_call_is_not_made_and_the_model_is_told(chats: Conversations, engine: ScriptedEngine, folder: Path) -> None:
    chat = send(chats, engine, calling(("test__echo", {"text": "hi"})), answer("Then not."))
    assert decide(chats, chat, "refuse")
    reply = ended(chats, chat)
    assert (reply.state, reply.steps[0].state, reply.text) == ("done", "refused", "Then not. ")
    assert made_calls(folder) == []
    assert "refused" in engine.asked[-1][0][-1].content


def test_a_tool_that_is_trusted_in_a_chat_is_asked_for_in_another(chats: Conversations, engine: ScriptedEngine, folder: Path) -> None:
    call = calling(("test__echo", {"text": "hi"}))
    chat = send(chats, engine, call, call, answer("Done."), call, answer("Again."))
    assert decide(chats, chat, "always")
    assert len(ended(chats, chat).steps) == 2
    chats.send(ANN, chat.id, None, Question("More"), [ASK])
    assert ended(chats, chat).steps[0].state == "done"
    assert len(made_calls(folder)) == 3
    other = send(chats, engine, call, answer("Done."))
    waiting(chats, other)
    chats.stop(ANN, other.id)


def test_another_visitor_cannot_approve(chats: Conversations, engine: ScriptedEngine, folder: Path) -> None:
    chat = send(chats, engine, calling(("test__echo", {"text": "hi"})), answer("Done."))
    assert not decide(chats, chat, "approve", owner=BOB)
    assert not chats.tools.approvals.decide(ANN, chat.path[-1].id, "call9", "approve")
    assert decide(chats, chat, "refuse")
    assert not chats.tools.approvals.decide(ANN, chat.path[-1].id, "call0", "approve")     # it was answered
    ended(chats, chat)
    assert made_calls(folder) == []


@pytest.mark.parametrize("script", [calling(("test__echo", {"text": "hi"})), calling(("test__hang", {}))])
def test_a_stop_ends_a_waiting_and_a_running_call(script: list[Step], chats: Conversations, engine: ScriptedEngine, folder: Path) -> None:
    chat = send(chats, engine, script, answer("Never."))
    if "hang" in str(script):
        assert decide(chats, chat, "approve")
        until(lambda: made_calls(folder))
    else:
        waiting(chats, chat)
    chats.stop(ANN, chat.id)
    reply = ended(chats, chat)
    state = "interrupted" if "hang" in str(script) else "stopped"      # one that was sent may have been made
    assert (reply.state, [step.state for step in reply.steps], reply.text) == ("stopped", [state], "")
    assert len(engine.asked) == 1


def test_a_question_that_nobody_answers_ends_the_reply(
        chats: Conversations, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "APPROVAL_S", 0.05)
    chat = send(chats, engine, calling(("test__echo", {"text": "hi"})), answer("Never."))
    reply = ended(chats, chat)
    assert (reply.state, reply.steps[0].state) == ("stopped", "expired")
    assert "Nobody approved the call of test__echo in time" in reply.notes[0]


def test_the_loop_ends_after_its_rounds_with_a_sentence(chats: Conversations, engine: ScriptedEngine) -> None:
    chat = send(chats, engine, *[calling(("calculator", {"expression": str(n)})) for n in range(MAX_ROUNDS + 5)])
    reply = ended(chats, chat)
    assert (reply.state, len(reply.steps), len(engine.asked)) == ("done", MAX_ROUNDS, MAX_ROUNDS + 1)
    assert f"in {MAX_ROUNDS} rounds" in reply.notes[0]
    assert len({step.id for step in reply.steps}) == MAX_ROUNDS      # the server gave all calls one id


def test_errors_are_results_and_unknown_tools_are_not_run(chats: Conversations, engine: ScriptedEngine) -> None:
    calls = [("calculator", {"expression": "1/0"}), ("rm", {"path": "/"}), ("calculator", {"expression": "2"})]
    chat = send(chats, engine, calling(*calls), answer("Hm."))  # type: ignore[arg-type]
    assert [(step.state, step.round) for step in ended(chats, chat).steps] == [("failed", 1), ("failed", 1), ("done", 1)]
    assert [message.role for message in engine.asked[-1][0]] == ["user", "assistant", "tool", "tool", "tool"]


def test_a_call_that_is_cut_is_not_made(chats: Conversations, engine: ScriptedEngine) -> None:
    cut: list[Step] = [ToolCallDelta(0, "a", "calculator", '{"expr'), Finished("tool_calls", USAGE)]
    reply = ended(chats, send(chats, engine, cut))
    assert (reply.state, reply.steps) == ("done", ())
    assert "not complete" in reply.notes[0]
    reply = ended(chats, send(chats, engine, [cut[0], Finished("length", USAGE)]))
    assert (reply.reason, reply.steps) == ("length", ())


def test_an_error_of_the_model_after_a_call_keeps_the_call(chats: Conversations, engine: ScriptedEngine) -> None:
    chat = send(chats, engine, calling(("calculator", {"expression": "2"})), [GenerationFailed("x")])
    reply = ended(chats, chat)
    assert (reply.state, [step.state for step in reply.steps]) == ("failed", ["done"])


def test_thoughts_of_each_round_are_given_back_with_its_calls(chats: Conversations, engine: ScriptedEngine) -> None:
    first = [ReasoningDelta("First."), *calling(("calculator", {"expression": "2"}))]
    chat = send(chats, engine, first, [ReasoningDelta("Then."), *answer("2")])
    assert ended(chats, chat).thoughts == "First.\n\nThen."
    assert engine.asked[-1][0][1].reasoning == "First."


def test_harmless_tools_alone_are_for_models_that_were_trained_to_call(chats: Conversations, engine: ScriptedEngine) -> None:
    engine.current = READY
    ended(chats, send(chats, engine, answer("Hi."), answer("Hi."), ask=replace(ASK, tools=("calculator", "clock"))))
    ended(chats, send(chats, engine, answer("Hi."), answer("Hi."), ask=replace(ASK, tools=("calculator", "python"))))
    assert [len(options.tools) for _, options in engine.asked] == [0, 2]


def test_the_next_message_reads_the_calls_and_results_before_it(chats: Conversations, engine: ScriptedEngine) -> None:
    chat = send(chats, engine, calling(("calculator", {"expression": "6 * 7"}), text="So:"), answer("It is 42."), answer("Yes."))
    ended(chats, chat)
    chats.send(ANN, chat.id, None, Question("Sure?"), [ASK])
    ended(chats, chat)
    assert [(message.role, message.content) for message in engine.asked[-1][0]] == [
        ("user", "Question"), ("assistant", "So:"), ("tool", "42"), ("assistant", "It is 42. "), ("user", "Sure?")]


def test_a_long_result_is_cut_to_a_part_of_the_window(chats: Conversations, engine: ScriptedEngine) -> None:
    engine.current = replace(READY, window_tokens=400, calls_tools=True)
    reply = ended(chats, send(chats, engine, calling(("test__long", {})), answer("Long.")))
    assert engine.count_tokens(reply.steps[0].result) < 120
    assert "does not fit" in reply.steps[0].result


def test_steps_survive_export_and_import_and_neither_an_export_nor_a_shared_copy_has_private_results(
        chats: Conversations, engine: ScriptedEngine, folder: Path) -> None:
    calls = [("calculator", {"expression": "6 * 7"}), ("test__echo", {"text": "``` private"})]
    chat = send(chats, engine, calling(*calls), answer("Done."))  # type: ignore[arg-type]
    assert decide(chats, chat, "approve")
    ended(chats, chat)
    chat = chats.get(ANN, chat.id)
    read = read_chats(to_json([chat]))[0].path[-1].steps
    assert read == tuple(step.for_others() for step in chat.path[-1].steps)
    shared = chats.shared(chats.share(ANN, chat.id).token)
    assert [step.result for step in shared.path[-1].steps] == [step.result for step in read] == ["42", ""]
    assert '````json\n{"text": "``` private"}\n````' in to_markdown(chat)


def test_a_copy_of_a_chat_trusts_nothing_and_waits_for_nothing(chats: Conversations, engine: ScriptedEngine) -> None:
    chat = send(chats, engine, calling(("test__echo", {"text": "hi"})), answer("Done."))
    waiting(chats, chat)
    until(lambda: chats.get(ANN, chat.id).path[-1].steps)
    copy = chats.copy(ANN, "Copy", chats.get(ANN, chat.id).path)
    assert [step.state for step in copy.path[-1].steps] == ["stopped"]
    chats.stop(ANN, chat.id)
    ended(chats, chat)


def test_an_interrupted_reply_is_continued_after_its_calls() -> None:
    steps = (ToolStep("a", "calculator", '{"expression": "1"}', "done", "1", at=2, group="calculator"),
             ToolStep("b", "x", "{}", "waiting", at=2))
    messages = reply_messages(ChatMessage("assistant", "So", steps=steps))
    assert [message.role for message in messages] == ["assistant", "tool", "tool"]
    assert "interrupted" in messages[-1].content
    assert prompt_messages([ChatMessage("user", "Q"), ChatMessage("assistant", "", steps=steps)], "")[0].content == "Q"


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
@pytest.mark.parametrize("by_file", [True, False], ids=["file", "result"])
def test_no_text_of_a_file_or_a_tool_runs_a_tool_unapproved(
        attack: str, by_file: bool, chats: Conversations, engine: ScriptedEngine, folder: Path) -> None:
    """The model obeys the text: it calls what it is told to, in every way. The call waits for a person, whatever the text says."""
    obeys = calling(("test__secret", {}), ("run_python", {"code": "print(1)"}))
    if by_file:
        chat = send(chats, engine, obeys, answer("No."), text="Summarize.", attachments=(Attachment("notes.txt", attack),))
    else:
        chat = send(chats, engine, calling(("test__echo", {"text": attack})), obeys, answer("No."))
        assert decide(chats, chat, "approve")
        until(lambda: len(engine.asked) == 2)
        result = engine.asked[1][0][-1].content
        fence = result.rpartition("\n")[2]
        assert set(fence) == {"`"}
        assert result.count(f"\n{fence}") == 2      # the text is inside one fence that it does not close
        assert "as data" in result
    for _ in range(2):
        until(lambda: decide(chats, chat, "refuse"))        # of the second call once the first is no longer shown
    reply = ended(chats, chat)
    assert [step.state for step in reply.steps][-2:] == ["refused", "refused"]
    assert [name for name, _ in made_calls(folder)] == ([] if by_file else ["echo"])


def test_two_visitors_are_asked_at_the_same_time_and_neither_waits_for_the_other(
        chats: Conversations, engine: ScriptedEngine, folder: Path) -> None:
    chat = send(chats, engine, calling(("test__echo", {"text": "ann"})), calling(("test__echo", {"text": "bob"})), answer("1"), answer("2"))
    waiting(chats, chat)
    other = chats.send(BOB, None, None, Question("Mine"), [ASK])
    until(lambda: chats.progress(BOB, other.id)[0].asks)
    step = chats.progress(BOB, other.id)[0].asks
    assert step is not None
    assert chats.tools.approvals.decide(BOB, other.path[-1].id, step.id, "approve")
    until(lambda: not chats.is_writing(other.id))
    assert made_calls(folder) == [["echo", {"text": "bob"}]]
    assert waiting(chats, chat).state == "waiting"
    chats.stop(ANN, chat.id)
    assert ended(chats, chat).state == "stopped"
    assert threading.active_count() < 100


def test_a_tool_whose_schema_the_model_cannot_be_held_to_is_left_out_with_the_reason(
        chats: Conversations, engine: ScriptedEngine) -> None:
    refusals: list[Exception] = [EngineBusy("it is measured", "Wait.")]

    def check(messages: Sequence[Message], options: GenerationOptions) -> None:
        if [tool.name for tool in options.tools] == ["test__echo"]:
            raise refusals[0]

    engine.check_prompt = check  # type: ignore[method-assign]
    chat = send(chats, engine, answer("Hi."), answer("Hi."))
    assert ended(chats, chat).notes == ()       # what a busy model says is not remembered
    for refusals[0], why in ((InvalidTools("a keyword"), "a keyword"), (MessageTooLong(9, 8), loop_module.TOO_LARGE)):
        chats.tools._checked = {key: why for key, why in chats.tools._checked.items() if not why}
        chats.send(ANN, chat.id, None, Question("More"), [ASK])         # not refused, although the tool is known by now
        reply = ended(chats, chat)
        assert "test__echo" not in {tool.name for tool in engine.asked[-1][1].tools}
        assert "test__secret" in {tool.name for tool in engine.asked[-1][1].tools}
        assert reply.notes == (f"The tool test__echo is left out, because of its schema: {why}.",)


def test_arguments_that_do_not_fit_the_schema_are_not_sent(chats: Conversations, engine: ScriptedEngine, folder: Path) -> None:
    """As from a model on another server."""
    chat = send(chats, engine, calling(("test__echo", {"text": 5})), answer("Hm."))
    [step] = ended(chats, chat).steps
    assert (step.state, made_calls(folder)) == ("failed", [])
    assert "$.text: 5 is not of type 'string'" in step.result


def test_nobody_is_asked_about_more_than_can_be_read(chats: Conversations, engine: ScriptedEngine, folder: Path) -> None:
    chat = send(chats, engine, calling(("test__echo", {"text": "#" * READABLE_CHARS})), answer("Hm."))
    [step] = ended(chats, chat).steps
    assert (step.state, made_calls(folder)) == ("failed", [])
    assert "20,012 characters" in step.result


def test_a_stop_after_the_approval_makes_no_call(chats: Conversations, engine: ScriptedEngine, folder: Path) -> None:
    chat = send(chats, engine, calling(("test__echo", {"text": "hi"})), answer("Never."))
    step = waiting(chats, chat)
    question = chats.tools.approvals._open[chat.path[-1].id, step.id]
    question.decision = "approve"               # the person answers, and stops before the reply goes on
    chats.stop(ANN, chat.id)
    assert [step.state for step in ended(chats, chat).steps] == ["stopped"]
    assert made_calls(folder) == []


def test_all_questions_of_a_reply_share_one_time(
        chats: Conversations, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[float] = []
    wait = ApprovalQuestion.wait
    monkeypatch.setattr(ApprovalQuestion, "wait", lambda self, stop, timeout_s: times.append(timeout_s) or wait(self, stop, timeout_s))
    call = calling(("test__echo", {"text": "hi"}))
    chat = send(chats, engine, call, call, answer("Done."))
    assert decide(chats, chat, "approve")
    until(lambda: len(times) == 2)
    until(lambda: decide(chats, chat, "approve"))       # once the first call is no longer shown
    ended(chats, chat)
    assert times[1] < times[0] == APPROVAL_S


def test_the_oldest_results_make_room_for_later_ones(chats: Conversations, engine: ScriptedEngine) -> None:
    engine.current = replace(READY, window_tokens=400, calls_tools=True)
    chat = send(chats, engine, *[calling(("test__long", {})) for _ in range(4)], answer("Long."))
    assert ended(chats, chat).state == "done"
    results = [message.content for message in engine.asked[-1][0] if message.role == "tool"]
    assert [result == LEFT_OUT for result in results] == [True, True, True, False]
    assert sum(map(engine.count_tokens, results)) <= 400 // 2 + 3 * len(LEFT_OUT.split())


def test_many_rounds_fit_the_window_of_a_real_model(builtin_engine: Engine) -> None:
    options, window = GenerationOptions(tools=(Tool("t"),)), builtin_engine.status().window_tokens
    part = first_part("word " * 50_000, window // WINDOW_SHARE, builtin_engine.count_tokens)
    messages = [Message("user", "Question")]
    for number in range(MAX_ROUNDS):
        messages += [Message("assistant", "", tool_calls=[ToolCall(f"c{number}", "t")]), Message("tool", part, tool_call_id=f"c{number}")]
        assert make_room(builtin_engine, messages, options)
        assert messages[-1].content == part
        builtin_engine.check_prompt(messages, options)
    assert [message.content for message in messages if message.role == "tool"].count(LEFT_OUT) == MAX_ROUNDS - 1


def test_a_reply_whose_calls_never_fit_ends_with_a_sentence(chats: Conversations, engine: ScriptedEngine) -> None:
    def check(messages: Sequence[Message], options: GenerationOptions) -> None:
        if len(messages) > 1:
            raise MessageTooLong(9, 8)

    engine.check_prompt = check  # type: ignore[method-assign]
    reply = ended(chats, send(chats, engine, calling(("calculator", {"expression": "2"})), answer("Never.")))
    assert (reply.state, reply.notes, len(engine.asked)) == ("done", (NO_ROOM_NOTE,), 1)


def test_a_reply_that_is_continued_asks_nothing_of_before() -> None:
    """As after a killed process."""
    steps = (ToolStep("a", "x", state="waiting"), ToolStep("b", "x", state="running"))
    reply = ReplyInProgress(ChatMessage("assistant", "", state="writing", steps=steps)).snapshot()
    assert (reply.asks, [step.state for step in reply.message.steps]) == (None, ["stopped", "interrupted"])


def test_replies_that_wait_for_a_person_take_no_place_on_a_public_page(
        chats: Conversations, engine: ScriptedEngine) -> None:
    engine.settings = replace(engine.settings, is_public=True, max_waiting=1)
    chat = send(chats, engine, calling(("test__echo", {"text": "hi"})), answer("Hi."))
    waiting(chats, chat)
    other = chats.send(BOB, None, None, Question("Mine"), [replace(ASK, tools=())])
    until(lambda: not chats.is_writing(other.id))
    assert chats.get(BOB, other.id).path[-1].state == "done"
    assert chats.is_writing(chat.id)        # hers still waits
    chats.stop(ANN, chat.id)
    ended(chats, chat)


@pytest.fixture
def files(engine: ScriptedEngine) -> Iterator[tuple[Knowledge, list[str]]]:
    """Two collections of one person."""
    jobs = Jobs(engine.database)
    knowledge = Knowledge(engine, jobs, Embedders(replace(engine.settings, embedder=NO_MODEL), engine.database))  # type: ignore[arg-type]
    made = [knowledge.create(ANN, name).id for name in ("Letters", "Private")]
    for collection, text in zip(made, (f"The salary is a secret. {ATTACKS[0]}", "The salary of Ann is 5 liras."), strict=True):
        knowledge.add_files(ANN, collection, [("text.md", text.encode())])
        for _ in knowledge.follow(ANN, collection):
            pass
    yield knowledge, made
    jobs.close()


def test_a_text_in_one_file_does_not_search_the_others_unapproved(
        chats: Conversations, engine: ScriptedEngine, files: tuple[Knowledge, list[str]], tmp_path: Path) -> None:
    """The model obeys it: it searches, to give what it finds to a tool that is trusted."""
    toolbox = Toolbox(engine.settings)
    toolbox.search_files(files[0])
    own = Conversations(engine, Database(tmp_path), toolbox)  # type: ignore[arg-type]
    call, ask = calling(("search_my_files", {"query": "salary"})), Ask(GenerationOptions(), tools=("files",))
    chat = send(own, engine, call, answer("No."), ask=replace(ask, collections=tuple(files[1][:1])))
    [step] = ended(own, chat).steps
    assert step.state == "done"
    assert "secret" in step.result
    assert "5 liras" not in step.result         # of a collection that the person did not choose for this reply
    chat = send(own, engine, call, call, answer("No."), ask=ask)
    assert not waiting(own, chat).can_be_trusted
    assert decide(own, chat, "always")          # is for this call alone
    until(lambda: len(engine.asked) == 4 and decide(own, chat, "refuse"))
    first, second = ended(own, chat).steps
    assert (first.state, "5 liras" in first.result, second.state) == ("done", True, "refused")


def test_a_program_of_a_public_page_waits_for_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python, "QUEUE_S", 0.0)
    places, context = threading.Semaphore(1), CallContext(is_public=True)
    with python._place(places, context) as first, python._place(places, context) as second:
        assert (first, second) == (True, False)
    with python._place(places, context) as again:
        assert again
        context.stop.set()
        monkeypatch.undo()
        with python._place(places, context) as stopped:
            assert not stopped


def test_a_request_never_has_more_tools_than_it_may(toolbox: Toolbox, folder: Path) -> None:
    many = Toolbox(ScriptedEngine().settings)
    configs = [ServerConfig(f"s{n}", sys.executable, (Secret(str(SERVER)), Secret(str(folder)))) for n in range(11)]
    many.servers = McpServers(configs)
    tools, problems = many.open(["calculator", *(f"mcp:{config.name}" for config in configs)], StopSignal())
    many.close()
    assert len(GenerationOptions(tools=[tool.definition for tool in tools]).tools) == 128
    assert problems == ("38 tools are left out: one reply cannot have more.",)
