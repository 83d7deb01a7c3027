"""What programs can call: by default `chat` only; with MINDCUBES_MCP=1 two more, and all three are tools of MCP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from engine import Benchmarks, Engine, Library, Settings
from engine.errors import InvalidRequest, MissingLibrary
from tests import own_thread
from tests.ui.benchmark.made_runs import run
from ui import operations
from ui.app import build_app, launch
from ui.operations import require_mcp

from .scripted_engine import ScriptedEngine
from .test_request_guard import sent


@pytest.fixture(scope="module")
def tools_address(new_engine: Callable[..., Engine], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(device="cpu", data_dir=tmp_path_factory.mktemp("mcp"), has_mcp=True)
    engine = new_engine("builtin", settings)
    library = Library(engine)
    benchmarks = Benchmarks(engine, library.jobs)
    benchmarks.history.add([run("a1")])
    page = build_app(engine, library=library, benchmarks=benchmarks)
    yield launch(page, engine, server_name="127.0.0.1")
    page.close(verbose=False)


def told(address: str, name: str, **arguments: object) -> str:
    """What a client of MCP gets from a tool."""
    async def call() -> Any:
        async with streamablehttp_client(f"{address}gradio_api/mcp/") as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            return await session.call_tool(name, arguments)

    return "".join(getattr(part, "text", "") for part in own_thread.run(call()).content)


def test_the_tools_are_three_and_explain_their_arguments(tools_address: str) -> None:
    async def listed() -> Any:
        async with streamablehttp_client(f"{tools_address}gradio_api/mcp/") as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            return (await session.list_tools()).tools

    tools = {tool.name: tool for tool in own_thread.run(listed())}
    assert sorted(tools) == ["benchmark_summary", "chat", "model_fit"]
    assert all(tool.description for tool in tools.values())
    assert list(tools["model_fit"].inputSchema["properties"]) == ["model", "context_tokens", "visitors"]
    assert all("description" in each for tool in tools.values() for each in tool.inputSchema["properties"].values())


def test_a_tool_answers(tools_address: str) -> None:
    assert len(told(tools_address, "chat", message="Which model fits in 6 GB?", temperature=0, max_new_tokens=40)) > 20
    assert "builtin" in told(tools_address, "benchmark_summary", model="built").lower()
    assert "Nothing has been measured" in told(tools_address, "benchmark_summary", model="other")
    fit = told(tools_address, "model_fit", model="builtin", context_tokens=512)
    assert "FITS" in fit.upper()
    assert "needed_bytes" in fit


@pytest.mark.parametrize(("name", "data", "problem"), [
    ("model_fit", ["builtin", 0, 1], "context_tokens is 0"), ("model_fit", ["builtin", 512, True], "visitors is True"),
    ("model_fit", [5, 512, 1], "model is '5'"), ("model_fit", ["x" * 201, 512, 1], "at most 200"),
    ("benchmark_summary", [7], "model is 7")])
def test_an_argument_that_does_not_fit_is_named(tools_address: str, name: str, data: list[object], problem: str) -> None:
    _, _, text = sent(tools_address, "POST", f"/gradio_api/call/{name}", {"data": data})
    _, _, text = sent(tools_address, "GET", f"/gradio_api/call/{name}/{json.loads(text)['event_id']}")
    assert "event: error" in text
    assert problem in text


def test_without_the_setting_there_is_no_server_for_tools(address: str, launched: gr.Blocks) -> None:
    assert launched.mcp_server is False
    for method, path in (("POST", "/gradio_api/mcp/"), ("GET", "/gradio_api/mcp/schema"), ("GET", "/gradio_api/mcp")):
        assert sent(address, method, path)[0] == 404


def test_a_missing_package_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    require_mcp()
    monkeypatch.setattr(operations, "find_spec", lambda name: None)
    with pytest.raises(MissingLibrary, match=r'pip install "mcp>=1.27,<2"'):
        require_mcp()


def test_tools_and_accounts_exclude_each_other(tmp_path: Path) -> None:
    engine = ScriptedEngine(data_dir=tmp_path)
    engine.settings = replace(engine.settings, has_mcp=True)
    engine.accounts.save("ayse", "a long password")
    with pytest.raises(InvalidRequest, match="MINDCUBES_MCP"):
        launch(build_app(engine), engine)      # type: ignore[arg-type]


def test_sharing_makes_the_page_public() -> None:
    nowhere = Path("/nonexistent")
    shared = Settings.from_env({"GRADIO_SHARE": "true"}, nowhere)
    assert (shared.is_shared, shared.is_public) == (True, True)
    on_space = Settings.from_env({"GRADIO_SHARE": "true", "SPACE_ID": "me/app"}, nowhere)
    assert (on_space.is_shared, on_space.is_public) == (False, True)
    assert not Settings.from_env({"GRADIO_SHARE": "0"}, nowhere).is_public
