"""axe-core over every state of the page: nothing of serious or critical impact."""

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from engine import Finished, ReasoningDelta, TextDelta
from tests.ui.scripted_engine import THINKER, USAGE, ScriptedEngine

from .conftest import ROOT
from .test_chat import Visit, send, wait_for_end
from .test_composing import PASTE

AXE = ROOT / ".venv/node_modules/axe-core/axe.min.js"
# Transitions of colour would be measured half-way; page.js names new parts of the page 250 ms after the first of them.
SETTLED_JS = """async () => {
  const over = document.getAnimations().filter(each => each.effect?.getComputedTiming().endTime !== Infinity).map(each => each.finished);
  await Promise.allSettled(over);
  await new Promise(done => {
    let quiet = setTimeout(done, 300);
    const watcher = new MutationObserver(() => { clearTimeout(quiet); quiet = setTimeout(done, 300); });
    watcher.observe(document.body, {childList: true, subtree: true});
    setTimeout(done, 2000);
  });
}"""
EVERY_RULE, COLOURS = "{resultTypes: ['violations']}", "{runOnly: ['color-contrast', 'link-in-text-block'], resultTypes: ['violations']}"
OTHER_THEME_JS = "document.body.classList.toggle('dark')"
RICH = "# Title\n\nSome `code` and **words**.\n\n```python\nprint('one')\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- [link](https://example.org)\n"
SCRIPT = [ReasoningDelta("A thought"), TextDelta(RICH), Finished("stop", USAGE)]


def conversation(page: Page) -> None:
    """A new chat with one answer, whatever the state before left open."""
    page.keyboard.press("Escape")
    page.get_by_label("Search chats").clear()
    page.locator("#mc-new").click()
    expect(page.locator("[data-example]").first).to_be_visible()
    send(page, "Hello")
    wait_for_end(page)


def pictures(page: Page) -> None:
    """A picture in a message, and another that is attached."""
    conversation(page)
    page.evaluate(PASTE)
    expect(page.locator(".mc-tag .mc-picture")).to_be_visible()
    send(page, "What is this?")
    wait_for_end(page, 2)
    page.evaluate(PASTE)
    expect(page.locator(".mc-picture")).to_have_count(2)


def large(page: Page) -> None:
    """After `pictures`."""
    page.locator(".mc-conversation .mc-picture").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def menu(page: Page) -> None:
    conversation(page)
    page.locator(".mc-menu summary").first.click()
    expect(page.get_by_role("button", name="Rename")).to_be_visible()


def rename(page: Page) -> None:
    menu(page)
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def prompt(page: Page) -> None:
    conversation(page)
    page.locator(".mc-gauge").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def search(page: Page) -> None:
    conversation(page)
    page.get_by_label("Search chats").fill("hello")
    expect(page.locator("mark").first).to_be_visible()


def versions(page: Page) -> None:
    conversation(page)
    page.get_by_role("button", name="Regenerate").click()
    expect(page.get_by_text("2 / 2")).to_be_visible()


def options(page: Page) -> None:
    conversation(page)
    page.locator("#mc-options-toggle").click()
    page.get_by_label("Compare two replies").check()
    expect(page.get_by_label("System prompt of the second reply")).to_be_visible()


def pair(page: Page) -> None:
    """After `options`: two answers side by side."""
    page.locator("#mc-close").click()
    send(page, "And now both")
    expect(page.locator("[data-act=keep]")).to_have_count(2)


def share(page: Page) -> None:
    page.locator("[data-act=keep]").first.click()
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def shared(page: Page) -> None:
    """After `share`, at the link of its dialog."""
    page.goto(page.get_by_role("dialog").get_by_role("textbox").input_value())
    expect(page.get_by_text("read-only")).to_be_visible()


def finetune(page: Page) -> None:
    """The empty Fine-tune tab; test_finetune.py has the states with data and a result."""
    page.get_by_role("tab", name="Fine-tune").click()
    expect(page.locator(".mc-stepper")).to_be_visible()


STATES: list[Callable[[Page], None]] = [
    conversation, pictures, large, menu, rename, prompt, search, versions, options, pair, share, shared, finetune]


def violations(page: Page) -> list[str]:
    """What axe finds of serious or critical impact, in the light theme and in the dark one."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    found = _violations(page, EVERY_RULE)
    page.evaluate(OTHER_THEME_JS)       # the button itself is out of reach behind a dialog
    found += _violations(page, COLOURS)     # nothing else depends on the theme
    page.evaluate(OTHER_THEME_JS)
    return found


def _violations(page: Page, rules: str) -> list[str]:
    page.evaluate(SETTLED_JS)
    found = page.evaluate(f"axe.run(document, {rules})")["violations"]
    return [f"{each['impact']} {each['id']}: {node['html'][:160]} {json.dumps(node.get('any') and node['any'][0]['message'])}"
            for each in found if each["impact"] in ("serious", "critical") for node in each["nodes"]]


def test_every_state_of_the_page_is_accessible(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script, engine.current = SCRIPT, THINKER
    page = visit(address)
    expect(page.locator("[data-example]").first).to_be_visible()
    found = {"empty": violations(page)}
    for state in STATES:
        state(page)
        found[state.__name__] = violations(page)
    assert {name: each for name, each in found.items() if each} == {}


def test_the_drawer_of_a_phone_is_accessible(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script, engine.current = SCRIPT, THINKER
    page = visit(address, viewport={"width": 390, "height": 844})
    send(page, "Hello")
    wait_for_end(page)
    assert violations(page) == []
    page.locator(".mc-drawer").click()
    expect(page.locator("#mc-new")).to_be_visible()
    assert violations(page) == []


def test_with_reduced_motion_nothing_moves(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = SCRIPT
    page = visit(address, reduced_motion="reduce")
    send(page, "Hello")
    wait_for_end(page)
    moving = page.evaluate("""() => [...document.querySelectorAll('*')].filter(element => {
        const {animationName, transitionDuration} = getComputedStyle(element);
        return animationName !== 'none' || transitionDuration.split(',').some(time => parseFloat(time) > 0);
    }).map(element => element.outerHTML.slice(0, 80))""")
    assert moving == []


def test_a_streamed_answer_is_announced_when_it_has_ended(page: Page, engine: ScriptedEngine) -> None:
    engine.script = [TextDelta("One "), 1.0, TextDelta("two."), Finished("stop", USAGE)]
    send(page, "Hello")
    wait_for_end(page)
    expect(page.locator("#mc-said[role=status]")).to_have_text(re.compile(r"One two\."))
