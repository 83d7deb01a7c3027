"""Quality: every number is compared with an independent computation."""

import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine import Engine, ModelSpec, Quantization, Settings
from engine.background import Jobs
from engine.benchmark.benchmarks import Benchmarks, result_of
from engine.benchmark.measure.control import Control
from engine.benchmark.quality.harness import run_harness, scores_of
from engine.benchmark.quality.likelihood import TextPlan, log_likelihood, mean_and_error
from engine.benchmark.quality.perplexity import divergence, keep_reference, measure_cost, measure_perplexity
from engine.benchmark.quality.tasks import read_task, run_task
from engine.benchmark.quality_runs import CostPlan, QualityPlan
from engine.benchmark.store.scores import Score, accuracy
from engine.errors import EngineError, InvalidRequest, MissingLibrary
from engine.library import Visitor
from tests.conftest import ask, exhaust

TEXT = "the quick brown fox jumps over the lazy dog while numbers 0 1 2 3 and hello world again " * 3
ME = Visitor("me")


@cache
def plain_model(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def plain_log_probs(folder: Path, ids: list[int]) -> torch.Tensor:
    """(tokens - 1, vocabulary): the library alone, without any of our code."""
    with torch.no_grad():
        return torch.log_softmax(plain_model(folder)(torch.tensor([ids])).logits[0, :-1].float(), -1)


def plain_ids(folder: Path, text: str) -> list[int]:
    ids: list[int] = AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False)["input_ids"]
    return ids


def test_perplexity_equals_an_independent_computation_in_one_window(llama_engine: Engine, llama_folder: Path) -> None:
    ids = plain_ids(llama_folder, TEXT)
    losses = -plain_log_probs(llama_folder, ids).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    score = measure_perplexity(llama_engine, TEXT, TextPlan(window=len(ids)))
    assert score.value == pytest.approx(float(losses.mean().exp()), rel=1e-4)
    assert score.samples == len(ids) - 1
    assert score.stderr == pytest.approx(float(losses.mean().exp() * losses.std() / math.sqrt(len(losses))), rel=1e-3)


def test_perplexity_equals_an_independent_computation_in_sliding_windows(llama_engine: Engine, llama_folder: Path) -> None:
    ids, window, stride = plain_ids(llama_folder, TEXT), 32, 12
    losses: list[float] = []
    for place in range(1, len(ids)):        # the window of a token: the first that reaches it
        number = max(0, math.ceil((place + 1 - window) / stride))
        start = number * stride
        row = plain_log_probs(llama_folder, ids[start:place + 1])[-1]
        losses.append(-float(row[ids[place]]))
    score = measure_perplexity(llama_engine, TEXT, TextPlan(window, stride))
    assert score.value == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-3)
    assert score.samples == len(ids) - 1


def test_a_model_does_not_diverge_from_itself(llama_engine: Engine, tmp_path: Path) -> None:
    reference, own = keep_reference(llama_engine, TEXT, TextPlan(window=64), tmp_path, Control())
    cost = measure_cost(llama_engine, reference, Control())
    assert (cost.divergence.value, cost.agreement.value) == (0.0, 1.0)
    assert cost.perplexity.value == pytest.approx(own.value)


def test_divergence_is_the_sum_of_p_log_p_over_q() -> None:
    p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.75, 0.25]])
    assert float(divergence(p.log(), q.log())) == pytest.approx(0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25))


def test_an_impossible_token_adds_nothing_to_a_divergence() -> None:
    p, q = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.5]])
    assert float(divergence(p.log(), q.log())) == pytest.approx(math.log(2))


def test_a_log_likelihood_sums_the_continuation_alone(llama_engine: Engine, llama_folder: Path) -> None:
    whole, start = plain_ids(llama_folder, "hello world again"), plain_ids(llama_folder, "hello")
    rows = plain_log_probs(llama_folder, whole)
    expected = sum(float(rows[place - 1, whole[place]]) for place in range(len(start), len(whole)))
    with llama_engine.using() as active_model:
        assert log_likelihood(active_model, "hello ", "world again", Control()) == pytest.approx(expected, rel=1e-4)


def test_scoring_a_text_does_not_change_later_replies(llama_engine: Engine) -> None:
    before = ask(llama_engine, "hello world")[0]
    measure_perplexity(llama_engine, TEXT, TextPlan(window=32))
    assert ask(llama_engine, "hello world")[0] == before


def choices_task(llama_engine: Engine, count: int) -> str:
    """Lines whose answer is the choice that the model finds likeliest, except in every fourth."""
    lines = []
    for number in range(count):
        prompt, choices = f"numbers {number} again", ["hello", "dog", "world again"]
        with llama_engine.using() as active_model:
            sums = [log_likelihood(active_model, prompt, f" {choice}", Control()) for choice in choices]
        likeliest = sums.index(max(sums))
        lines.append(json.dumps({"prompt": prompt, "choices": choices, "answer": likeliest if number % 4 else (likeliest + 1) % 3}))
    return "\n".join(lines)


def test_multiple_choice_matches_a_count_by_hand(llama_engine: Engine) -> None:
    acc, normed = run_task(llama_engine, read_task("twenty", choices_task(llama_engine, 20)))
    assert (acc.metric, acc.value, acc.samples, acc.is_smoke) == ("acc", 0.75, 20, True)
    assert acc.stderr == pytest.approx(math.sqrt(0.75 * 0.25 / 19))
    assert normed.metric == "acc_norm"


def test_generation_counts_exact_answers(builtin_engine: Engine) -> None:
    right = ask(builtin_engine, "hello", max_new_tokens=64)[0]
    lines = [{"prompt": "hello", "answer": f" {right} "}, {"prompt": "hello", "answer": "something else"}]
    score = run_task(builtin_engine, read_task("two", "\n".join(map(json.dumps, lines))))[0]
    assert (score.metric, score.value, score.samples) == ("exact_match", 0.5, 2)


def test_passages_give_a_perplexity(llama_engine: Engine) -> None:
    both = run_task(llama_engine, read_task("texts", "\n".join(json.dumps({"text": TEXT}) for _ in range(2))))[0]
    alone = measure_perplexity(llama_engine, TEXT)
    assert both.value == pytest.approx(alone.value)
    assert both.samples == 2 * alone.samples


def test_an_answer_may_be_named_by_its_text() -> None:
    sample = read_task("t", '{"prompt": "x", "choices": ["a", "b"], "answer": "b"}').samples[0]
    assert sample.answer == 1       # type: ignore[union-attr]


@pytest.mark.parametrize(("line", "named"), [
    ("", "0 lines"), ("x", "line 1"), ("[1]", "an object"), ('{"prompt": "x", "choices": ["a"], "answer": 0}', "2 to 26"),
    ('{"prompt": "x", "choices": ["a", "b"], "answer": 2}', "answer of line 1"),
    ('{"prompt": "x", "choices": ["a", "b"], "answer": true}', "answer of line 1"), ('{"prompt": "x"}', "answer of line 1"),
    ('{"text": " "}', "text of line 1"), ('{"text": "a"}\n{"prompt": "a", "answer": "b"}', "several kinds")])
def test_a_line_that_is_not_a_sample_is_named(line: str, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        read_task("t", line)


def test_fifty_samples_are_more_than_a_smoke_test() -> None:
    assert accuracy("t", "acc", [True] * 49).is_smoke
    assert not accuracy("t", "acc", [True] * 50).is_smoke


def test_the_error_of_a_mean_is_the_deviation_over_the_root_of_n() -> None:
    assert mean_and_error([1.0, 3.0]) == (2.0, pytest.approx(math.sqrt(2) / math.sqrt(2)))
    assert mean_and_error([5.0]) == (5.0, 0.0)


@pytest.mark.parametrize("values", [{"window": 1}, {"window": 8, "stride": 9}, {"max_tokens": 1}])
def test_impossible_windows_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest):
        TextPlan(**values)


def test_a_text_of_one_token_is_refused(llama_engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="at least 2 tokens"):
        measure_perplexity(llama_engine, "a")


def test_the_cost_of_quantization_is_saved_and_the_previous_model_restored(
        new_engine: Callable[..., Engine], settings: Settings, llama_folder: Path, gpt2_folder: Path, tmp_path: Path) -> None:
    engine = new_engine(gpt2_folder, replace(settings, data_dir=tmp_path))
    benchmarks = Benchmarks(engine, Jobs(engine.database))
    job = exhaust(benchmarks.jobs.follow(benchmarks.start_cost(CostPlan(str(llama_folder), TEXT), ME).id))[-1]
    result = result_of(job)     # type: ignore[arg-type]
    assert result is not None
    runs = [benchmarks.history.get(uid) for uid in result.uids]
    assert [run.model.quantization for run in runs] == list(Quantization)
    divergence8, *divergences4 = (run.scores[1].value for run in runs[1:])
    assert 0 < divergence8 < min(divergences4)
    assert [run.kind for run in runs] == ["quality"] * 4
    assert engine.spec == ModelSpec(str(gpt2_folder))


def test_quality_of_the_loaded_model_is_a_job(new_engine: Callable[..., Engine], settings: Settings, llama_folder: Path,
                                              tmp_path: Path) -> None:
    engine = new_engine(llama_folder, replace(settings, data_dir=tmp_path))
    benchmarks = Benchmarks(engine, Jobs(engine.database))
    plan = QualityPlan(text=TEXT, task=read_task("twenty", choices_task(engine, 4)))
    job = exhaust(benchmarks.jobs.follow(benchmarks.start_quality(plan, ME).id))[-1]
    result = result_of(job)     # type: ignore[arg-type]
    assert result is not None
    assert [score.metric for score in benchmarks.history.get(result.uids[0]).scores] == ["perplexity", "acc", "acc_norm"]


def test_a_missing_library_says_how_to_install_it(llama_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)       # as where it is not installed
    with pytest.raises(MissingLibrary, match=r"requirements-eval\.txt"):
        run_harness(llama_engine, ["anything"])


@pytest.mark.parametrize("name", ["../tasks", "/etc/passwd", "arc_*", "task.yaml", "", "a b", "x" * 101])
def test_task_names_that_lm_eval_would_read_as_paths_or_patterns_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="a name of letters"):
        QualityPlan(harness_tasks=(name,))


def test_at_most_twenty_tasks_can_be_requested_at_once() -> None:
    with pytest.raises(InvalidRequest, match="at most 20"):
        QualityPlan(harness_tasks=tuple(f"task{number}" for number in range(21)))


@pytest.fixture(scope="module")
def choices_folder(llama_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A task of twenty lines in lm-eval's format; the files of its data set library stay out of the user's cache."""
    folder = tmp_path_factory.mktemp("harness")
    (folder / "twenty.jsonl").write_text(choices_task(llama_engine, 20))
    (folder / "twenty.yaml").write_text(
        "task: twenty_choices\ndataset_path: json\noutput_type: multiple_choice\ntest_split: train\n"
        f"dataset_kwargs:\n  data_files: {folder / 'twenty.jsonl'}\n  cache_dir: {folder / 'cache'}\n"
        "doc_to_text: '{{prompt}}'\ndoc_to_choice: '{{choices}}'\ndoc_to_target: '{{answer}}'\nmetric_list:\n  - metric: acc\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_DATASETS_OFFLINE", "1")
        yield folder


def test_lm_eval_scores_match_a_count_by_hand(llama_engine: Engine, choices_folder: Path) -> None:
    score = run_harness(llama_engine, ["twenty_choices"], folder=choices_folder)[0]
    assert (score.metric, score.value, score.samples) == ("acc", 0.75, 20)
    assert score.stderr == pytest.approx(math.sqrt(0.75 * 0.25 / 19), rel=1e-3)


def test_an_unknown_task_of_lm_eval_is_named_beside_similar_ones(llama_engine: Engine, choices_folder: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"'twenty_choises', but .* such as twenty_choices"):
        run_harness(llama_engine, ["twenty_choises"], folder=choices_folder)


def test_a_metric_program_from_the_hub_is_not_run(llama_engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "metrics.py").write_text("import evaluate\nevaluate.load('code_eval')\ndef asked(sample): return ''\n")
    (tmp_path / "programs.yaml").write_text("task: programs\ndataset_path: json\ndoc_to_text: !function metrics.asked\n")
    with pytest.raises(EngineError, match="code_eval is code from the Hub"):
        run_harness(llama_engine, ["programs"], folder=tmp_path)


def test_results_of_lm_eval_become_scores() -> None:
    found = {"results": {"t": {"alias": "t", "acc,none": 0.75, "acc_stderr,none": 0.1, "word_perplexity,none": 9.0}},
             "n-samples": {"t": {"original": 99, "effective": 20}}, "higher_is_better": {"t": {"acc": True, "word_perplexity": False}}}
    assert scores_of(found) == (Score("t", "acc", 0.75, 0.1, 20, True, note="lm-eval"),
                                Score("t", "word_perplexity", 9.0, 0.0, 20, False, note="lm-eval"))


def test_an_empty_plan_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        QualityPlan()
    with pytest.raises(InvalidRequest, match="the reference is always measured"):
        CostPlan("builtin", TEXT, (Quantization.NONE,))


def test_a_begin_of_sequence_token_comes_before_every_window(llama_engine: Engine, llama_folder: Path) -> None:
    ids = plain_ids(llama_folder, TEXT)[:40]
    with llama_engine.using() as active_model:
        assert active_model.first_ids == ()
        active_model.first_ids = (2,)
        try:
            score = measure_perplexity(llama_engine, TEXT, TextPlan(window=40, max_tokens=40))
        finally:
            active_model.first_ids = ()
    losses = -plain_log_probs(llama_folder, [2, *ids])[1:].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    assert score.value == pytest.approx(float(losses.mean().exp()), rel=1e-3)
