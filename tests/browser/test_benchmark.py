"""Journeys through the Benchmark tab of the real app, with the built-in model and the smallest sizes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from engine import Quantization
from engine.benchmark.store.exports import to_json
from tests.ui.benchmark.made_runs import crowd, facts, run
from ui.shared.language import text

from .conftest import KeptPages, app_here
from .test_accessibility import violations
from .test_chat import Visit, wait_for_model

WORK_MS = 90_000
SCREENS = {"desktop": {}, "phone": {"viewport": {"width": 390, "height": 844}}}


@pytest.fixture(scope="module")
def bench_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with app_here(tmp_path_factory.mktemp("bench")) as address:
        yield address


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What another machine has measured: two runs of a model that is not here."""
    path = tmp_path_factory.mktemp("export") / "made.json"
    crowds = (crowd(1, 30.0), crowd(2, 50.0))
    path.write_text(to_json([run("m1", model=facts("me/made"), crowds=crowds), run("m2", model=facts("me/made", Quantization.NF4))]))
    return path


@pytest.fixture
def bench_page(kept_pages: KeptPages, bench_app: str) -> Page:
    """The Benchmark tab, with what the test before left in it."""
    page = kept_pages.at(bench_app)
    wait_for_model(page)
    open_benchmark(page)
    return page


def open_box(page: Page, name: str, inside: str) -> None:
    if not page.locator(inside).is_visible():
        page.get_by_role("button", name=name).click()
    expect(page.locator(inside)).to_be_visible()


def open_benchmark(page: Page) -> None:
    page.get_by_role("tab", name="Benchmark").click()
    expect(page.locator("#mc-bench-history h2")).to_be_visible()


def choose_sizes(page: Page, prompt: int = 32, new: int = 16, repetitions: int = 1) -> None:
    for label, value in (("Prompt tokens", prompt), ("Generated tokens", new), ("Repetitions", repetitions)):
        page.get_by_label(label).fill(str(value))


def rows(page: Page) -> Locator:
    return page.locator(".mc-history tbody tr")


def import_runs(page: Page, path: Path) -> None:
    """Import runs of me/made, and list only those."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Import JSON").click()
    chooser.value.set_files(path)
    expect(page.locator(".mc-toast")).to_contain_text("Runs in the file: 2")
    page.locator("#mc-bench-filter").get_by_label("Model").fill("me/made")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(2)


def tick_all(page: Page) -> None:
    for box in rows(page).locator("input").all():
        box.check()


def fits(page: Page) -> bool:
    """Whether nothing is cut off at the right; tables and reports have scroll bars of their own."""
    return bool(page.evaluate("""() => [...document.querySelectorAll('.mc-bench *, #mc-jobs *, dialog, dialog *')].every(element =>
        element.getBoundingClientRect().right <= innerWidth + 1 || element.closest('.mc-scroll, pre'))"""))


def test_on_a_phone_the_empty_tab_offers_its_first_measurement_once(visit: Visit, bench_app: str) -> None:
    page = visit(bench_app, viewport={"width": 390, "height": 844})
    open_benchmark(page)
    expect(page.locator(".mc-bench-empty")).to_contain_text("How fast is this model on this machine?")
    expect(page.get_by_role("button", name="Measure the loaded model")).to_have_count(1)


def test_the_empty_tab_offers_a_first_measurement_and_refuses_no_sizes(bench_page: Page) -> None:
    page = bench_page
    assert violations(page) == []
    page.get_by_label("Prompt tokens").fill("")
    page.locator("#mc-bench-result").get_by_role("button", name="Measure the loaded model").click()
    expect(page.locator("#mc-bench-speed-problem")).to_contain_text("must each be a number")
    page.get_by_label("Prompt tokens").fill("900000")
    page.locator("#mc-bench-speed").click()
    expect(page.locator("#mc-bench-now")).to_contain_text("Measure fewer tokens", timeout=WORK_MS)
    expect(page.get_by_label("Prompt tokens")).to_have_value("900000")


def test_a_speed_run_with_visitors_ends_in_a_table_and_a_curve(bench_page: Page) -> None:
    page = bench_page
    before = rows(page).count()
    choose_sizes(page)
    for level in ("1", "2"):
        page.locator("#mc-bench-levels").get_by_label(level, exact=True).check()
    page.locator("#mc-bench-speed").click()
    expect(page.locator(".mc-now progress")).to_be_visible()
    expect(page.locator("#mc-jobs .mc-job[data-state=running]")).to_contain_text("Speed: Built-in guide")
    expect(page.locator("#mc-bench-result")).to_contain_text("Prompt processing, 32 tokens (pp)", timeout=WORK_MS)
    expect(page.locator("#mc-bench-result")).to_contain_text("Time to first token (TTFT)")
    expect(page.locator("#mc-bench-plot [role=img]")).to_have_attribute("aria-label", re.compile("2 visitors: .* tok/s"))
    expect(page.locator("#mc-bench-now")).to_be_hidden()
    expect(rows(page)).to_have_count(before + 1)


def test_a_sweep_survives_a_reload_is_cancelled_resumed_and_ends(bench_page: Page) -> None:
    page = bench_page
    before = rows(page).count()
    for level in ("1", "2"):
        page.locator("#mc-bench-levels").get_by_label(level, exact=True).uncheck()
    choose_sizes(page, prompt=64, new=32, repetitions=1)
    open_box(page, "Sweep", "#mc-bench-quantizations")
    page.locator("#mc-bench-quantizations").get_by_label("NF4").check()
    expect(page.locator("#mc-bench-sweep")).to_have_text("Measure combinations: 2")
    page.locator("#mc-bench-sweep").click()
    expect(page.locator(".mc-now progress")).to_be_visible()
    page.reload()
    open_benchmark(page)
    expect(page.locator(".mc-now")).to_contain_text("Sweep: Built-in guide x not quantized, NF4")
    page.locator("#mc-bench-cancel").click()
    expect(page.locator(".mc-now")).to_contain_text("of 2 combinations were measured and saved")
    page.locator("#mc-jobs .mc-job[data-state=cancelled]").get_by_role("button", name="Resume").click()
    expect(page.locator(".mc-now progress")).to_be_visible()
    expect(rows(page).filter(has_text="NF4")).to_have_count(1, timeout=WORK_MS)
    expect(rows(page)).to_have_count(before + 2)
    expect(page.locator(".mc-now progress")).to_have_count(0, timeout=WORK_MS)
    expect(page.locator("#mc-bench-result")).to_contain_text("NF4")
    expect(page.locator(".mc-chip.is-ready")).to_contain_text("float", timeout=WORK_MS)         # the model from before is back,
    expect(page.locator(".mc-chip.is-ready")).not_to_contain_text("NF4")                        # in whatever this processor computes


def choose_quality(page: Page, name: str) -> None:
    open_box(page, "Quality", "#mc-bench-what")
    page.locator("#mc-bench-what input").click()
    page.get_by_role("option", name=name).click()


def test_questions_are_asked_and_few_of_them_are_smoke_only(bench_page: Page) -> None:
    page = bench_page
    choose_quality(page, "Accuracy on your questions")
    page.locator("#mc-bench-lines textarea").fill('{"prompt": "2 + 2 =", "choices": ["3", "4"], "answer": 1}\n' * 3)
    page.locator("#mc-bench-quality").filter(has_text="Evaluate the loaded model").click()
    expect(page.locator("#mc-bench-result .mc-verdict", has_text="smoke test").first).to_be_visible(timeout=WORK_MS)


def test_an_uploaded_file_of_programming_problems_is_solved_in_the_sandbox(bench_page: Page, tmp_path: Path) -> None:
    problems = [{"task_id": f"made/{number}", "prompt": f"def add(n):\n    \"\"\"n plus {number}.\"\"\"\n", "entry_point": "add",
                 "test": f"def check(candidate):\n    assert candidate(1) == {number + 1}\n"} for number in (1, 2)]
    (tmp_path / "made.jsonl").write_text("\n".join(map(json.dumps, problems)))
    page = bench_page
    choose_quality(page, "Accuracy on your questions")
    expect(page.locator("#mc-bench-lines")).to_contain_text("HumanEval")
    with page.expect_file_chooser() as chooser:
        page.locator("#mc-bench-upload").click()
    chooser.value.set_files(tmp_path / "made.jsonl")
    expect(page.locator("#mc-bench-file")).to_contain_text("made.jsonl")
    page.locator("#mc-bench-quality").click()
    scores = page.locator("#mc-bench-result tbody tr", has=page.get_by_role("rowheader", name="made"))
    expect(scores).to_have_count(2, timeout=WORK_MS)
    for row, metric in zip(scores.all(), ("pass@1", "pass@1 with repairs"), strict=True):       # how many it solves is the model's matter
        share = re.compile(r"^[01][.][05]+$")
        expect(row.get_by_role("cell")).to_have_text([metric, share, re.compile("^± "), re.compile(r"^2\s*smoke test$")])


def test_tasks_of_lm_eval_are_named_and_nothing_else_is_asked_for(visit: Visit, bench_app: str) -> None:
    page = visit(bench_app)
    open_benchmark(page)
    choose_quality(page, "lm-eval")
    expect(page.get_by_label("Samples per task")).to_have_value("100")
    for gone in ("text", "lines", "upload"):
        expect(page.locator(f"#mc-bench-{gone}")).to_be_hidden()
    page.get_by_label("Task names").fill("../tasks")
    page.locator("#mc-bench-quality").click()
    expect(page.locator("#mc-bench-quality-problem")).to_contain_text(re.compile(r"a name of letters|pip install"))
    page.locator("#mc-language").select_option("tr")        # the button goes on saying what is chosen
    expect(page.locator("#mc-bench-quality")).to_have_text(text("tr", "bench.start.names"))


def test_two_answers_are_voted_on_blindly(bench_page: Page) -> None:
    page = bench_page
    open_box(page, "Blind comparison", "#mc-bench-asked")
    page.get_by_label("Message for both").fill("Say hello.")
    page.locator("#mc-bench-duel").click()
    vote = page.get_by_role("button", name="Left is better")
    expect(vote).to_be_visible(timeout=WORK_MS)
    expect(page.locator("#mc-bench-now")).not_to_contain_text("nf4")
    assert violations(page) == []
    vote.click()
    expect(page.locator("#mc-bench-now")).to_contain_text("nf4")
    expect(page.locator("#mc-bench-ratings")).to_contain_text("1,016")


def test_two_runs_are_compared_exported_deleted_and_imported_by_another_visitor(visit: Visit, bench_app: str, made: Path,
                                                                                tmp_path: Path) -> None:
    page = visit(bench_app)
    open_benchmark(page)
    import_runs(page, made)
    compare = page.get_by_role("button", name="Compare two")
    expect(compare).to_be_disabled()
    tick_all(page)
    compare.click()
    expect(page.locator(".mc-panel")).to_contain_text("model.quantization")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export JSON").click()
    download.value.save_as(tmp_path / "laptop.json")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete the selected runs (2)?").get_by_role("button", name="Delete").click()
    expect(page.locator("#mc-bench-history")).to_contain_text("No runs match")

    other = visit(bench_app)
    open_benchmark(other)
    import_runs(other, tmp_path / "laptop.json")
    expect(rows(other).filter(has_text="laptop")).to_have_count(2)


@pytest.mark.parametrize("screen", SCREENS)
def test_the_tab_is_accessible_and_fits_its_screen(visit: Visit, bench_app: str, made: Path, screen: str) -> None:
    page = visit(bench_app, **SCREENS[screen])
    wait_for_model(page)
    open_benchmark(page)
    import_runs(page, made)
    found, too_wide = {}, []

    def look(state: str) -> None:
        if bad := violations(page):
            found[state] = bad
        if not fits(page):
            too_wide.append(state)

    expect(page.locator("#mc-bench-plot [role=img]")).to_be_visible()
    for name in ("Sweep", "Quality", "Blind"):
        page.get_by_role("button", name=re.compile(name)).first.click()
    expect(page.locator("#mc-bench-quality")).to_be_visible()
    page.locator("#mc-bench-quality").click()
    expect(page.locator("#mc-bench-quality-problem")).to_contain_text("Paste a text")
    tick_all(page)
    page.get_by_role("button", name="Compare two").click()
    expect(page.locator(".mc-panel")).to_be_visible()
    page.get_by_label("Show published numbers").check()
    expect(page.locator(".is-published").first).to_be_visible()
    look("forms, problem, comparison and published numbers")
    page.get_by_role("button", name="Issue report").click()
    expect(page.locator(".mc-report")).to_be_visible()
    page.locator("#mc-bench-speed").click()
    expect(page.locator(".mc-now progress")).to_be_visible()
    look("report and work in progress")
    page.locator("#mc-bench-cancel").click()
    expect(page.locator(".mc-now")).to_contain_text("Cancelled")
    assert (found, too_wide) == ({}, [])
