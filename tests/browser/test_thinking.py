"""Choosing how much the model thinks, and what a reply shows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import Page, Route, expect

from engine import Finished, GenerationOptions, ReasoningDelta, TextDelta

from ..ui.scripted_engine import LEVELS, THINKER, USAGE, ScriptedEngine

THOUGHTFUL = [ReasoningDelta("A plan"), TextDelta("The answer"), Finished("stop", replace(USAGE, reasoning_tokens=340))]


@pytest.fixture
def engine(engine: ScriptedEngine) -> ScriptedEngine:
    engine.current, engine.script = THINKER, THOUGHTFUL
    return engine


@pytest.fixture
def visitor(visit: Callable[..., Page], engine: ScriptedEngine, address: str) -> Page:
    return visit(address)


def send(page: Page, text: str) -> None:
    page.locator("#mc-message textarea").fill(text)
    page.locator("#mc-send").click()
    expect(page.locator(".mc-facts").last).to_contain_text("182 tokens")


def test_thoughts_are_chosen_by_keyboard_and_remembered_with_the_chat(visitor: Page, engine: ScriptedEngine) -> None:
    effort = visitor.get_by_label("Thinking", exact=True)
    expect(effort).to_have_value("medium")
    effort.focus()
    visitor.keyboard.press("ArrowUp")
    expect(effort).to_be_focused()
    expect(effort).to_have_value("none")
    send(visitor, "Hello")
    assert engine.asked[-1][1].reasoning_effort == "none"
    visitor.locator("#mc-new").click()
    expect(visitor.locator("[data-example]").first).to_be_visible()
    effort.select_option("On")
    send(visitor, "Again")
    assert engine.asked[-1][1].reasoning_effort == "medium"
    visitor.locator("#mc-chats [data-act=open]").last.click()
    expect(effort).to_have_value("none")


def test_a_message_that_overtakes_the_choice_is_answered_as_chosen(visitor: Page, engine: ScriptedEngine) -> None:
    held: list[Route] = []
    visitor.route("**/queue/join*", lambda route: held.append(route) if '"think"' in (route.request.post_data or "") else route.continue_())
    visitor.get_by_label("Thinking", exact=True).select_option("Off")
    send(visitor, "Hello")
    assert held
    assert engine.asked[-1][1].reasoning_effort == "none"


def test_a_reply_says_how_long_it_thought(visitor: Page) -> None:
    send(visitor, "Hello")
    expect(visitor.get_by_text("340 tokens")).to_contain_text("Thought for")


def test_recommended_sampling_follows_the_choice_until_changed(visitor: Page, engine: ScriptedEngine) -> None:
    engine.options_of["none"] = GenerationOptions(top_p=0.8)
    top_p = visitor.get_by_role("spinbutton", name="number input for Top-p")
    visitor.locator("#mc-options-toggle").click()
    visitor.get_by_label("Thinking", exact=True).select_option("Off")
    expect(top_p).to_have_value("0.8")
    visitor.get_by_label("Thinking", exact=True).select_option("On")
    expect(top_p).to_have_value("1")


def test_a_budget_is_sent(visitor: Page, engine: ScriptedEngine) -> None:
    visitor.locator("#mc-options-toggle").click()
    visitor.get_by_label("Thinking budget").fill("256")
    send(visitor, "Hello")
    assert engine.asked[-1][1].reasoning_budget == 256


def test_another_model_brings_its_own_choices(visitor: Page, engine: ScriptedEngine) -> None:
    engine.current = replace(LEVELS, model="Another")
    expect(visitor.locator(".mc-think option")).to_have_text(["Low", "Medium", "High"])


def test_without_thoughts_there_is_nothing_to_choose(visit: Callable[..., Page], engine: ScriptedEngine, address: str) -> None:
    engine.reset()
    page = visit(address)
    page.locator("#mc-options-toggle").click()
    expect(page.get_by_label("Seed")).to_be_visible()
    expect(page.get_by_label("Thinking budget")).to_be_hidden()
    expect(page.locator(".mc-think")).to_have_count(0)
