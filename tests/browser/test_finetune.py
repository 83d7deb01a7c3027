"""One journey through the Fine-tune tab of the real app: from a file to a model that is trained, stopped, resumed and used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import engine.finetune

from .conftest import app_here
from .test_accessibility import violations
from .test_chat import REPLY_MS, Visit, send, wait_for_model

EXAMPLES = Path(engine.finetune.__file__).parent / "example" / "tallmere.csv"
WORK_MS = 120_000
STEP = re.compile(r"step (\d+) of")


@pytest.fixture(scope="module")
def tune_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with app_here(tmp_path_factory.mktemp("tune")) as address:
        yield address


def open_tab(page: Page) -> None:
    page.get_by_role("tab", name="Fine-tune").click()
    expect(page.locator(".mc-stepper")).to_be_visible()


def step(page: Page) -> int:
    """The step that the page shows; 0 before the first."""
    found = STEP.search(page.locator("#mc-tune-now").inner_text())
    return int(found[1]) if found else 0


def wait_for_step_after(page: Page, number: int) -> None:
    page.wait_for_function("""number => {
        const found = document.querySelector('#mc-tune-now')?.innerText.match(/step (\\d+) of/);
        return found && +found[1] > number;
    }""", arg=number, timeout=WORK_MS)


def fits(page: Page) -> bool:
    """Whether nothing is cut off at the right; tables and texts have scroll bars of their own."""
    return bool(page.evaluate("""() => [...document.querySelectorAll('.mc-tune *, #mc-jobs *, .mc-tabs > .tab-wrapper *')].every(element =>
        element.getBoundingClientRect().right <= innerWidth + 1 || element.closest('.mc-scroll, pre, .visually-hidden'))"""))


@pytest.mark.timeout(360)       # the trainer starts twice, which a busy machine takes minutes for
def test_from_a_file_to_a_trained_model(visit: Visit, tune_app: str) -> None:
    page = visit(tune_app)
    wait_for_model(page)
    open_tab(page)
    found = {}
    with page.expect_file_chooser() as chooser:         # click 1
        page.get_by_role("button", name="Choose a file").click()
    chooser.value.set_files(EXAMPLES)
    expect(page.locator("#mc-tune-data tbody tr")).to_have_count(8)
    page.get_by_role("button", name="Next: columns").click()        # click 2
    expect(page.locator(".mc-preview mark").first).to_contain_text("Tallmere is an island")
    expect(page.locator("#mc-tune-role-question input")).to_have_value("question")
    found["map"] = violations(page)
    page.get_by_role("button", name="Next: model").click()          # click 3
    expect(page.locator("#mc-tune-estimate .mc-verdict")).to_contain_text("Fits")
    page.get_by_role("button", name="Options").click()
    page.get_by_label("Epochs").fill("200")
    page.get_by_label("Epochs").blur()
    start = page.get_by_role("button", name=re.compile("Train on 36 examples, about .* (min|h)"))
    expect(start).to_be_visible()
    start.click()                                       # and click 4
    trained(page, found)
    assert {name: each for name, each in found.items() if each} == {}


def trained(page: Page, found: dict[str, list[str]]) -> None:
    """It trains, its curve moves, and it is found again after a reload; stopped, it is resumed at its step."""
    wait_for_step_after(page, 1)
    expect(page.locator("#mc-tune-curves [aria-label*='Training loss']")).to_be_visible()
    curve = page.locator("#mc-tune-curves polyline").first.get_attribute("points")
    expect(page.locator("#mc-jobs .mc-job")).to_contain_text("Fine-tuning tallmere")
    wait_for_step_after(page, step(page))
    expect(page.locator("#mc-tune-curves polyline").first).not_to_have_attribute("points", curve or "")
    page.reload()
    wait_for_step_after(page, 0)        # the address opens the tab and the run
    before = step(page)
    page.get_by_role("button", name="Stop and save").first.click()
    expect(page.locator("#mc-tune-now")).to_contain_text("You stopped it.", timeout=WORK_MS)
    expect(page.locator("#mc-tune-now")).to_contain_text("The checkpoint of step")
    page.locator("#mc-tune-now").get_by_role("button", name="Resume").click()
    wait_for_step_after(page, before)
    page.locator("#mc-tune-stop").click()
    expect(page.locator("#mc-tune-now")).to_contain_text("You stopped it.", timeout=WORK_MS)
    page.get_by_role("button", name="See the result").click()
    expect(page.locator("#mc-tune-result")).to_contain_text("Perplexity")
    found["result"] = violations(page)
    page.get_by_role("button", name="Chat with it").click()
    expect(page.get_by_label("Adapter")).to_have_value(re.compile("beside tallmere.*"), timeout=WORK_MS)
    send(page, "Where is Tallmere?")
    for side, model in (("#mc-left", "Built-in guide"), ("#mc-right", "Built-in guide + tallmere")):
        expect(page.locator(f"{side} .mc-facts").last).to_contain_text(model, timeout=REPLY_MS)


def test_on_a_phone_everything_fits_and_a_second_visitor_sees_no_runs(visit: Visit, tune_app: str) -> None:
    page = visit(tune_app, viewport={"width": 390, "height": 844})
    open_tab(page)
    expect(page.locator("#mc-tune-runs")).to_be_hidden()
    assert fits(page)
    page.get_by_role("button", name="Try 40 example questions").click()
    expect(page.get_by_role("button", name=re.compile("Train on 40 examples"))).to_be_visible()
    assert fits(page)
