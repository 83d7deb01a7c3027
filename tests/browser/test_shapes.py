"""Choosing the shape of answers in the options panel."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from engine.shapes import Shape
from tests.ui.scripted_engine import ScriptedEngine, answer

from .test_thinking import send


def test_a_shape_is_checked_where_it_is_written_and_sent(visit: Callable[..., Page], engine: ScriptedEngine, address: str) -> None:
    engine.reset()
    engine.script = answer("12")
    page = visit(address)
    page.locator("#mc-options-toggle").click()
    value = page.get_by_label("Schema, choices or pattern")
    expect(page.get_by_label("Answer as")).to_be_visible()
    expect(value).to_be_hidden()
    page.get_by_label("Answer as").click()
    page.get_by_role("option", name="A pattern").click()
    value.fill("a(")
    value.blur()
    expect(page.locator("#mc-shape-problem")).to_contain_text("unclosed group")
    value.fill("[0-9]+")
    value.blur()
    expect(page.locator("#mc-shape-problem")).not_to_contain_text("unclosed group")
    send(page, "How many?")
    assert engine.asked[-1][1].shape == Shape("regex", "[0-9]+")
