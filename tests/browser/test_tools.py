"""A call of a tool in the chat: a person approves or refuses it, also after the page was loaded again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from engine import Finished, TextDelta, ToolCallDelta

from ..ui.scripted_engine import READY, USAGE, ScriptedEngine, Step, answer

SERVER = Path(__file__).parent.parent / "mcp_server.py"
MARKUP = '<button data-act="approve-call" data-id="1" value="a">Read more</button><img src=x onerror="window.attacked = 1">\u202e'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def page_engine(folder: Path) -> ScriptedEngine:
    """Its settings name a file of MCP servers, as an operator would."""
    (folder / "mcp.json").write_text(json.dumps({"mcpServers": {"test": {"command": sys.executable, "args": [str(SERVER), str(folder)]}}}))
    made = ScriptedEngine()
    made.settings = replace(made.settings, mcp_servers=folder / "mcp.json")
    return made


def call(text: str) -> list[Step]:
    return [TextDelta("Let me look."), ToolCallDelta(0, "a", "test__echo", json.dumps({"text": text})), Finished("tool_calls", USAGE)]


def send(page: Page, text: str) -> None:
    page.locator("#mc-message textarea").fill(text)
    page.locator("#mc-send").click()


def test_a_call_is_approved_after_a_reload_and_the_next_one_is_refused(
        visit: Callable[..., Page], engine: ScriptedEngine, address: str, folder: Path) -> None:
    engine.current = replace(READY, calls_tools=True)
    engine.script, engine.later = call(MARKUP), [answer("It says so."), call("no"), answer("As you like.")]
    page = visit(address)
    page.locator("#mc-options-toggle").click()
    tools = page.locator("#mc-tools")
    expect(tools.get_by_role("checkbox", name="Calculator")).to_be_checked()
    expect(tools.get_by_role("checkbox", name="Run Python")).not_to_be_checked()
    tools.get_by_role("checkbox", name="test").check()
    page.locator("#mc-options-toggle").click()
    send(page, "Look it up")

    question = page.get_by_role("group", name="May the model call test › echo?")
    expect(question).to_be_visible()
    page.reload()
    expect(question).to_be_visible()
    expect(page.locator(".mc-foot[role=status]")).to_contain_text("test › echo waits for your approval")
    expect(page.locator(".mc-step pre").first).to_contain_text("\\u{202e}")        # what is approved is seen, whatever it holds
    assert not (folder / "calls.txt").exists()
    question.get_by_role("button", name="Approve").press("Enter")
    expect(page.get_by_role("log").get_by_text("It says so.")).to_be_visible()
    step = page.locator(".mc-step")
    expect(step).to_contain_text("done")
    expect(step.locator("pre").last).not_to_be_visible()
    step.locator("summary").press("Enter")
    expect(step.locator("pre").last).to_contain_text("<button data-act")
    expect(page.get_by_role("button", name="Read more")).to_have_count(0)
    assert page.evaluate("window.attacked") is None
    [approved] = (folder / "calls.txt").read_text().splitlines()
    assert json.loads(approved) == ["echo", {"text": MARKUP}]

    send(page, "Again")
    page.get_by_role("button", name="Refuse").click()
    expect(page.get_by_role("log").get_by_text("As you like.")).to_be_visible()
    expect(page.locator(".mc-step").last).to_contain_text("refused")
    page.reload()
    expect(page.locator(".mc-step")).to_have_count(2)
    page.locator("#mc-options-toggle").click()
    expect(tools.get_by_role("checkbox", name="test")).to_be_checked()        # as the chat was used last
    assert len((folder / "calls.txt").read_text().splitlines()) == 1
