"""Journeys through the real page, in Chromium. They look at structure, never at what a model happens to say."""

import re
import threading
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from engine import Finished, Prefill, ReasoningDelta, TextDelta
from tests.ui.scripted_engine import FAILED, LOADING, READY, USAGE, ScriptedEngine, answer

from .conftest import KeptPages, app_here

Visit = Callable[..., Page]
LOAD_MS, REPLY_MS = 90_000, 90_000
CODE = "Look:\n\n```python\nprint('one')\n```\n"


def send(page: Page, text: str) -> None:
    page.locator("#mc-message textarea").fill(text)
    page.locator("#mc-message textarea").press("Enter")


def answers(page: Page) -> list[str]:
    """The texts of the answers, without the lines under them."""
    return page.locator(".mc-conversation [data-testid=bot] .prose").all_inner_texts()


def wait_for_model(page: Page) -> None:
    expect(page.locator(".mc-chip.is-ready")).to_be_visible(timeout=LOAD_MS)


def wait_for_end(page: Page, count: int = 1) -> None:
    expect(page.locator(".mc-facts")).to_have_count(count, timeout=REPLY_MS)
    expect(page.locator("#mc-send")).to_be_visible()


# --- the real app, with the built-in model ---

@pytest.fixture(scope="module")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Up before its model: tests wait for what they need."""
    with app_here(tmp_path_factory.mktemp("app")) as url:
        yield url


@pytest.fixture
def app_page(kept_pages: KeptPages, app_url: str) -> Page:
    page = kept_pages.at(app_url)
    wait_for_model(page)
    page.locator("#mc-new").click()
    expect(page.locator(".mc-welcome")).to_be_visible()
    return page


def test_a_message_is_answered_with_its_costs_and_no_other_host_is_asked(app_page: Page, app_url: str) -> None:
    page = app_page
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]) if request.url.startswith("http") else None)
    page.reload()
    wait_for_model(page)
    send(page, "Hello")
    wait_for_end(page)
    expect(page.locator("#mc-message textarea")).to_have_value("")
    facts = page.locator(".mc-facts").inner_text()
    assert all(re.search(pattern, facts) for pattern in (r"\d+ tokens", r"first token \d+\.\d\d s", r"\d+ cached"))
    assert re.search(r"[1-9]\d* / \d", page.locator(".mc-gauge").inner_text())
    assert hosts == {app_url.split("/")[2]}


def test_two_visitors_at_once_never_see_each_others_text(visit: Visit, app_url: str) -> None:
    pages = [visit(app_url), visit(app_url)]
    for page in pages:
        wait_for_model(page)
    for page, word in zip(pages, ("aardvark", "zeppelin"), strict=True):
        send(page, f"Say {word}")
    for page in pages:
        wait_for_end(page)
    questions = [page.locator("[data-testid=user] .prose").all_inner_texts() for page in pages]
    assert [[text.strip() for text in texts] for texts in questions] == [["Say aardvark"], ["Say zeppelin"]]


def test_a_message_larger_than_the_window_is_refused_with_a_reason_and_kept(app_page: Page) -> None:
    page = app_page
    long = "word " * 20_000
    send(page, long)
    expect(page.get_by_role("alert")).to_contain_text("tokens", timeout=REPLY_MS)
    expect(page.locator("#mc-message textarea")).to_have_value(long)
    expect(page.locator(".mc-welcome")).to_be_visible()


# --- what a model cannot be made to do on demand: a scripted engine ---

def test_stop_before_the_first_word(page: Page, engine: ScriptedEngine) -> None:
    engine.script = [60.0]
    send(page, "Hello")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".mc-facts")).to_contain_text("stopped", timeout=5_000)
    expect(page.locator("#mc-send")).to_be_visible()
    assert engine.num_closed == 1


def test_stop_keeps_what_was_written(page: Page, engine: ScriptedEngine) -> None:
    engine.script = [TextDelta("Half an answer"), 60.0]
    send(page, "Hello")
    expect(page.locator("[data-testid=bot] .prose")).to_have_text("Half an answer")
    page.keyboard.press("Escape")
    expect(page.locator(".mc-facts")).to_contain_text("stopped", timeout=5_000)
    assert answers(page) == ["Half an answer"]


def test_a_message_while_the_model_loads_waits_for_it(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    go_on = threading.Event()
    engine.script = [go_on, *answer("Now it is ready.")]
    engine.current = LOADING
    page = visit(address)
    expect(page.get_by_role("progressbar")).to_be_visible()
    send(page, "My words")
    expect(page.get_by_text("Waiting for the model to load")).to_be_visible()
    go_on.set()
    expect(page.locator(".mc-conversation").get_by_text("Now it is ready.")).to_be_visible()


def test_examples_and_the_models_own_options_appear_when_it_is_ready(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("ok")
    engine.current = LOADING
    page = visit(address)
    expect(page.get_by_role("progressbar")).to_be_visible()
    engine.options = type(engine.options)(temperature=0.25)
    engine.current = READY
    expect(page.locator("[data-example]")).to_have_count(4)
    page.locator("#mc-options-toggle").click()
    expect(page.get_by_role("spinbutton", name=re.compile("Temperature"))).to_have_value("0.25")


def test_a_failed_load_says_why(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.current = FAILED
    page = visit(address)
    expect(page.locator(".mc-welcome")).to_contain_text("Check the spelling")
    expect(page.locator(".mc-chip.is-bad")).to_be_visible()


def test_an_example_is_sent_with_one_click(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("ok")
    example = page.locator("[data-example]").first
    question = example.inner_text()
    example.click()
    wait_for_end(page)
    assert engine.asked[0][0][-1].content == question


def test_shift_enter_breaks_the_line(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("ok")
    line = page.locator("#mc-message textarea")
    line.fill("one")
    line.press("Shift+Enter")
    line.press_sequentially("two")
    line.press("Enter")
    wait_for_end(page)
    assert engine.asked[0][0][-1].content == "one\ntwo"


def test_thoughts_code_costs_and_dropped_turns_are_shown(page: Page, engine: ScriptedEngine) -> None:
    words = [TextDelta(piece) for piece in re.split(r"(?<= )", CODE)]
    usage = type(USAGE)(600, 512, 182, 0.11, 64.0, 6, 1204)
    engine.script = [Prefill(1, 2), ReasoningDelta("Hidden thought"), *words, Finished("stop", usage)]
    send(page, "Hello")
    wait_for_end(page)
    expect(page.locator(".mc-conversation").get_by_text("Hidden thought")).to_be_hidden()
    page.get_by_text("Thought for").click()
    expect(page.locator(".mc-conversation").get_by_text("Hidden thought")).to_be_visible()
    expect(page.locator("[data-testid=bot] pre code")).to_contain_text("print('one')")
    expect(page.locator("[data-testid=bot] pre").locator("xpath=..").get_by_role("button").first).to_be_attached()
    expect(page.locator(".mc-dropped")).to_have_text("6 older messages no longer fit (1,204 tokens)")


def test_copy_copies_the_answer_as_it_was_written(page: Page, engine: ScriptedEngine) -> None:
    engine.script = [TextDelta(CODE), Finished("stop", USAGE)]
    send(page, "Hello")
    wait_for_end(page)
    page.get_by_role("button", name="Copy", exact=True).last.click()
    expect(page.locator(".mc-copy.is-done")).to_be_attached()
    assert page.evaluate("navigator.clipboard.readText()") == CODE


def test_a_picture_in_an_answer_reaches_no_other_host(page: Page, engine: ScriptedEngine) -> None:
    engine.script = [TextDelta("![x](https://example.org/x.png) done"), Finished("stop", USAGE)]
    finished: list[str] = []
    page.on("response", lambda response: finished.append(response.url))
    with page.expect_event("requestfailed", lambda request: "example.org" in request.url) as failed:
        send(page, "Hello")
    assert failed.value.failure == "csp"
    assert not [url for url in finished if "example.org" in url]


def test_markup_in_an_answer_does_not_run(page: Page, engine: ScriptedEngine) -> None:
    attack = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script> end"
    engine.script = [TextDelta(attack), Finished("stop", USAGE)]
    send(page, attack)
    wait_for_end(page)
    assert page.evaluate("window.hacked") is None


def test_options_reach_the_engine_and_reset_brings_the_models_own_back(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("ok")
    page = visit(address)
    page.locator("#mc-options-toggle").click()
    temperature = page.get_by_role("spinbutton", name=re.compile("Temperature"))
    temperature.fill("0.3")
    temperature.press("Tab")
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_label("Stop strings").fill("END\nSTOP")
    page.get_by_label("Seed").fill("7")
    send(page, "Hello")
    wait_for_end(page)
    messages, options = engine.asked[-1]
    assert (options.temperature, options.stop, options.seed) == (0.3, ("END", "STOP"), 7)
    assert messages[0].content == "Be brief."
    page.get_by_role("button", name="Reset", exact=True).click()
    expect(temperature).to_have_value(str(engine.options.temperature))


# --- looks ---

def test_a_phone_needs_no_sideways_scrolling_and_has_targets_of_44_px(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("word " * 200 + CODE)
    page = visit(address, viewport={"width": 390, "height": 844})
    send(page, "Hello")
    wait_for_end(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    buttons = {name: page.get_by_role("button", name=name, exact=True).last for name in ("Send", "Attach", "Options", "Regenerate")}
    for name, target in {**buttons, "tab": page.get_by_role("tab").first, "theme": page.locator("#mc-theme"),
                         "language": page.locator("#mc-language"), "message": page.locator("#mc-message textarea")}.items():
        box = target.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44, name
    page.locator("#mc-options-toggle").click()
    expect(page.get_by_label("System prompt")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_long_answer_leaves_the_line_to_write_in_on_the_screen(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("word " * 2_000)
    send(page, "Hello")
    wait_for_end(page)
    expect(page.locator("#mc-message textarea")).to_be_in_viewport()
    expect(page.locator(".mc-facts")).to_be_in_viewport()
    width = page.locator("[data-testid=bot]").first.bounding_box()
    assert width is not None
    assert width["width"] <= 820


def test_the_theme_button_switches_and_is_remembered(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    page = visit(address)
    page.locator("#mc-theme").click()
    expect(page.locator("body.dark")).to_be_attached()
    page.goto(address)
    expect(page.locator("body.dark")).to_be_attached()


def test_the_browsers_language_is_used(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("ok")
    page = visit(address, locale="tr-TR")
    expect(page.get_by_role("tab", name="Sohbet")).to_be_visible()
    expect(page.locator("#mc-language")).to_have_value("tr")
    send(page, "Merhaba")
    wait_for_end(page)
    expect(page.locator(".mc-facts")).to_contain_text("token")
    expect(page.get_by_role("button", name="Yeniden üret")).to_be_visible()


def test_another_language_changes_everything_in_place(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("ok")
    page = visit(address)
    send(page, "Hello")
    wait_for_end(page)
    page.locator("#mc-message textarea").fill("half a thought")
    page.locator("#mc-language").select_option("zh")
    expect(page.get_by_role("button", name="重新生成")).to_be_visible()
    expect(page.locator("#mc-send")).to_have_text("发送")
    expect(page.locator("#mc-message textarea")).to_have_value("half a thought")
    page.goto(address)
    expect(page.locator("#mc-send")).to_have_text("发送")


def test_every_control_has_a_name_and_can_be_reached_with_the_keyboard(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("ok")
    page = visit(address)
    send(page, "Hello")
    wait_for_end(page)
    page.locator("#mc-options-toggle").click()
    assert page.evaluate(NAMELESS_JS) == []
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.closest('[id^=mc-]')?.id"))
    assert {"mc-theme", "mc-language", "mc-message", "mc-send", "mc-options"} <= reached


NAMELESS_JS = """() => [...document.querySelectorAll('button, input, select, textarea')].filter(e => e.checkVisibility() &&
  !(e.getAttribute('aria-label') || e.title || e.innerText?.trim() || e.labels?.length || e.getAttribute('aria-labelledby')))
  .map(e => e.outerHTML.slice(0, 120))"""
CONTRAST_JS = """selector => {
  const luminance = c => { const v = c.map(x => { x /= 255; return x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4; });
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
  const rgba = text => text.match(/[\\d.]+/g).map(Number);
  const behind = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] === 1) return c.slice(0, 3); } return [255, 255, 255]; };
  return [...document.querySelectorAll(selector)].filter(e => e.checkVisibility() && e.innerText.trim()).map(e => {
    const [a, b] = [luminance(rgba(getComputedStyle(e).color).slice(0, 3)), luminance(behind(e))].sort((x, y) => y - x);
    return [e.innerText.slice(0, 20), Math.round(100 * (a + .05) / (b + .05)) / 100]; }).filter(([, ratio]) => ratio < 4.5);
}"""
