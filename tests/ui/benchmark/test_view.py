"""Runs, measurements in progress, history and plots as HTML."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, replace
from datetime import UTC
from typing import get_args

import pytest

from engine import ModelSpec, Quantization
from engine.background import Job
from engine.benchmark import BenchmarkRun, FailedCell, Published, Score, Subject, SweepPlan, published
from engine.benchmark.measure.control import MeasurementPhase
from engine.benchmark.measure.limits import BoundKey
from engine.benchmark.store.history import compare, measurements
from engine.benchmark.sweep import sweep_facts
from engine.storage.runs import JobState
from ui.benchmark.history import comparison_html, history_html, measurement, report_html
from ui.benchmark.plots import beside, crowd_plot, history_plot, quality_plot
from ui.benchmark.view import job_html, result_html
from ui.shared.jobs import DONE_S, strip_html
from ui.shared.language import LANGUAGES, has_text

from ..scripted_engine import READY
from .made_runs import BAD, MACHINE, UNEVEN, crowd, facts, quality, run, score, speed

CROWDS = (crowd(1, 30.0), crowd(2, 50.0), crowd(8, 120.0))
CELL = Subject.of(ModelSpec(quantization=Quantization.NF4))
STEP = json.dumps({"phase": "write", "done": 2, "total": 5, "rate": 31.25, "note": "", "subject": asdict(CELL)})
FACTS = sweep_facts("5", SweepPlan(("builtin",), (Quantization.NONE, Quantization.NF4)))
JOB = Job(7, "sweep", "Built-in guide x none, nf4", "me", "running", done=1, total=3, unit="cells", note=STEP, updated=time.time() + 3600,
          facts=FACTS)


def history(*runs: object, **changes: object) -> str:
    known = {"published": (), "ticked": (), "shown": "", "zone": UTC, "language": "en", "may_edit": True, **changes}
    return history_html(runs, **known)  # type: ignore[arg-type]


# --- one run ---

@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("each", [run(), run(crowds=CROWDS), quality(), run(speed=None, crowds=CROWDS), run(load_s=None, origin="laptop")])
def test_every_kind_of_run_is_shown_in_every_language(each: object, language: str) -> None:
    assert "mc-numbers" in result_html(each, UTC, language)  # type: ignore[arg-type]


def test_a_run_shows_mean_deviation_waiting_times_memory_and_share() -> None:
    shown = result_html(run(), UTC, "en")
    for word in ("100 tok/s", "± 1.00", "25 ms", "9.0 ms / 19 ms", "500 ms", "1.0 GiB", "25%", "only 25% of the measured 20 GB/s"):
        assert word in shown


def test_only_a_spread_over_five_per_cent_is_called_noisy() -> None:
    assert ("noisy" in result_html(run(speed=speed(write=UNEVEN)), UTC, "en"), "noisy" in result_html(run(), UTC, "en")) == (True, False)


@pytest.mark.parametrize(("samples", "expected"), [(20, True), (50, False)])
def test_fewer_than_fifty_samples_are_marked_as_a_smoke_test(samples: int, expected: bool) -> None:
    assert ("smoke test" in result_html(quality(scores=(score(samples),)), UTC, "en")) is expected


@pytest.mark.parametrize("each", [
    run(model=facts(BAD), origin=BAD, environment=replace(MACHINE, cpu=BAD, torch=BAD)), quality(scores=(score(task=BAD),))])
def test_text_of_an_import_never_becomes_markup(each: object) -> None:
    report = report_html([each], "en")  # type: ignore[list-item]
    plots = history_plot([each, each], published(), "en") + quality_plot([each, each], each, "", "en")  # type: ignore[arg-type,list-item]
    pages = (result_html(each, UTC, "en"), history(each), report, plots,  # type: ignore[arg-type]
             comparison_html(compare(each, run()), UTC, "en"))  # type: ignore[arg-type]
    assert all("<img" not in page for page in pages)


@pytest.mark.parametrize("key", [
    *(f"bench.bound.{each}" for each in get_args(BoundKey)), *(f"bench.phase.{each}" for each in get_args(MeasurementPhase)),
    *(f"bench.job.{each}" for each in ("speed", "sweep", "quality", "cost", "duel"))])
def test_every_name_that_the_engine_may_give_has_a_text(key: str) -> None:
    assert has_text(key)


# --- work in progress ---

@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", get_args(JobState))
@pytest.mark.parametrize("kind", ["speed", "sweep", "quality", "cost"])
def test_a_measurement_of_every_state_is_shown_in_every_language(kind: str, state: JobState, language: str) -> None:
    job = replace(JOB, kind=kind, state=state, error="It broke." if state == "failed" else "")
    assert "Built-in guide" in strip_html([job], READY, "", language)
    assert ("Built-in guide" in job_html(job, (), language)) is (state != "done")


def test_running_work_shows_the_cell_the_phase_and_the_speed() -> None:
    expected = "Built-in guide, NF4 · Token generation 2 / 5 · 31.2 tok/s"
    assert f"1 / 3 combinations · {expected}" in job_html(JOB, (), "en")
    assert expected in strip_html([JOB], READY, "", "en")


@pytest.mark.parametrize("shown", [strip_html([JOB], READY, "", "tr"), job_html(JOB, (), "tr")])
def test_a_title_follows_the_language(shown: str) -> None:
    assert "Tarama: Built-in guide x nicemlenmemiş, NF4, pp512 tg128" in shown


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_job_of_an_earlier_version_shows_its_title_as_it_is(language: str) -> None:
    old = replace(JOB, facts='{"sweep": "5", "plan": {}}', note='{"part": "x", "phase": "write", "done": 2, "total": 5, "rate": 1.0}')
    assert "Built-in guide x none, nf4" in strip_html([old], READY, "", language)
    failed = job_html(replace(old, state="done", note=""), (FailedCell("tiny, none", "It broke."),), language)
    assert "tiny, none: It broke." in failed


def test_the_prompt_of_a_blind_comparison_is_not_translated() -> None:
    job = replace(JOB, kind="duel", title="say it in nf4, none", facts="")
    assert "say it in nf4" in job_html(job, (), "tr")


@pytest.mark.parametrize(("kind", "state", "acts"), [
    ("sweep", "running", ["cancel"]), ("sweep", "cancelled", ["resume", "hide"]), ("speed", "cancelled", ["hide"])])
def test_the_strip_offers_what_can_be_done(kind: str, state: JobState, acts: list[str]) -> None:
    strip = strip_html([replace(JOB, kind=kind, state=state)], READY, "", "en")
    assert [part.split('"')[0] for part in strip.split('data-do="')[1:]] == acts
    assert strip.count('data-tab="bench"') == len(acts)


def test_a_finished_measurement_soon_leaves_the_strip() -> None:
    assert strip_html([replace(JOB, state="done", updated=time.time() - DONE_S - 1)], READY, "", "en") == ""


def test_a_finished_sweep_names_the_cells_that_failed_and_offers_them_again() -> None:
    shown = job_html(replace(JOB, state="done"), (FailedCell("tiny, nf4", BAD, CELL),), "en")
    assert ("Built-in guide, NF4: " in shown, "Resume" in shown, "<img" in shown) == (True, True, False)


# --- history ---

def test_an_empty_history_explains_what_it_is_for() -> None:
    assert ("Every run is kept here" in history(), "Change the filters" in history(is_filtered=True)) == (True, True)


def test_only_two_ticked_runs_can_be_compared() -> None:
    off = ['data-do="compare"' in part and " disabled" in part for ticked in ((), ("a1",), ("a1", "b2"))
           for part in [history(run("a1"), run("b2"), ticked=ticked).split("Compare two")[0].rsplit("<button", 1)[1]]]
    assert off == [True, True, False]


def test_deleting_asks_for_confirmation_with_the_number_of_runs() -> None:
    shown = history(run("a1"), run("b2"), ticked=("a1", "b2"))
    assert 'data-confirm="Delete the selected runs (2)?"' in shown


def test_visitors_who_may_not_edit_get_no_delete_button() -> None:
    assert 'data-do="delete"' not in history(run(), may_edit=False)


def test_published_numbers_link_to_their_sources() -> None:
    shown = history(published=published())
    assert shown.count('rel="noopener noreferrer"') == len(published())
    assert 'href="https://github.com/pytorch-labs/gpt-fast"' in shown


def test_a_comparison_shows_ratio_direction_and_differences() -> None:
    other = run("b2", model=facts(quantization=Quantization.NF4), speed=speed(write=UNEVEN), crowds=CROWDS)
    shown = comparison_html(compare(run(crowds=CROWDS), other), UTC, "en")
    for word in ("0.50x worse", "1.00x the same", "model.quantization", "<del>none</del>", "<ins>nf4</ins>", "Throughput, 8 visitors"):
        assert word in shown


def test_every_measurement_has_a_name() -> None:
    whole = run(crowds=CROWDS, load_peak_bytes=5)
    assert [name for name in measurements(whole) if measurement(name, "en") == name] == []


# --- plots ---

def test_a_plot_has_its_numbers_as_text_for_screen_readers() -> None:
    plot = crowd_plot(CROWDS, "en")
    assert 'role="img"' in plot
    assert "1 visitors: 30.0 tok/s; 2 visitors: 50.0 tok/s; 8 visitors: 120 tok/s" in plot


def test_every_point_lies_inside_the_plot() -> None:
    plot = history_plot([run("a"), run("b", speed=speed(write=UNEVEN)), run("c", model=facts(quantization=Quantization.NF4))], (), "en")
    assert plot.count('class="mc-point is-') == 3 + 2       # points and legend
    assert all(0 <= place <= 100 for place in places(plot))


def places(plot: str) -> list[float]:
    """Positions of everything in the plot, in per cent from the left and from the bottom."""
    return [float(part.split("%")[0]) for part in plot.replace("bottom:", "left:").split("left:")[1:]]


def test_a_single_run_is_not_plotted() -> None:
    assert history_plot([run(), quality()], (), "en") == ""


def other(value: float, model: str = "Big-8B", quantization: Quantization = Quantization.NONE) -> Published:
    return Published("write_rate", model, quantization, "GPU of others", "some 1.0", value, "tok/s", "https://example.org/page (a table)")


@pytest.mark.parametrize(("model", "expected"), [
    ("meta-llama/Llama-3.1-8B-Instruct", True), ("Llama-3.1-8b", True), ("Llama-3.1-70B", False), ("Llama-3.1-8B-Code", False)])
def test_a_published_number_applies_to_every_model_with_the_same_shape(model: str, expected: bool) -> None:
    assert other(1.0, "Llama-3.1-8B").is_of(model) is expected


def test_published_values_of_the_same_model_and_quantization_come_first() -> None:
    mine = run(model=facts("me/Big-8B", Quantization.NF4))
    same = other(50.0, quantization=Quantization.NF4)
    assert beside([mine], [other(100.0), same, other(100.0, "Small-1B")]) == [same]


def test_without_the_same_model_the_published_values_nearest_in_speed_are_shown() -> None:
    numbers = [other(value, "Other-8B") for value in (1.0, 90.0, 1_000.0, 40.0, 300.0)]
    assert [each.value for each in beside([run()], numbers)] == [300.0, 90.0, 40.0]        # 100 tok/s is ours


@pytest.mark.parametrize(("value", "words", "lines"), [(150.0, "", 1), (900.0, "above this chart", 0), (3.0, "below this chart", 0)])
def test_a_published_value_far_from_our_own_runs_is_listed_and_not_drawn(value: float, words: str, lines: int) -> None:
    plot = history_plot([run("a"), run("b")], [other(value)], "en")
    assert (plot.count('class="mc-rule"'), words in plot) == (lines, True)
    dots = [float(part.split("bottom:")[1].split("%")[0]) for part in plot.split('class="mc-point is-none" style=')[1:]]
    assert all(40 <= height <= 100 for height in dots)      # not pressed to the ground


def test_lines_that_are_close_share_their_mark() -> None:
    plot = history_plot([run("a"), run("b")], [other(40.0), other(41.0), other(90.0)], "en")
    assert [part.split(">", 1)[1].split("<")[0] for part in plot.split('class="mc-mark"')[1:]] == ["2, 3", "1"]


def test_a_published_value_in_a_plot_links_to_its_source() -> None:
    plot = history_plot([run()], [other(90.0)], "en")
    assert ("https://example.org/page\"" in plot, "GPU of others: 90.0 tok/s" in plot) == (True, True)


def judged(uid: str, value: float, weight_bytes: int, metric: str = "perplexity") -> BenchmarkRun:
    scores = (Score("text", metric, value, 0.1, 500, metric == "acc"),)
    return quality(uid, scores=scores, model=replace(facts(), weight_bytes=weight_bytes))


def test_quality_is_drawn_against_weights_for_the_score_that_most_runs_share() -> None:
    runs = [judged("a", 12.0, 2**33), judged("b", 14.0, 2**31), judged("c", 0.5, 2**31, "acc"), judged("d", 0.6, 2**31, "acc"),
            judged("e", 13.0, 2**32)]
    plot = quality_plot(runs, None, "", "en")
    for words in ("perplexity (text) by size of weights, lower is better", "Weights, GiB", "12.00 ± 0.10 on 500 samples, 8.0 GiB"):
        assert words in plot
    assert plot.count('class="mc-point is-') == 3 + 1
    assert all(0 <= place <= 100 for place in places(plot))


def test_the_chosen_score_is_drawn_or_else_that_of_the_shown_run() -> None:
    runs = [judged("a", 12.0, 2**33), judged("b", 14.0, 2**31), judged("c", 0.5, 2**31, "acc"), judged("d", 0.6, 2**31, "acc")]
    assert "acc (text) by size of weights, higher is better" in quality_plot(runs, runs[2], "", "en")
    assert "perplexity (text) by size of weights" in quality_plot(runs, runs[2], "text\nperplexity", "en")
    assert "acc (text) by size of weights" in quality_plot(runs, runs[2], BAD, "en")


@pytest.mark.parametrize("values", [(0.0, 0.0), (0.75, 0.75), (0.0002, 0.0003), (1e6, 2e6)])
def test_scores_of_every_size_lie_inside_the_plot(values: tuple[float, float]) -> None:
    plot = quality_plot([judged("a", values[0], 2**20), judged("b", values[1], 2**21)], None, "", "en")
    assert "Weights, MiB" in plot
    assert all(0 <= place <= 100 for place in places(plot))


def test_a_score_that_only_one_run_has_is_not_plotted() -> None:
    assert quality_plot([judged("a", 12.0, 2**33), judged("b", 0.5, 2**31, "acc"), judged("c", math.inf, 2**31)], None, "", "en") == ""
