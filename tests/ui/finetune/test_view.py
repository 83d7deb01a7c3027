"""What the Fine-tune tab shows of tables, examples and runs, as HTML."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import get_args

import pytest

import engine.finetune
import engine.formats
from engine.finetune import ERRORS, PARTS, ROLES, WARNINGS, Metrics, Phase, Piece, Problem, Report, TableRefused, Value
from engine.models import Verdict
from ui.finetune import curves, estimate_view, map_view, result_view, run_view, stepper, uses_view
from ui.finetune.parts import NUMBERS
from ui.shared.errors import sentence
from ui.shared.language import LANGUAGES, has_text, text

from .made_runs import DONE, ESTIMATE, FAILED, GIB, RUNNING, metrics

FOLDERS = [Path(each.__file__).parent for each in (engine.finetune, engine.formats)]
REPORT = Report((), {}, {"good": 30, "bad": 10}, ((10, 0), (20, 30), (30, 10)), "tokens", 28, 40, 0, 36, 4)


# --- texts ---

@pytest.mark.parametrize("language", list(LANGUAGES))
def test_every_kind_of_problem_has_a_sentence_with_its_row_and_values(language: str) -> None:
    for kind, known in {**ERRORS, **WARNINGS}.items():
        values = dict.fromkeys(re.findall(r"{(\w+)}", known), 7)
        shown = map_view.problem_text(Problem(kind, 3, "review", values), language)
        assert "review" in shown
        assert "3" in shown
        assert shown.count("7") == len(values)


def test_every_reason_why_a_file_is_refused_has_a_sentence_in_every_language() -> None:
    source = "".join(path.read_text("utf-8") for folder in FOLDERS for path in folder.rglob("*.py"))
    kinds = set(re.findall(r'(?:Unreadable|TableRefused)\((?:\w+\.?\w*, )?"([a-z]+)"', source))
    assert len(kinds) > 10
    assert {kind for kind in kinds if not has_text(f"error.TableRefused.{kind}")} == set()
    shown = sentence(TableRefused("a.csv", "cells", "it has 3 cells", "Complete it.", row=4, column="text"), "tr")
    assert all(part in shown for part in ("a.csv", "4", "text", text("tr", "error.TableRefused.cells")))


def test_every_choice_and_state_has_a_text() -> None:
    roles = {role.key for each in ROLES.values() for role in each}
    keys = [*(f"tune.role.{role}" for role in roles), *(f"tune.part.{part}" for part in PARTS),
            *(f"tune.option.{key}.info" for key in NUMBERS), *(f"tune.task.{task}" for task in ROLES),
            *(f"tune.phase.{phase}" for phase in get_args(Phase) if phase)]
    assert [key for key in keys if not has_text(key)] == []


# --- steps ---

def test_a_step_that_cannot_be_shown_yet_is_disabled() -> None:
    shown = stepper.stepper_html("map", ["data", "map"], "en")
    assert re.findall(r'data-value="(\w+)" aria-current="step"', shown) == ["map"]
    assert re.findall(r'data-value="(\w+)" disabled', shown) == ["model", "run", "result"]


# --- examples ---

def test_what_is_trained_is_marked_and_labels_are_written() -> None:
    shown = map_view.example_html([Piece("<q>"), Piece("an answer", True)], 0, 3, "en")
    assert "<span>&lt;q&gt;</span><mark>an answer</mark>" in shown
    tagged = map_view.example_html([Piece("Ada", True, "B-PER"), Piece(" wrote")], 1, 3, "en")
    assert "<mark>Ada<small>B-PER</small></mark><span> wrote</span>" in tagged
    assert "<mark>Learned: good</mark>" in map_view.example_html([Piece("fine"), Piece("", True, "good")], 2, 3, "en")


def test_the_first_and_the_last_example_have_no_button_beyond_them() -> None:
    ends = [re.findall(r'data-value="(\w+)" disabled', map_view.example_html([Piece("a")], at, 2, "en")) for at in (0, 1)]
    assert ends == [["previous"], ["next"]]


def test_labels_are_bars_and_empty_ranges_of_length_are_left_out_at_the_start() -> None:
    shown = map_view.spread_html(REPORT, "en")
    assert re.findall(r'<th scope="row">([^<]+)</th><td><i style="width:([\d.]+)%', shown) == [
        ("good", "100.0"), ("bad", "33.3"), ("10–19", "100.0"), ("20–29", "33.3")]


def test_problems_are_counted_by_kind_and_the_first_ones_named() -> None:
    problems = (*(Problem("empty", row, "review") for row in range(1, 6)), Problem("duplicate", 9, "", {"first": 2}))
    shown = map_view.problems_html(replace(REPORT, problems=problems, totals={"empty": 12, "duplicate": 1}), "en")
    assert "12 left out" in shown
    assert "1 to check" in shown
    assert shown.count("the cell is empty") == 3
    assert "and 9 more" in shown


# --- estimate ---

def test_an_estimate_shows_its_parts_beside_what_is_free() -> None:
    shown = estimate_view.estimate_html(ESTIMATE, "en")
    assert "Fits · 2.0 GiB" in shown
    assert 'class="is-weights" style="width:25.00%"' in shown
    assert "Weights 1.0 GiB" in shown
    assert "about 2 min" in shown


def test_what_does_not_fit_says_what_helps_with_a_button() -> None:
    too_large = replace(ESTIMATE, verdict=Verdict.TOO_LARGE, free_bytes=GIB, remedy="qlora", must_unload=True)
    shown = estimate_view.estimate_html(too_large, "en")
    assert 'data-do="remedy" data-value="qlora"' in shown
    assert 'role="alert"' in shown
    assert "The chat model is unloaded before the training" in shown


# --- runs ---

def test_a_run_in_progress_shows_its_step_and_the_time_left() -> None:
    shown = run_view.run_html(RUNNING, "en")
    assert '<progress aria-label="Training" max="60" value="30">' in shown
    assert "step 30 of 60 · 44 s left" in shown


def test_a_failed_run_shows_the_reason_its_checkpoint_and_resume() -> None:
    shown = run_view.run_html(FAILED, "tr")
    assert "The loss is &lt;not&gt; a number." in shown
    assert "20. adımın kontrol noktası" in shown
    assert 'data-do="resume"' in shown


def test_curves_speak_their_first_and_last_values() -> None:
    shown = curves.curves_html(RUNNING, "en")
    assert "Training loss from 2.854 at step 1 to 0.669 at step 30" in shown
    assert shown.count("<polyline") == 5        # two losses, the metric, the learning rate, the speed
    assert "Learning rate × 10⁻⁴" in shown
    assert curves.curves_html(replace(RUNNING, points=()), "en") == ""
    assert "Learning rate" in curves.curves_html(replace(RUNNING, points=(replace(RUNNING.points[0], learning_rate=0.0),)), "en")


def test_metrics_before_and_after_are_compared_in_their_direction() -> None:
    shown = result_view.result_html(DONE, "en")
    rows = re.findall(r'<th scope="row">([^<]+)</th><td>([^<]+)</td><td><b>([^<]+)</b></td><td>(.*?)</td>', shown)
    assert [(name, was, now) for name, was, now, _ in rows] == [
        ("F1", "50.0%", "80.0%"), ("Matthews correlation", "0.300", "0.600"), ("Loss", "0.500", "0.200")]
    assert all("better" in change for *_, change in rows)
    worse = result_view.result_html(replace(DONE, before=metrics(0.9)), "en")
    assert worse.count("is-bad") == 3


def test_what_was_measured_on_is_said() -> None:
    def note(**tables: str) -> str:
        return result_view.result_html(replace(DONE, plan=replace(DONE.plan, **tables)), "en")      # type: ignore[arg-type]

    assert "Measured on 20 examples that were not trained." in note()
    assert "of a second file" in note(validation_table="1" * 32)
    assert "how well it learned them by heart" in note(validation_table=DONE.plan.table)


def test_the_confusion_matrix_is_a_picture_and_a_table() -> None:
    shown = result_view.confusion_html(metrics(0.8), "en")
    cells = re.findall(r'<title>([^<]+)</title><rect class="is-(\w+)"', shown)
    assert cells[1] == ("Expected bad, predicted good: 1 (10%)", "wrong")
    assert len(cells) == 4
    assert '<tr><th scope="row">good</th><td>4</td><td>6</td></tr>' in shown
    assert result_view.confusion_html(Metrics("loss", (Value("loss", 1.0),)), "en") == ""


def test_text_of_a_data_set_never_becomes_html() -> None:
    shown = result_view.details_html(DONE, "en")
    assert "&lt;b&gt;fine&lt;/b&gt;, I said" in shown
    assert "<b>fine" not in shown


def test_the_measurement_stands_beside_the_estimate() -> None:
    shown = result_view.measured_html(DONE, "en")
    assert re.findall(r"<td>([^<]+)</td>", shown) == ["2.0 GiB", "1.0 GiB", "50%", "2 min", "2 min", "75%", "40 MB", "41 MB", "102%"]


def test_a_result_offers_what_its_task_and_method_allow() -> None:
    def offered(run: object) -> list[str]:
        return re.findall(r'data-do="(\w+)"', uses_view.uses_html(run, "", "en"))      # type: ignore[arg-type]

    chat = replace(DONE, plan=replace(DONE.plan, task="chat"))
    assert "chat" in offered(chat)
    assert "try" in offered(DONE)
    assert "merge" not in offered(replace(DONE, plan=replace(DONE.plan, method="full")))
    assert "export" not in offered(replace(DONE, has_result=False))


def test_the_list_of_runs_shows_what_each_gained() -> None:
    shown = run_view.runs_html([RUNNING, DONE], UTC, "en")
    assert "F1 50.0% → 80.0%" in shown
    assert shown.count('data-do="delete"') == 1     # not of a run in progress
    assert run_view.runs_html([], UTC, "en") == ""
