"""What the buttons of the Benchmark tab do to a page's session, with the engine's own history."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from engine import Library
from engine.benchmark import BlindComparison, ComparisonSide
from engine.errors import InvalidRequest, NoModelLoaded, NotPermitted
from engine.library import Visitor
from ui.benchmark.actions import import_runs, perform
from ui.benchmark.panels import BenchmarkPanels
from ui.benchmark.session import BenchmarkSession
from ui.benchmark.start import Sizes, start_blind_comparison, start_quality, start_speed, start_sweep
from ui.shared.actions import Click
from ui.shared.context import Context, build_services
from ui.shared.errors import PageError

from ..scripted_engine import FAILED, ScriptedEngine
from .made_runs import BAD, quality, run

SIZES = Sizes(32, 16, 1)
Open = Callable[..., Context]


@pytest.fixture
def open_context(tmp_path: Path) -> Iterator[Open]:
    opened: list[Library] = []

    def start(*, is_public: bool = False) -> Context:
        engine = ScriptedEngine(status=FAILED, data_dir=tmp_path)       # no model is loaded
        engine.settings = replace(engine.settings, is_public=is_public)
        services = build_services(engine)  # type: ignore[arg-type]
        opened.append(services.library)
        return replace(Context.of(services, None), visitor=Visitor("me"))

    yield start
    for library in opened:
        library.jobs.close()


@pytest.fixture
def context(open_context: Open) -> Context:
    context = open_context()
    context.benchmarks.history.add([run("a1", 1e9), run("b2", 2e9), quality("c3", at=1.5e9)])
    return context


def click(name: str | None, value: str) -> Click:
    return Click(str(name), value, value)


def panels(context: Context, session: BenchmarkSession, language: str = "en") -> dict[str, Any]:
    return BenchmarkPanels(replace(context, language=language), session).contents()


@pytest.fixture
def session() -> BenchmarkSession:
    return BenchmarkSession()


def test_a_measurement_without_a_model_is_refused_below_its_form(context: Context, session: BenchmarkSession) -> None:
    start_speed(context, session, SIZES, [1, 2])
    assert isinstance(session.problems["speed"], NoModelLoaded)


@pytest.mark.parametrize("sizes", [Sizes(None, 16, 1), Sizes(32, 0, 1)])
def test_empty_sizes_are_named(context: Context, session: BenchmarkSession, sizes: Sizes) -> None:
    start_speed(context, session, sizes, [])
    assert str(session.problems["speed"]) == "bench.sizes.missing"


def test_sizes_beyond_their_range_are_refused_by_the_engine(context: Context, session: BenchmarkSession) -> None:
    start_speed(context, session, Sizes(32, 1, 1), [])
    assert isinstance(session.problems["speed"], InvalidRequest)


@pytest.mark.parametrize("chosen", [([], ["none"], [0]), (["builtin"], [], [0]), (["builtin"], ["none"], []), (["../etc"], ["none"], [0])])
def test_a_sweep_needs_a_model_a_quantization_and_a_context(
        context: Context, session: BenchmarkSession, chosen: tuple[list[object], ...]) -> None:
    start_sweep(context, session, SIZES, *chosen, "wait")
    assert str(session.problems["sweep"]) == "bench.sweep.nothing"


def test_quality_without_a_text_says_what_is_missing(context: Context, session: BenchmarkSession) -> None:
    start_quality(context, session, "perplexity", "  ")
    assert str(session.problems["quality"]) == "bench.quality.nothing"


def test_a_line_that_is_not_a_question_is_named(context: Context, session: BenchmarkSession) -> None:
    start_quality(context, session, "task", "not json")
    assert "line 1" in str(session.problems["quality"])


@pytest.mark.parametrize(("typed", "limit", "why"), [
    (" , ", 100, "bench.names.nothing"), ("../etc/passwd", 100, "a name of letters"), ("arc_*", 100, "a name of letters"),
    ("arc_easy", 0, "at least 1"), (" ".join(f"task{number}" for number in range(21)), 100, "at most 20")])
def test_only_names_are_passed_to_lm_eval(context: Context, session: BenchmarkSession, typed: str, limit: int, why: str,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.benchmark.start.has_harness", lambda: True)
    start_quality(context, session, "names", typed, limit)
    assert why in str(session.problems["quality"])


def test_without_lm_eval_its_tasks_say_how_to_install_it(context: Context, session: BenchmarkSession,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)       # as where it is not installed
    start_quality(context, session, "names", "arc_easy, hellaswag")
    assert str(session.problems["quality"]) == "bench.names.missing"


def test_an_uploaded_file_comes_before_the_line_and_can_be_dropped(context: Context, session: BenchmarkSession, tmp_path: Path) -> None:
    session.upload = tmp_path / "broken.jsonl"
    session.upload.write_text("{}")
    start_quality(context, session, "task", "typed")
    assert "line 1" in str(session.problems["quality"])
    perform(context, session, click("drop-file", ""))
    assert session.upload is None


@pytest.mark.parametrize("start", [
    lambda context, session: start_speed(context, session, SIZES, []),
    lambda context, session: start_sweep(context, session, SIZES, ["builtin"], ["none"], [0], "wait"),
    lambda context, session: start_quality(context, session, "perplexity", "some text"),
    lambda context, session: start_quality(context, session, "names", "arc_easy"),
    lambda context, session: start_blind_comparison(context, session, "Hi", "none builtin", "nf4 builtin"),
    lambda context, session: perform(context, session, click("clear-votes", "")),
    lambda context, session: perform(context, session, click("delete", "a1")),
    lambda context, session: import_runs(context, session, __file__)],
    ids=["speed", "sweep", "quality", "names", "duel", "votes", "delete", "import"])
def test_an_anonymous_visitor_cannot_change_anything(open_context: Open, session: BenchmarkSession,
                                                     start: Callable[[Context, BenchmarkSession], object]) -> None:
    context = open_context(is_public=True)
    context.benchmarks.history.add([run("a1")])
    start(context, session)
    assert [type(error) for error in session.problems.values()] == [NotPermitted]
    assert len(context.benchmarks.history.list()) == 1


@pytest.mark.parametrize(("language", "words"), [("en", "only the operator"), ("tr", "yalnızca işletmeci"), ("zh", "只有管理员")])
def test_a_refusal_to_measure_is_in_the_language_of_the_page(open_context: Open, session: BenchmarkSession, language: str,
                                                             words: str) -> None:
    context = open_context(is_public=True)
    start_speed(context, session, SIZES, [])
    assert words in panels(context, session, language)["problems"][0]


def test_an_anonymous_visitor_can_look_and_export(open_context: Open, session: BenchmarkSession) -> None:
    context = open_context(is_public=True)
    context.benchmarks.history.add([run("a1")])
    assert "mindcubes-benchmark.csv" in perform(context, session, click("export-csv", ""))


def message_of(result: str) -> dict[str, str]:
    import html

    return dict(json.loads(html.unescape(result.split('data-message="', 1)[1].rsplit('"', 1)[0])))


@pytest.mark.parametrize(("form", "name"), [("json", "json"), ("csv", "csv"), ("markdown", "md")])
def test_runs_are_exported_in_every_format(context: Context, session: BenchmarkSession, form: str, name: str) -> None:
    message = message_of(perform(context, session, click(f"export-{form}", "a1")))
    assert (message["kind"], message["name"]) == ("download", f"mindcubes-benchmark.{name}")
    assert "pp32" in message["text"]


def test_if_nothing_is_selected_all_listed_runs_are_exported(context: Context, session: BenchmarkSession) -> None:
    session.kind = "speed"
    rows = json.loads(message_of(perform(context, session, click("export-json", "")))["text"])
    assert {row["run_uid"] for row in rows} == {"a1", "b2"}


def test_an_export_is_imported_under_the_name_of_its_file(context: Context, session: BenchmarkSession, tmp_path: Path) -> None:
    text = message_of(perform(context, session, click("export-json", "a1")))["text"].replace("a1", "f9")
    (tmp_path / "laptop.json").write_text(text)
    assert import_runs(context, session, str(tmp_path / "laptop.json")) == 1
    assert context.benchmarks.history.get("f9").origin == "laptop"


def test_a_file_that_is_not_an_export_is_refused_with_a_reason(context: Context, session: BenchmarkSession, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[]")
    assert import_runs(context, session, str(tmp_path / "other.json")) == 0
    assert isinstance(session.problems["history"], InvalidRequest)


def test_the_newer_run_is_compared_with_the_older(context: Context, session: BenchmarkSession) -> None:
    perform(context, session, click("compare", "b2 a1"))
    assert (session.panel, session.panel_uids) == ("compare", ("a1", "b2"))


@pytest.mark.parametrize("value", ["a1", "a1 b2 c3", ""])
def test_only_two_runs_can_be_compared(context: Context, session: BenchmarkSession, value: str) -> None:
    perform(context, session, click("compare", value))
    assert str(session.problems["history"]) == "bench.compare.two"


def test_only_the_selected_runs_are_deleted(context: Context, session: BenchmarkSession) -> None:
    perform(context, session, click("delete", "a1 c3"))
    assert ([each.uid for each in context.benchmarks.history.list()], session.ticked) == (["b2"], ())


@pytest.mark.parametrize("name", ["nothing", "", None, "_delete"])
def test_a_button_that_does_not_exist_does_nothing(context: Context, session: BenchmarkSession, name: str | None) -> None:
    perform(context, session, click(name, "a1"))
    assert isinstance(session.problems["history"], PageError)


@pytest.mark.parametrize("name", ["show", "resume", "cancel", "hide"])
@pytest.mark.parametrize("value", ["999", "gone", "'; DROP"])
def test_a_run_or_job_that_no_longer_exists_is_reported(context: Context, session: BenchmarkSession, name: str, value: str) -> None:
    perform(context, session, click(name, value))
    assert session.problems


def test_if_the_shown_run_is_deleted_on_another_page_the_newest_is_shown(context: Context, session: BenchmarkSession) -> None:
    session.shown = "gone"
    contents = panels(context, session)
    assert (session.shown, "2033-05-18" in contents["history"]) == ("", True)


def test_a_run_of_quality_is_shown_beside_others_of_its_kind(context: Context, session: BenchmarkSession) -> None:
    context.benchmarks.history.add([quality("d4", at=1.6e9)])
    pictures = []
    for shown in ("c3", "a1"):
        perform(context, session, click("show", shown))
        pictures.append(panels(context, session)["plot"])
    assert ["by size of weights" in each for each in pictures] == [True, False]
    assert "Generation speed by peak memory" in pictures[1]


# --- blind comparison ---

@pytest.mark.parametrize(("asked", "first", "second", "why"), [
    (" ", "none builtin", "nf4 builtin", "bench.duel.nothing"), ("Hi", "none builtin", "none builtin", "bench.duel.same"),
    ("Hi", "none ../etc", "nf4 builtin", "error.gone"), ("Hi", "int3 builtin", "nf4 builtin", "error.gone")])
def test_a_blind_comparison_needs_a_prompt_and_two_different_models(
        context: Context, session: BenchmarkSession, asked: str, first: str, second: str, why: str) -> None:
    start_blind_comparison(context, session, asked, first, second)
    assert str(session.problems["duel"]) == why


def finished_comparison(context: Context) -> int:
    """A blind comparison with two answers, as the engine stores it."""
    comparison = BlindComparison("Hi", ComparisonSide("big, none", "Hello"), ComparisonSide("small, nf4", BAD))
    job = context.library.jobs.start("duel", "blind: Hi", lambda progress: json.dumps(asdict(comparison)), "me")
    return list(context.library.jobs.follow(job.id))[-1].id


def test_a_blind_comparison_names_the_models_only_after_its_one_vote(context: Context, session: BenchmarkSession) -> None:
    job_id = finished_comparison(context)
    before = panels(context, session)["now"]
    assert ("Left is better" in before, "big, none" in before, "<img" in before) == (True, False, False)
    perform(context, session, click("vote", f"{job_id} 1"))
    after = panels(context, session)
    assert ("big, none" in after["now"], "1,016" in after["ratings"]) == (True, True)
    perform(context, session, click("vote", f"{job_id} 1"))
    assert str(session.problems["history"]) == "error.gone"
    assert sum(each.votes for each in context.benchmarks.ratings()) == 2


@pytest.mark.parametrize("value", ["", "7", "7 1", "7 9", "x 0.5"])
def test_an_invalid_vote_is_not_counted(context: Context, session: BenchmarkSession, value: str) -> None:
    finished_comparison(context)
    perform(context, session, click("vote", value))
    assert context.benchmarks.ratings() == ()
