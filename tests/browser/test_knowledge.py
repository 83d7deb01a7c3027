"""Files in the page: added, tried, named in a message, opened from an answer; in every state accessible. Without an embedding model."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from engine import Finished, TextDelta
from tests.ui.scripted_engine import USAGE, ScriptedEngine, answer

from .test_accessibility import violations
from .test_chat import wait_for_end

GUIDE = "# Guide\n\n" + "".join(f"## Shelf {n}\n\nOn shelf {n} there are {n * 7} jars of plums.\n\n" for n in range(1, 60)) + (
    "## Ladder\n\nThe ladder is in the attic, behind the trunk.\n\n") + "".join(f"## Box {n}\n\nBox {n} is empty.\n\n" for n in range(60))


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


@pytest.fixture
def guide(tmp_path: Path) -> Path:
    path = tmp_path / "guide.md"
    path.write_text(GUIDE)
    return path


def add(page: Page, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator("#mc-know-upload").click()
    chooser.value.set_files(str(path))
    expect(page.locator("#mc-know-documents")).to_contain_text("Ready")


def test_files_are_added_asked_and_opened_and_a_reload_in_the_middle_changes_nothing(
        visit: Callable[..., Page], engine: ScriptedEngine, address: str, guide: Path) -> None:
    page, found = visit(address), {}
    open_tab(page, "Knowledge")
    expect(page.get_by_text("Chat with your files")).to_be_visible()
    found["empty"] = violations(page)
    add(page, guide)
    page.get_by_label("Try a question").fill("Where is the ladder?")
    page.locator("#mc-know-search").click()
    expect(page.locator(".mc-know-hits li").first).to_contain_text("behind the trunk")
    found["filled"] = violations(page)

    open_tab(page, "Chat")
    message = page.locator("#mc-message textarea")
    message.press_sequentially("#my")
    expect(page.get_by_role("option", name="#My files")).to_have_attribute("aria-selected", "true")
    found["completing"] = violations(page)
    message.press("Enter")
    expect(message).to_have_value("#My files ")
    expect(page.get_by_role("listbox")).to_have_count(0)
    wait = threading.Event()
    engine.script = [TextDelta("It is in the attic "), wait, TextDelta("[1]."), Finished("stop", USAGE)]
    message.press_sequentially("Where is the ladder?")
    message.press("Enter")
    expect(page.get_by_text("It is in the attic")).to_be_visible()
    page.reload()
    expect(page.get_by_text("It is in the attic")).to_be_visible()
    wait.set()
    wait_for_end(page)
    expect(page.locator(".mc-tag")).to_contain_text("Answered from #My files")
    expect(page.locator(".mc-sources button").first).to_contain_text("guide.md")
    found["answered"] = violations(page)
    page.get_by_role("link", name="[1]").click()
    passage = page.locator(".mc-source-text mark")
    expect(passage).to_contain_text("behind the trunk")
    expect(passage).to_be_in_viewport()
    expect(page.locator(".mc-source-text")).to_contain_text("On shelf 1 there are")
    found["source"] = violations(page)
    page.keyboard.press("Escape")
    assert {name: each for name, each in found.items() if each} == {}

    engine.script = answer("Plums.")
    page.locator(".mc-tag button").click()
    message.fill("And what else?")       # at once: the message must not overtake the removal
    message.press("Enter")
    wait_for_end(page, 2)
    assert engine.asked[-1][0][-1].content == "And what else?"


def test_on_a_phone_nothing_is_wider_than_the_page(visit: Callable[..., Page], engine: ScriptedEngine, address: str, guide: Path) -> None:
    page = visit(address, viewport={"width": 390, "height": 844})
    open_tab(page, "Knowledge")
    add(page, guide)
    page.get_by_label("Try a question").fill("Where is the ladder?")
    page.locator("#mc-know-search").click()
    expect(page.locator(".mc-know-hits li").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for tab in page.get_by_role("tab").all():
        name = tab.inner_text()
        assert tab.evaluate("element => element.scrollWidth <= element.clientWidth"), name
    open_tab(page, "Chat")
    page.locator(".mc-files-menu summary").click()
    menu = page.locator(".mc-files-menu > div").bounding_box()
    assert menu
    assert (menu["x"] >= 0, menu["x"] + menu["width"] <= 390) == (True, True)
    page.get_by_role("button", name="#My files").click()
    expect(page.locator("#mc-message textarea")).to_have_value(re.compile("#My files $"))
