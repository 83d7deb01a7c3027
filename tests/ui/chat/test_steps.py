"""How a call of a tool is shown: nothing of it is markup, and nothing of it is hidden."""

import json
from dataclasses import replace

import pytest

from engine.chat import ChatMessage, ReplyProgress, ToolStep
from tests.attacks import ATTACKS
from ui.chat.rendering import messages
from ui.chat.session import ChatSession
from ui.chat.steps import SHOWN_CHARS, step_html, tool_title, visible

WAITING = ToolStep("a<b", "test__echo", '{"text": "hi"}', "waiting", group="mcp:test", can_be_trusted=True)


def test_a_call_that_waits_has_its_buttons_and_another_has_none() -> None:
    shown = step_html(WAITING, 7, "en", is_live=True)
    assert [f'data-act="{act}" data-id="7" value="a&lt;b"' in shown for act in ("approve-call", "refuse-call", "trust-tool")] == [True] * 3
    assert "trust-tool" not in step_html(replace(WAITING, can_be_trusted=False), 7, "en", is_live=True)
    for step, is_live in ((WAITING, False), (replace(WAITING, state="running"), True), (replace(WAITING, state="done"), True)):
        assert "data-act" not in step_html(step, 7, "en", is_live=is_live)      # type: ignore[arg-type]
    assert "stopped" in step_html(WAITING, 7, "en", is_live=False)      # of a process that has ended


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_no_text_of_a_call_is_markup(attack: str) -> None:
    step = ToolStep(attack, attack, json.dumps({"text": attack}), "done", attack, group="mcp:" + attack)
    shown = step_html(step, 1, "en", is_live=True)
    for tag in ("<button data", "<img", "<script", "<details open>", "<tool_call>"):
        assert tag not in shown


def test_invisible_characters_are_shown_as_numbers() -> None:
    assert visible("rm\u202e\u200b \U000e0063\0x\ty\nz") == "rm\\u{202e}\\u{200b} \\u{e0063}\\u{0}x\ty\nz"
    assert visible("merhaba dünya 你好 é") == "merhaba dünya 你好 é"


@pytest.mark.parametrize("char", "\u3164\u115f\u2800\ufe0f\U000e0101\u034f\u00ad\u200b\uffa0\u17b4\u180b")
def test_characters_that_show_nothing_are_numbers(char: str) -> None:
    assert visible(char) == f"\\u{{{ord(char):x}}}"


def test_a_call_that_waits_is_shown_whole() -> None:
    code = "#" * SHOWN_CHARS + "\nimport os"
    for group, name in (("python", "code"), ("mcp:test", "text")):
        step = replace(WAITING, arguments=json.dumps({name: code}), group=group)
        assert "import os" in step_html(step, 1, "en", is_live=True)
        assert "import os" not in step_html(replace(step, state="done"), 1, "en", is_live=True)
    nested = replace(WAITING, arguments='{"a": ' + "[" * 900 + "1" + "]" * 900 + "}")
    assert "[[[1]]]" in "".join(step_html(nested, 1, "en", is_live=True).split())


def test_tools_have_names_for_people() -> None:
    assert tool_title(WAITING, "en") == "test › echo"
    assert tool_title(ToolStep("a", "run_python", group="python"), "tr") == "Python çalıştır"
    assert tool_title(ToolStep("a", "unknown"), "zh") == "unknown"


def test_a_program_is_shown_as_one() -> None:
    step = ToolStep("a", "run_python", json.dumps({"code": 'print("a")\nprint(2)'}), group="python")
    assert "print(&quot;a&quot;)\nprint(2)" in step_html(step, 1, "en", is_live=False)


def test_steps_are_shown_where_they_happened() -> None:
    steps = (replace(WAITING, id="a", state="done", at=6), replace(WAITING, id="b", at=12))
    message = ChatMessage("assistant", "First.Second.Third.", id=1, state="writing", steps=steps)       # the second call waits
    session = ChatSession(replies=(ReplyProgress(message),))
    session.share = None
    shown = messages(replace(session, chat=_chat(message)), "en")[-1]["content"]
    kinds = [part.get("text") or ("step" if "mc-step" in part["value"] else "foot") for part in shown]
    assert kinds == ["First.", "step", "Second", "step", ".Third.", "foot"]
    assert "waits for your approval" in shown[-1]["value"]


def _chat(message: ChatMessage):  # type: ignore[no-untyped-def]
    from engine.chat import Chat, ChatSummary

    return Chat(ChatSummary("c", "Chat", 0.0, 0.0), (message,))
