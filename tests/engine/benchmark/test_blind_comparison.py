"""Blind comparisons: two answers without names, votes, ratings."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, GenerationOptions, ModelSpec, Quantization, Settings
from engine.background import Jobs
from engine.benchmark.benchmarks import Benchmarks, blind_comparison_of
from engine.benchmark.blind_comparison import BlindComparison, ComparisonSide, Contender, ratings
from engine.errors import InvalidRequest
from engine.library import Visitor
from engine.storage.votes import Vote
from tests.conftest import exhaust

ME = Visitor("me")


def test_a_vote_moves_equals_by_half_a_step() -> None:
    assert [(each.label, each.elo, each.votes, each.wins) for each in ratings([Vote("a", "b", 1.0)])] == [
        ("a", 1016.0, 1, 1), ("b", 984.0, 1, 0)]


def test_an_expected_win_moves_less() -> None:
    # after one win of a: 1016 and 984, so a is expected to win 1 / (1 + 10^(-32 / 400)) = 0.5459 of the time
    first = ratings([Vote("a", "b", 1.0), Vote("a", "b", 1.0)])[0]
    assert first.elo == pytest.approx(1016 + 32 * (1 - 0.54592), abs=0.01)


def test_a_draw_of_equals_changes_nothing() -> None:
    assert {each.elo for each in ratings([Vote("a", "b", 0.5)])} == {1000.0}


def test_two_models_answer_and_a_vote_is_kept(
        new_engine: Callable[..., Engine], settings: Settings, gpt2_folder: Path, llama_folder: Path, tmp_path: Path) -> None:
    engine = new_engine(gpt2_folder, replace(settings, data_dir=tmp_path))
    benchmarks = Benchmarks(engine, Jobs(engine.database))
    pair = (Contender(str(llama_folder)), Contender(str(llama_folder), Quantization.NF4))
    options = GenerationOptions(max_new_tokens=8, temperature=0.0)
    job = exhaust(benchmarks.jobs.follow(benchmarks.start_blind_comparison("print 5", pair, options, ME).id))[-1]
    comparison = blind_comparison_of(job)     # type: ignore[arg-type]
    assert comparison is not None
    assert {comparison.left.label, comparison.right.label} == {"tiny-llama, none", "tiny-llama, nf4"}
    assert comparison.left.text
    assert comparison.right.text
    assert "nf4" not in f"{job.title} {job.log} {job.note}"     # type: ignore[attr-defined]
    assert engine.spec == ModelSpec(str(gpt2_folder))
    benchmarks.vote(comparison, 0)
    assert benchmarks.ratings()[0].label == comparison.right.label
    benchmarks.clear_votes(ME)
    assert benchmarks.ratings() == ()


def test_invalid_votes_are_refused(new_engine: Callable[..., Engine]) -> None:
    engine = new_engine()
    benchmarks = Benchmarks(engine, Jobs(engine.database))
    with pytest.raises(InvalidRequest, match="score is 2"):
        benchmarks.vote(BlindComparison("x", ComparisonSide("a", ""), ComparisonSide("b", "")), 2)
    with pytest.raises(InvalidRequest, match="two different"):
        benchmarks.vote(BlindComparison("x", ComparisonSide("a", ""), ComparisonSide("a", "")), 1)
