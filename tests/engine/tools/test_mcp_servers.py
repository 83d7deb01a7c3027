"""MCP servers as tools: good ones, and ones that hang, die, flood or lie. The servers are real processes, the client is the real one."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.background import StopSignal
from engine.settings import Secret
from engine.tool_calls import ToolCall
from engine.tools import BoundTool, CallContext, ToolOutcome, mcp_connection, run_tool
from engine.tools.base import MAX_RESULT_CHARS
from engine.tools.mcp_config import UNUSABLE, ServerConfig
from engine.tools.mcp_servers import McpServers, tool_name

SERVER = Path(__file__).parent.parent.parent / "mcp_server.py"
GROUP = "mcp:test"


def config(folder: Path, **changes: object) -> ServerConfig:
    made = ServerConfig("test", sys.executable, (Secret(str(SERVER)), Secret(str(folder))), (("TOKEN", Secret("s3cret-value")),),
                        trusted=frozenset({"echo"}))
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mcp")


@pytest.fixture(scope="module")
def servers(folder: Path) -> Iterator[McpServers]:
    made = McpServers([config(folder)])
    yield made
    made.close()


@pytest.fixture
def tools(servers: McpServers) -> dict[str, BoundTool]:
    found, problems = servers.open([GROUP], StopSignal())
    assert problems == ()
    return {tool.name: tool for tool in found}


def call(tools: dict[str, BoundTool], name: str, timeout_s: float = 20.0, **arguments: object) -> ToolOutcome:
    return run_tool(replace(tools[f"test__{name}"], timeout_s=timeout_s), arguments, CallContext())


def logged(folder: Path) -> list[list[object]]:
    path = folder / "calls.txt"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def started(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "started.txt").read_text().split()]


def test_a_tool_gets_its_arguments_and_its_result_comes_back(tools: dict[str, BoundTool]) -> None:
    assert call(tools, "echo", text="merhaba 你好") == ToolOutcome("merhaba 你好")
    assert call(tools, "fail") == ToolOutcome("it failed", is_error=True)
    assert call(tools, "mime").text == "[image, image/png, 5 bytes: not shown]"
    refused = call(tools, "refuse")
    assert refused.is_error
    assert "not today" in refused.text


def test_only_the_tools_that_the_operator_trusts_run_without_being_approved(tools: dict[str, BoundTool], folder: Path) -> None:
    assert [name for name, tool in tools.items() if not tool.must_ask] == ["test__echo"]
    public = McpServers([config(folder)], is_public=True)
    found, _ = public.open([GROUP], StopSignal())
    public.close()
    assert all(tool.must_ask for tool in found)


def test_tools_that_no_model_can_call_are_left_out(tools: dict[str, BoundTool]) -> None:
    assert "test__no_schema" not in tools
    assert "test__huge" not in tools
    assert "test__bad_name_" in tools
    assert max(map(len, tools)) == 64
    assert tool_name("s", "n" * 99 + "a") != tool_name("s", "n" * 99 + "b")


def test_a_result_that_is_not_what_the_server_promised_is_only_text(tools: dict[str, BoundTool]) -> None:
    assert call(tools, "liar") == ToolOutcome('{"n": "many"}')


def test_secrets_of_the_server_are_masked_and_those_of_the_app_are_not_passed_on(
        tools: dict[str, BoundTool], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = json.loads(call(tools, "secret").text)
    assert shown["TOKEN"] == "***"
    assert set(shown) <= {"TOKEN", "HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LC_CTYPE"}


def test_a_long_result_is_cut(tools: dict[str, BoundTool]) -> None:
    assert MAX_RESULT_CHARS < len(call(tools, "long").text) < MAX_RESULT_CHARS + 100


def test_a_tool_that_hangs_ends_after_its_time_and_others_go_on(tools: dict[str, BoundTool], folder: Path) -> None:
    before = started(folder)
    outcomes: list[ToolOutcome] = []
    hanging = threading.Thread(target=lambda: outcomes.append(call(tools, "hang", 1.0)))
    hanging.start()
    assert call(tools, "echo", text="meanwhile") == ToolOutcome("meanwhile")
    hanging.join(20)
    assert outcomes == [ToolOutcome("The tool did not answer within 1 s, so it was stopped. The call may have been made.", is_error=True)]
    assert call(tools, "echo", text="after") == ToolOutcome("after")
    assert started(folder) == before        # it answers a ping, so it is not started again


def test_a_stop_ends_a_call_at_once_and_the_server_is_told(tools: dict[str, BoundTool], folder: Path) -> None:
    """A contract: the client's counter of requests has the id of the next one."""
    before = len(logged(folder))
    context = CallContext()
    threading.Timer(0.2, context.stop.set).start()
    assert run_tool(replace(tools["test__hang"], timeout_s=60), {}, context).is_error
    assert call(tools, "echo", text="after") == ToolOutcome("after")        # the server reads in order
    (name, _), (cancelled, number), _ = logged(folder)[before:]
    assert (name, cancelled) == ("hang", "cancelled")
    assert isinstance(number, int)


def test_nothing_is_run_after_a_stop(tools: dict[str, BoundTool], folder: Path) -> None:
    before, context = logged(folder), CallContext()
    context.stop.set()
    assert run_tool(tools["test__echo"], {"text": "hi"}, context).is_error
    assert logged(folder) == before


def test_what_cannot_be_written_harms_one_call_only(tools: dict[str, BoundTool], folder: Path) -> None:
    before = started(folder)
    outcome = call(tools, "echo", text="\ud800")
    assert outcome.is_error
    assert "did not answer" not in outcome.text
    assert call(tools, "echo", text="hi") == ToolOutcome("hi")
    assert started(folder) == before
    assert ToolCall("c", "t", r'{"\ud800": ["\ud83d\ude00", "a\udc00"]}').values == {"\ufffd": ["\U0001f600", "a\ufffd"]}


def test_a_server_that_lists_its_tools_no_more_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    servers = McpServers([config(tmp_path)])
    tools = {tool.name: tool for tool in servers.open([GROUP], StopSignal())[0]}
    assert call(tools, "relist") == ToolOutcome("changed")
    monkeypatch.setattr(mcp_connection, "START_S", 0.2)
    assert servers.open([GROUP], StopSignal())[1] == ("The tools of test are left out: it does not answer.",)
    monkeypatch.undo()
    servers._connections[GROUP]._retry_at = 0.0
    assert servers.open([GROUP], StopSignal())[1] == ()
    servers.close()
    assert len(started(tmp_path)) == 2


def test_visitors_of_a_public_page_read_a_fixed_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    servers = McpServers([config(tmp_path)], is_public=True)
    tools = {tool.name: tool for tool in servers.open([GROUP], StopSignal())[0]}
    outcome = call(tools, "die")
    problems = servers.open([GROUP], StopSignal())[1]
    servers.close()
    assert outcome.text == f"The server test could not do it: {UNUSABLE}"
    assert problems == (f"The tools of test are left out: {UNUSABLE}.",)
    assert servers.groups[0].problem == UNUSABLE
    assert "the key is *** ***" in caplog.text
    assert str(tmp_path) not in caplog.text


def test_a_server_that_dies_is_started_again_and_the_reason_has_no_secret(folder: Path, tmp_path: Path) -> None:
    servers = McpServers([config(tmp_path)])
    tools = {tool.name: tool for tool in servers.open([GROUP], StopSignal())[0]}
    assert "it has ended" in call(tools, "die").text
    [group] = servers.groups
    assert "it has ended" in group.problem
    assert "the key is *** ***" in group.problem         # nor has the path in the arguments
    _, problems = servers.open([GROUP], StopSignal())        # at once: not yet started again
    assert problems
    assert "s3cret-value" not in problems[0]
    servers._connections[GROUP]._retry_at = 0.0             # as after a second
    assert call(tools, "echo", text="back") == ToolOutcome("back")
    assert len(started(tmp_path)) == 2
    servers.close()


@pytest.mark.parametrize("name", ["flood", "chatter"])
def test_a_server_that_floods_is_ended(name: str, tmp_path: Path) -> None:
    servers = McpServers([config(tmp_path)])
    tools = {tool.name: tool for tool in servers.open([GROUP], StopSignal())[0]}
    outcome = call(tools, name)
    assert outcome.is_error
    assert "it sent" in outcome.text
    servers.close()
    [process] = started(tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_server_that_does_not_start_is_left_out_with_the_reason(tmp_path: Path) -> None:
    servers = McpServers([config(tmp_path, command="no-such-program"),
                          config(tmp_path, name="second", args=(Secret("-c"), Secret("print(1)")))])
    found, problems = servers.open([GROUP, "mcp:second", "mcp:unknown"], StopSignal())
    servers.close()
    assert found == ()
    assert [problem.split(":")[0] for problem in problems] == ["The tools of test are left out", "The tools of second are left out"]
    assert "cannot be started" in problems[0]
    assert "it has ended" in problems[1]


def test_closing_ends_the_processes(tmp_path: Path) -> None:
    servers = McpServers([config(tmp_path)])
    assert servers.open([GROUP], StopSignal())[0]
    servers.close()
    [process] = started(tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_nothing_is_started_before_it_is_used(tmp_path: Path) -> None:
    servers = McpServers([config(tmp_path)])
    assert servers.known([GROUP]) == ()
    servers.close()
    assert not (tmp_path / "started.txt").exists()
