"""The list of efforts of thought, without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Conversations, GenerationOptions
from engine.messages import Effort, Thinking
from ui.chat.options_panel import values_of
from ui.chat.thinking import asked_effort, thinking_html
from ui.shared.context import Context, build_services

from ..scripted_engine import LEVELS, LOADING, READY, THINKER, ScriptedEngine, answer
from .page import ChatPage


@pytest.fixture
def engine(tmp_path: Path) -> ScriptedEngine:
    return ScriptedEngine(answer("Words"), THINKER, data_dir=tmp_path)


@pytest.fixture
def page(engine: ScriptedEngine) -> Iterator[ChatPage]:
    conversations = Conversations(engine)  # type: ignore[arg-type]
    yield ChatPage(Context.of(build_services(engine, conversations), None))  # type: ignore[arg-type]
    conversations.close()


def choices(markup: str | None) -> list[tuple[str, str, bool]]:
    """The value and name of each choice, and whether it is selected."""
    return [(value, name, bool(selected)) for value, selected, name in re.findall(r'value="(\w+)"( selected)?>([^<]*)<', markup or "")]


@pytest.mark.parametrize(("thinking", "effort", "shown"), [
    (THINKER.thinking, None, [("none", "Off", False), ("medium", "On", True)]),
    (THINKER.thinking, "none", [("none", "Off", True), ("medium", "On", False)]),
    (THINKER.thinking, "high", [("none", "Off", False), ("medium", "On", True)]),
    (LEVELS.thinking, "xhigh", [("low", "Low", False), ("medium", "Medium", False), ("high", "High", True)]),
    (Thinking(has_thoughts=True), None, []), (READY.thinking, None, []),
])
def test_the_list_shows_what_the_model_offers(thinking: Thinking, effort: Effort | None, shown: list[tuple[str, str, bool]]) -> None:
    assert choices(thinking_html(thinking, effort, "en")) == shown


def test_a_budget_is_offered_where_there_are_thoughts() -> None:
    assert "mc-thinks" in thinking_html(Thinking(has_thoughts=True), None, "en")
    assert thinking_html(READY.thinking, None, "en") == ""


def test_a_reply_is_asked_for_the_shown_effort(page: ChatPage, engine: ScriptedEngine) -> None:
    page.send("One")
    page.press("think", 0, "none")
    page.send("Two")
    page.press("think", 0, "medium")
    page.send("Three")
    assert [options.reasoning_effort for _, options in engine.asked] == [None, "none", "medium"]


def test_without_a_choice_the_shown_effort_is_asked_for_if_the_default_is_unknown() -> None:
    assert asked_effort(replace(READY, thinking=Thinking(("low", "high"))), None) == "high"
    assert asked_effort(THINKER, None) is None


def test_the_choice_is_remembered_with_the_chat(page: ChatPage) -> None:
    page.press("think", 0, "none")
    page.send("One")
    first = page.chat_id
    page.click("new")
    page.press("think", 0, "medium")
    page.send("Two")
    page.click("open", first)
    assert page.session.effort == "none"
    assert choices(page.parts.thinking) == [("none", "Off", True), ("medium", "On", False)]


def test_a_model_without_thoughts_is_asked_for_nothing(page: ChatPage, engine: ScriptedEngine) -> None:
    page.press("think", 0, "none")
    engine.current = READY
    page.send("One")
    assert engine.asked[0][1].reasoning_effort is None


def test_while_no_model_is_loaded_the_choice_is_kept() -> None:
    assert asked_effort(replace(LOADING, state="asleep"), "high") == "high"
    assert asked_effort(READY, "high") is None


def test_a_choice_brings_its_sampling_except_for_options_that_were_changed(page: ChatPage, engine: ScriptedEngine) -> None:
    engine.options = GenerationOptions(temperature=0.6, top_p=0.95)
    direct = engine.options_of["none"] = GenerationOptions(temperature=0.7, top_p=0.8)
    page.session.adopted = values_of(engine.options)
    assert page.press("think", 0, "none").options == direct
    assert page.session.adopted == values_of(direct)
    page.values = tuple(values_of(replace(direct, temperature=1.2, seed=3)))
    assert page.press("think", 0, "medium").options == GenerationOptions(temperature=1.2, top_p=0.95, seed=3)
    assert page.session.adopted == values_of(direct)        # a new model's defaults do not replace a person's choice


def test_a_choice_that_does_not_exist_is_refused(page: ChatPage) -> None:
    assert 'role="alert"' in (page.press("think", 0, "enormous").problem or "")
    assert page.session.effort is None
