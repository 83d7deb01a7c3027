"""What the buttons of the Benchmark tab do to a page's session, over the engine's own history."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC
from pathlib import Path

import pytest

from engine import Benchmarks, Library
from engine.benchmark import BlindComparison, ComparisonSide
from engine.errors import InvalidRequest, NoModelLoaded, NotPermitted
from engine.library import Visitor
from ui.benchmark.actions import perform, take_in
from ui.benchmark.panels import NOW, Worktop
from ui.benchmark.session import BenchmarkSession
from ui.benchmark.start import Bench, Sizes, start_blind_comparison, start_quality, start_speed, start_sweep
from ui.shared.errors import PageError

from ..scripted_engine import FAILED, ScriptedEngine
from .made_runs import BAD, quality, run

SIZES = Sizes(32, 16, 1)
Open = Callable[..., Bench]


@pytest.fixture
def open_bench(tmp_path: Path) -> Iterator[Open]:
    opened: list[Library] = []

    def start(*, is_public: bool = False) -> Bench:
        engine = ScriptedEngine(status=FAILED, data_dir=tmp_path)       # no model is loaded
        engine.settings = replace(engine.settings, is_public=is_public)
        library = Library(engine)  # type: ignore[arg-type]
        opened.append(library)
        return Bench(Benchmarks(engine, library.jobs), library, Visitor("me"))  # type: ignore[arg-type]

    yield start
    for library in opened:
        library.jobs.close()


@pytest.fixture
def bench(open_bench: Open) -> Bench:
    bench = open_bench()
    bench.benchmarks.history.add([run("a1", 1e9), run("b2", 2e9), quality("c3", at=1.5e9)])
    return bench


@pytest.fixture
def session() -> BenchmarkSession:
    return BenchmarkSession()


def test_measuring_nothing_says_so_where_it_was_asked(bench: Bench, session: BenchmarkSession) -> None:
    start_speed(bench, session, SIZES, [1, 2])
    assert isinstance(session.problems["speed"], NoModelLoaded)


@pytest.mark.parametrize("sizes", [Sizes(None, 16, 1), Sizes(32, 0, 1)])
def test_empty_sizes_are_named(bench: Bench, session: BenchmarkSession, sizes: Sizes) -> None:
    start_speed(bench, session, sizes, [])
    assert str(session.problems["speed"]) == "bench.sizes.missing"


def test_sizes_beyond_their_range_are_refused_by_the_engine(bench: Bench, session: BenchmarkSession) -> None:
    start_speed(bench, session, Sizes(32, 1, 1), [])
    assert isinstance(session.problems["speed"], InvalidRequest)


@pytest.mark.parametrize("chosen", [([], ["none"], [0]), (["builtin"], [], [0]), (["builtin"], ["none"], []), (["../etc"], ["none"], [0])])
def test_a_sweep_needs_something_of_each_kind(bench: Bench, session: BenchmarkSession, chosen: tuple[list[object], ...]) -> None:
    start_sweep(bench, session, SIZES, *chosen, "wait")
    assert str(session.problems["sweep"]) == "bench.sweep.nothing"


def test_quality_without_a_text_says_what_is_missing(bench: Bench, session: BenchmarkSession) -> None:
    start_quality(bench, session, "perplexity", "  ")
    assert str(session.problems["quality"]) == "bench.quality.nothing"


def test_a_line_that_is_no_question_is_named(bench: Bench, session: BenchmarkSession) -> None:
    start_quality(bench, session, "task", "not json")
    assert "line 1" in str(session.problems["quality"])


@pytest.mark.parametrize(("typed", "limit", "why"), [
    (" , ", 100, "bench.names.nothing"), ("../etc/passwd", 100, "a name of letters"), ("arc_*", 100, "a name of letters"),
    ("arc_easy", 0, "at least 1"), (" ".join(f"task{number}" for number in range(21)), 100, "at most 20")])
def test_only_names_reach_lm_eval(bench: Bench, session: BenchmarkSession, typed: str, limit: int, why: str,
                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.benchmark.start.has_harness", lambda: True)
    start_quality(bench, session, "names", typed, limit)
    assert why in str(session.problems["quality"])


def test_without_lm_eval_its_tasks_say_how_to_install_it(bench: Bench, session: BenchmarkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)       # as where it is not installed
    start_quality(bench, session, "names", "arc_easy, hellaswag")
    assert str(session.problems["quality"]) == "bench.names.missing"


def test_an_uploaded_file_comes_before_the_line_and_can_be_dropped(bench: Bench, session: BenchmarkSession, tmp_path: Path) -> None:
    session.upload = tmp_path / "broken.jsonl"
    session.upload.write_text("{}")
    start_quality(bench, session, "task", "typed")
    assert "line 1" in str(session.problems["quality"])
    perform(bench, session, "drop-file", "")
    assert session.upload is None


@pytest.mark.parametrize("start", [
    lambda bench, session: start_speed(bench, session, SIZES, []),
    lambda bench, session: start_sweep(bench, session, SIZES, ["builtin"], ["none"], [0], "wait"),
    lambda bench, session: start_quality(bench, session, "perplexity", "some text"),
    lambda bench, session: start_quality(bench, session, "names", "arc_easy"),
    lambda bench, session: start_blind_comparison(bench, session, "Hi", "none builtin", "nf4 builtin"),
    lambda bench, session: perform(bench, session, "clear-votes", ""),
    lambda bench, session: perform(bench, session, "delete", "a1"),
    lambda bench, session: take_in(bench, session, __file__)],
    ids=["speed", "sweep", "quality", "names", "duel", "votes", "delete", "import"])
def test_a_stranger_on_a_public_page_changes_nothing(open_bench: Open, session: BenchmarkSession,
                                                     start: Callable[[Bench, BenchmarkSession], object]) -> None:
    bench = open_bench(is_public=True)
    bench.benchmarks.history.add([run("a1")])
    start(bench, session)
    assert [type(error) for error in session.problems.values()] == [NotPermitted]
    assert len(bench.benchmarks.history.list()) == 1


@pytest.mark.parametrize(("language", "words"), [("en", "only the operator"), ("tr", "yalnızca işletmeci"), ("zh", "只有管理员")])
def test_who_may_not_measure_reads_so_in_the_language_of_the_page(open_bench: Open, session: BenchmarkSession, language: str,
                                                                  words: str) -> None:
    bench = open_bench(is_public=True)
    start_speed(bench, session, SIZES, [])
    assert words in Worktop(bench, session, UTC, language).row()[1]


def test_a_stranger_may_look_and_export(open_bench: Open, session: BenchmarkSession) -> None:
    bench = open_bench(is_public=True)
    bench.benchmarks.history.add([run("a1")])
    assert "mindcubes-benchmark.csv" in perform(bench, session, "export-csv", "")


def message_of(result: str) -> dict[str, str]:
    import html

    return dict(json.loads(html.unescape(result.split('data-message="', 1)[1].rsplit('"', 1)[0])))


@pytest.mark.parametrize(("form", "name"), [("json", "json"), ("csv", "csv"), ("markdown", "md")])
def test_runs_are_handed_out_in_every_form(bench: Bench, session: BenchmarkSession, form: str, name: str) -> None:
    message = message_of(perform(bench, session, f"export-{form}", "a1"))
    assert (message["kind"], message["name"]) == ("download", f"mindcubes-benchmark.{name}")
    assert "pp32" in message["text"]


def test_with_nothing_ticked_all_that_is_listed_is_exported(bench: Bench, session: BenchmarkSession) -> None:
    session.kind = "speed"
    rows = json.loads(message_of(perform(bench, session, "export-json", ""))["text"])
    assert {row["run_uid"] for row in rows} == {"a1", "b2"}


def test_an_export_is_taken_in_under_its_files_name(bench: Bench, session: BenchmarkSession, tmp_path: Path) -> None:
    text = message_of(perform(bench, session, "export-json", "a1"))["text"].replace("a1", "f9")
    (tmp_path / "laptop.json").write_text(text)
    assert take_in(bench, session, str(tmp_path / "laptop.json")) == 1
    assert bench.benchmarks.history.get("f9").origin == "laptop"


def test_a_file_that_is_no_export_is_refused_in_words(bench: Bench, session: BenchmarkSession, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[]")
    assert take_in(bench, session, str(tmp_path / "other.json")) == 0
    assert isinstance(session.problems["history"], InvalidRequest)


def test_the_older_run_is_what_the_newer_is_compared_with(bench: Bench, session: BenchmarkSession) -> None:
    perform(bench, session, "compare", "b2 a1")
    assert (session.panel, session.panel_uids) == ("compare", ("a1", "b2"))


@pytest.mark.parametrize("value", ["a1", "a1 b2 c3", ""])
def test_other_numbers_than_two_are_not_compared(bench: Bench, session: BenchmarkSession, value: str) -> None:
    perform(bench, session, "compare", value)
    assert str(session.problems["history"]) == "bench.compare.two"


def test_deleting_takes_the_ticked_runs_only(bench: Bench, session: BenchmarkSession) -> None:
    perform(bench, session, "delete", "a1 c3")
    assert ([each.uid for each in bench.benchmarks.history.list()], session.ticked) == (["b2"], ())


@pytest.mark.parametrize("name", ["nothing", "", None, "_delete"])
def test_a_button_that_does_not_exist_does_nothing(bench: Bench, session: BenchmarkSession, name: str | None) -> None:
    perform(bench, session, name, "a1")
    assert isinstance(session.problems["history"], PageError)


@pytest.mark.parametrize("name", ["show", "resume", "cancel", "hide"])
@pytest.mark.parametrize("value", ["999", "gone", "'; DROP"])
def test_what_is_gone_is_a_sentence(bench: Bench, session: BenchmarkSession, name: str, value: str) -> None:
    perform(bench, session, name, value)
    assert session.problems


def test_a_run_that_was_deleted_on_another_page_gives_way_to_the_newest(bench: Bench, session: BenchmarkSession) -> None:
    session.shown = "gone"
    row = Worktop(bench, session, UTC, "en").row()
    assert (session.shown, "2033-05-18" in row[-2]) == ("", True)


def test_a_run_of_quality_is_shown_beside_others_of_its_kind(bench: Bench, session: BenchmarkSession) -> None:
    bench.benchmarks.history.add([quality("d4", at=1.6e9)])
    pictures = []
    for shown in ("c3", "a1"):
        perform(bench, session, "show", shown)
        pictures.append(Worktop(bench, session, UTC, "en").row()[NOW + 3])
    assert ["by size of weights" in each for each in pictures] == [True, False]
    assert "Generation speed by peak memory" in pictures[1]


# --- blind comparison ---

@pytest.mark.parametrize(("asked", "first", "second", "why"), [
    (" ", "none builtin", "nf4 builtin", "bench.duel.nothing"), ("Hi", "none builtin", "none builtin", "bench.duel.same"),
    ("Hi", "none ../etc", "nf4 builtin", "error.gone"), ("Hi", "int3 builtin", "nf4 builtin", "error.gone")])
def test_a_duel_needs_a_question_and_two_different_models(bench: Bench, session: BenchmarkSession, asked: str, first: str, second: str,
                                                          why: str) -> None:
    start_blind_comparison(bench, session, asked, first, second)
    assert str(session.problems["duel"]) == why


def ended_duel(bench: Bench) -> int:
    """Two answers, as the engine keeps them."""
    comparison = BlindComparison("Hi", ComparisonSide("big, none", "Hello"), ComparisonSide("small, nf4", BAD))
    job = bench.library.jobs.start("duel", "blind: Hi", lambda progress: json.dumps(asdict(comparison)), "me")
    return list(bench.library.jobs.follow(job.id))[-1].id


def test_a_duel_says_who_it_was_after_the_vote_only_and_is_voted_on_once(bench: Bench, session: BenchmarkSession) -> None:
    job_id = ended_duel(bench)
    before = Worktop(bench, session, UTC, "en").row()[NOW]
    assert ("Left is better" in before, "big, none" in before, "<img" in before) == (True, False, False)
    perform(bench, session, "vote", f"{job_id} 1")
    after = Worktop(bench, session, UTC, "en").row()
    assert ("big, none" in after[NOW], "1,016" in after[NOW - 1]) == (True, True)
    perform(bench, session, "vote", f"{job_id} 1")
    assert str(session.problems["history"]) == "error.gone"
    assert sum(each.votes for each in bench.benchmarks.ratings()) == 2


@pytest.mark.parametrize("value", ["", "7", "7 1", "7 9", "x 0.5"])
def test_a_vote_that_means_nothing_counts_nothing(bench: Bench, session: BenchmarkSession, value: str) -> None:
    ended_duel(bench)
    perform(bench, session, "vote", value)
    assert bench.benchmarks.ratings() == ()
