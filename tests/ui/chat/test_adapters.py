"""The list of adapters beside the message box, and what a message then asks for."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Conversations
from ui.chat.adapters import AskedAdapter, adapters_html, asked_adapter, read_choice
from ui.chat.session import ChatSession
from ui.shared.context import Context, build_services

from ..scripted_engine import READY, ScriptedEngine, answer
from .page import ChatPage

TUNED = replace(READY, adapters=("one", "two"), adapter="one")


def choices(shown: str) -> list[tuple[str, str, bool]]:
    return [(value, label, bool(chosen)) for value, chosen, label in re.findall(r'<option value="([^"]*)"( selected)?>([^<]*)<', shown)]


def test_a_model_without_adapters_has_no_list() -> None:
    assert adapters_html((), AskedAdapter(), "en") == ""
    assert asked_adapter(READY, ChatSession()) == AskedAdapter(None)


def test_the_list_offers_the_base_each_adapter_and_both_side_by_side() -> None:
    assert choices(adapters_html(("one",), AskedAdapter("one"), "en")) == [
        ("alone ", "none", False), ("alone one", "one", True), ("beside one", "base and one, side by side", False)]


def test_a_removed_adapter_stays_chosen_and_says_so() -> None:
    assert choices(adapters_html((), AskedAdapter("gone"), "en"))[-1] == ("alone gone", "gone (removed)", True)


def test_a_new_chat_begins_with_the_loaded_adapter_and_an_older_one_stays_without() -> None:
    assert asked_adapter(TUNED, ChatSession()) == AskedAdapter("one")
    assert asked_adapter(TUNED, ChatSession(adapter="alone two")) == AskedAdapter("two")


@pytest.mark.parametrize("value", ["", "two", "beside", "x alone one"])
def test_other_values_are_no_choice(value: str) -> None:
    assert read_choice(value) is None
    assert read_choice("beside ") == AskedAdapter("")


@pytest.fixture
def engine(tmp_path: Path) -> ScriptedEngine:
    return ScriptedEngine(answer("Words"), TUNED, data_dir=tmp_path)


@pytest.fixture
def page(engine: ScriptedEngine) -> Iterator[ChatPage]:
    conversations = Conversations(engine)  # type: ignore[arg-type]
    yield ChatPage(Context.of(build_services(engine, conversations), None))  # type: ignore[arg-type]
    conversations.close()


def test_the_choice_is_kept_with_the_chat_and_names_the_reply(page: ChatPage, engine: ScriptedEngine) -> None:
    page.press("adapter", 0, "alone two")
    page.send("One")
    first = page.chat_id
    page.click("new")
    page.send("Two")
    assert [options.adapter for _, options in engine.asked] == ["two", "one"]
    engine.current = replace(TUNED, adapter="two")      # somebody loads the other one: this chat goes on with its own
    page.send("Three")
    assert engine.asked[-1][1].adapter == "one"
    page.click("open", first)
    assert page.session.adapter == "alone two"
    assert "+ two" in page.conversation


def test_base_and_adapter_answer_side_by_side(page: ChatPage, engine: ScriptedEngine) -> None:
    page.press("adapter", 0, "beside two")
    page.send("hi")
    assert sorted(str(options.adapter) for _, options in engine.asked) == ["", "two"]
    assert page.session.adapter == "beside two"


def test_an_adapter_that_is_not_loaded_cannot_be_chosen(page: ChatPage) -> None:
    assert "mc-problem" in (page.press("adapter", 0, "alone none such").problem or "")
