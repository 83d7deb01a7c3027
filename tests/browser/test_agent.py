"""Journeys through the Code agent tab, with a scripted model and the real sandbox."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from engine.sandbox import probe_sandboxes
from tests.ui.scripted_engine import ScriptedEngine, answer

from .conftest import KeptPages, app_here
from .test_accessibility import violations
from .test_chat import REPLY_MS, Visit, send, wait_for_end, wait_for_model

GOOD, BAD = "Here:\n```python\nprint(6 * 7)\n```", "Look:\n```python\nprint(undefined)\n```"
PLOT = "```python\nimport matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.savefig('squares.png')\nprint('drawn')\n```"
DOUBLE = "```python\nlines = open('in.csv').read().splitlines()\nopen('out.csv', 'w').write('\\n'.join(lines * 2))\nprint(len(lines))\n```"
ENDLESS = "```python\nprint('begun', flush=True)\nwhile True:\n    pass\n```"
SCREENS = {"desktop": {}, "phone": {"viewport": {"width": 390, "height": 844}}}


@pytest.fixture(autouse=True)
def _needs_a_sandbox() -> None:
    if not any(report.is_available for report in probe_sandboxes()):
        pytest.skip("no sandbox works on this machine")


@pytest.fixture
def agent_page(kept_pages: KeptPages, engine: ScriptedEngine, address: str) -> Page:
    """The tab without a run; runs of the tests before are in its list."""
    page = kept_pages.at(address)
    page.get_by_role("tab", name="Code agent").click()
    page.get_by_role("button", name="New run").click()
    return opened(page)


def opened(page: Page, *, asks: bool = False) -> Page:
    page.get_by_role("tab", name="Code agent").click()
    expect(page.locator("#mc-agent-welcome h2")).to_be_visible()
    page.get_by_label("Ask before running").set_checked(asks)
    return page


def begin(page: Page, task: str) -> None:
    box = page.get_by_label("Task")
    box.fill(task)
    box.press("Enter")


def steps(page: Page) -> Locator:
    return page.locator("#mc-steps .mc-step")


def outcome(page: Page) -> Locator:
    return page.locator("#mc-steps .mc-outcome .mc-facts")


def output(page: Page, at: int = -1) -> Locator:
    return page.locator("#mc-steps [data-name=output] pre").nth(at)


@pytest.fixture
def own_app(tmp_path: Path) -> Iterator[str]:
    """The app with the built-in model."""
    with app_here(tmp_path) as address:
        yield address


def test_a_failed_program_and_its_repair_are_shown_as_steps(agent_page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer(BAD)
    engine.later = [answer(GOOD)]
    page = agent_page
    begin(page, "six times seven")
    expect(outcome(page)).to_be_visible(timeout=REPLY_MS)
    expect(steps(page).nth(0).locator(".mc-failure")).to_contain_text("NameError")
    expect(steps(page).nth(1)).to_contain_text("Ran without errors")
    expect(output(page)).to_have_text("42\n")
    expect(page.get_by_label("Task")).to_have_value("")
    steps(page).nth(1).get_by_text("Changes since the previous attempt").click()
    expect(steps(page).nth(1).locator(".mc-diff .is-gone")).to_contain_text("undefined")


def test_a_plot_is_shown_in_its_step(agent_page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer(PLOT)
    page = agent_page
    begin(page, "draw")
    picture = page.locator("#mc-steps img")
    expect(picture).to_be_visible(timeout=REPLY_MS)
    page.wait_for_function("document.querySelector('#mc-steps img').naturalWidth > 100")
    expect(picture).to_have_attribute("alt", "squares.png")


def test_a_table_goes_in_and_another_comes_out(agent_page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer(DOUBLE)
    page = agent_page
    with page.expect_file_chooser() as chooser:
        page.locator("#mc-agent-attach").click()
    chooser.value.set_files({"name": "in.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"})
    expect(page.locator("#mc-agent-uploads")).to_contain_text("in.csv")
    begin(page, "double it")
    made = steps(page).locator("a.mc-file")
    expect(made).to_contain_text("out.csv", timeout=REPLY_MS)
    steps(page).get_by_text("Preview").click()
    expect(steps(page).locator(".mc-made pre")).to_contain_text("a,b")
    with page.expect_download() as download:
        made.click()
    assert Path(download.value.path()).read_text() == "a,b\n1,2\na,b\n1,2"
    assert download.value.suggested_filename == "out.csv"
    expect(page.locator("#mc-agent-uploads .mc-tag")).to_have_count(0)


def test_an_endless_program_is_stopped_while_another_visitor_chats(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer(ENDLESS)
    page, other = opened(visit(address)), visit(address)
    begin(page, "run for ever")
    expect(output(page)).to_have_text("begun\n", timeout=REPLY_MS)
    engine.script = answer("Hello to you")
    send(other, "Hello")
    wait_for_end(other)
    page.locator("#mc-agent-stop").click()
    expect(page.locator("#mc-steps .mc-outcome")).to_contain_text("Stopped", timeout=5_000)
    expect(page.locator("#mc-agent-stop")).to_be_hidden()
    expect(output(page)).to_have_text("begun\n")
    expect(page.get_by_role("button", name="Continue")).to_be_visible()


def test_a_program_waits_until_a_person_has_seen_it(agent_page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer(GOOD)
    page = opened(agent_page, asks=True)
    begin(page, "six times seven")
    expect(steps(page)).to_contain_text("Waiting for your approval", timeout=REPLY_MS)
    expect(page.locator("#mc-steps [data-name=output]")).to_have_count(0)
    page.get_by_role("button", name="Run this program").click()
    expect(output(page)).to_have_text("42\n")
    expect(steps(page)).to_have_count(1)


def test_a_program_is_edited_and_run_without_the_model(agent_page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer(GOOD)
    page = agent_page
    begin(page, "six times seven")
    expect(outcome(page)).to_be_visible(timeout=REPLY_MS)
    page.get_by_role("button", name="Edit").click()
    page.locator(".mc-editor textarea").fill("print('mine')")
    page.locator(".mc-editor").get_by_role("button", name="Run", exact=True).click()
    expect(output(page)).to_have_text("mine\n")
    expect(steps(page).nth(1)).to_contain_text("your program")
    assert len(engine.asked) == 1


def test_a_reload_in_the_middle_goes_on_where_the_work_is(agent_page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer(ENDLESS)
    page = agent_page
    begin(page, "run for ever")
    expect(output(page)).to_have_text("begun\n", timeout=REPLY_MS)
    page.reload()
    expect(output(page)).to_have_text("begun\n", timeout=REPLY_MS)
    page.locator("#mc-agent-stop").click()
    expect(page.locator("#mc-steps .mc-outcome")).to_contain_text("Stopped")


def test_runs_are_kept_opened_again_and_deleted(agent_page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer(GOOD)
    page = agent_page
    for task in ("first", "second"):
        page.get_by_role("button", name="New run").click()
        expect(page.locator("#mc-agent-welcome h2")).to_be_visible()
        begin(page, task)
        expect(outcome(page)).to_be_visible(timeout=REPLY_MS)
    listed = page.locator("#mc-agent-runs .mc-item")
    expect(listed).to_contain_text(["second", "first"])
    page.get_by_role("button", name="first", exact=True).click()
    expect(page.locator("#mc-steps .mc-task")).to_have_text("first")
    page.get_by_role("button", name="Delete first").click()
    page.get_by_role("dialog").get_by_role("button", name="✕").click()
    expect(listed.filter(has_text="first")).to_have_count(0)
    expect(listed.filter(has_text="second")).to_have_count(1)
    expect(page.locator("#mc-agent-welcome h2")).to_be_visible()


def test_a_run_is_saved_as_a_script_and_a_notebook(agent_page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer(GOOD)
    page = agent_page
    begin(page, "six times seven")
    expect(outcome(page)).to_be_visible(timeout=REPLY_MS)
    for name, ending in (("Save as .py", ".py"), ("Save as notebook", ".ipynb")):
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        assert download.value.suggested_filename == f"six times seven{ending}"
        assert "print(6 * 7)" in Path(download.value.path()).read_text()


def test_two_visitors_never_see_each_others_steps(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer(GOOD)
    mine, yours = opened(visit(address)), opened(visit(address))
    begin(mine, "aardvark")
    begin(yours, "zeppelin")
    for page in (mine, yours):
        expect(outcome(page)).to_be_visible(timeout=REPLY_MS)
    assert "zeppelin" not in mine.content()
    assert "aardvark" not in yours.content()
    yours.goto(mine.url)
    expect(yours.locator("#mc-agent-problem")).to_contain_text("no longer exists")
    assert "aardvark" not in yours.content()


def test_what_went_wrong_is_said_and_the_task_stays(agent_page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer(GOOD)
    page = agent_page
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert")).to_contain_text("what the program should do")
    page.get_by_label("Task").fill("x" * 30_000)
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert")).to_contain_text("20000")
    expect(page.get_by_label("Task")).to_have_value("x" * 30_000)


def test_the_built_in_model_solves_its_examples(visit: Visit, own_app: str) -> None:
    page = visit(own_app)
    wait_for_model(page)
    opened(page)
    for example, last in (("Fibonacci", "34"), ("prime numbers", "47"), ("Celsius", "37.78")):
        page.get_by_role("button", name="New run").click()
        page.locator("#mc-agent-welcome").get_by_role("button", name=re.compile(example)).click()
        expect(output(page)).to_have_text(re.compile(rf"(^|\n){re.escape(last)}\n$"), timeout=REPLY_MS)


@pytest.mark.parametrize("screen", SCREENS)
def test_every_state_is_accessible_and_fits_its_screen(visit: Visit, engine: ScriptedEngine, address: str, screen: str) -> None:
    engine.script = answer(BAD)
    page = opened(visit(address, **SCREENS[screen]), asks=True)
    found = {"empty": violations(page)}
    begin(page, "six times seven, " * 12)
    expect(steps(page)).to_contain_text("Waiting for your approval", timeout=REPLY_MS)
    found["waiting"] = violations(page)
    page.get_by_role("button", name="Edit").click()
    found["edited"] = violations(page)
    page.locator(".mc-editor").get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".mc-failure")).to_be_visible()
    expect(outcome(page)).to_be_visible()
    found["failed"] = violations(page)
    assert {name: each for name, each in found.items() if each} == {}
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator("#mc-agent-send").bounding_box()
    assert box
    assert box["y"] + box["height"] <= page.evaluate("innerHeight")
