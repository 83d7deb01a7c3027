"""Speed of the loaded model: exact token counts, uncached prompts, the formulas; no test checks a measured time."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, GenerationOptions, ModelSpec, Quantization
from engine.background import JobStopped
from engine.benchmark.measure.control import Control, MeasurementStep
from engine.benchmark.measure.limits import LimitShare, bytes_per_token, flops_per_token
from engine.benchmark.measure.load import VisitorPlan, crowd, measure_visitors
from engine.benchmark.measure.prompts import unique_ids, unique_text
from engine.benchmark.measure.requests import ChatTiming, LaneTiming, time_ids
from engine.benchmark.measure.speed import SpeedPlan, chat_view, measure_speed
from engine.checkpoint.shape import ModelShape
from engine.errors import InvalidRequest, NoModelLoaded
from engine.models.spec import LoadOptions
from tests.conftest import ask

SMALL = SpeedPlan(prompt_tokens=40, new_tokens=8, repetitions=3)


def test_every_repetition_is_kept(llama_engine: Engine) -> None:
    speed = measure_speed(llama_engine, SMALL)
    assert (len(speed.prompt.values), len(speed.write.values)) == (3, 3)
    assert speed.chat is not None
    assert len(speed.chat.ttft_s.values) == len(speed.chat.e2e_s.values) == 3


def test_no_prompt_is_found_in_a_cache(llama_engine: Engine) -> None:
    assert measure_speed(llama_engine, SMALL).cached_tokens == 0


def test_peak_memory_is_at_least_the_resting_memory(llama_engine: Engine) -> None:
    speed = measure_speed(llama_engine, SMALL)
    assert speed.peak_bytes >= speed.resting_bytes > 0


@pytest.mark.parametrize("model", ["llama_folder", "mamba_folder"])
def test_exactly_the_requested_tokens_are_read_and_written_in_both_lanes(
        new_engine: Callable[..., Engine], model: str, request: pytest.FixtureRequest) -> None:
    engine = new_engine(request.getfixturevalue(model))
    with engine.using() as active_model:
        timing = time_ids(active_model, unique_ids(active_model, 33), 40, Control())     # the single lane works in slices of 32
    assert (timing.prompt_tokens, timing.new_tokens, timing.cached_tokens) == (33, 40, 0)
    assert 0 < timing.first_s <= timing.last_s


@pytest.mark.parametrize("seed", [None, 1])
def test_an_ignored_end_token_does_not_end_a_reply_in_either_lane(builtin_engine: Engine, seed: int | None) -> None:
    natural = ask(builtin_engine, "hello", max_new_tokens=64)[1]
    assert natural.usage.new_tokens < 64
    options = {"seed": seed, "temperature": 0.0 if seed is None else 0.01}
    assert ask(builtin_engine, "hello", max_new_tokens=64, ignores_end=True, **options)[1].usage.new_tokens == 64


def test_prompts_are_unique_and_without_special_tokens(llama_engine: Engine) -> None:
    with llama_engine.using() as active_model:
        first, second = unique_ids(active_model, 64), unique_ids(active_model, 64)
        assert first != second
        assert not set(first) & active_model.vocabulary[1]
        assert 0 < active_model.count_tokens(unique_text(active_model, 30)) <= 30


def test_a_window_that_is_too_small_is_named(llama_engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match=r"window is '512 tokens'.*at least 601"):
        measure_speed(llama_engine, SpeedPlan(prompt_tokens=600, sees_chat=False))


def test_nothing_is_measured_without_a_model(new_engine: Callable[..., Engine]) -> None:
    with pytest.raises(NoModelLoaded):
        measure_speed(new_engine(), SMALL)


@pytest.mark.parametrize("values", [{"prompt_tokens": 0}, {"new_tokens": 1}, {"repetitions": 0}, {"depth_tokens": -1}])
def test_impossible_sizes_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(values))):
        SpeedPlan(**values)


def test_stopping_ends_a_measurement(llama_engine: Engine) -> None:
    stop, steps = threading.Event(), list[MeasurementStep]()

    def report(step: MeasurementStep) -> None:
        steps.append(step)
        if step.phase == "write":
            stop.set()

    with pytest.raises(JobStopped):
        measure_speed(llama_engine, SMALL, Control(report, stop))
    assert [step.phase for step in steps][-1] == "write"
    assert ask(llama_engine, "hello")[0]


def test_rates_exclude_tokens_that_arrived_with_the_first() -> None:
    timing = LaneTiming(prompt_tokens=512, cached_tokens=0, new_tokens=128, first_tokens=1, first_s=2.0, last_s=6.0)
    assert (timing.prompt_rate, timing.write_rate) == (256.0, 127 / 4)


def test_times_per_token_exclude_the_first() -> None:
    assert ChatTiming(20, 11, ttft_s=1.0, e2e_s=3.0, gaps_s=()).tpot_s == pytest.approx(0.2)
    assert ChatTiming(20, 1, ttft_s=1.0, e2e_s=1.0, gaps_s=()).tpot_s == 0.0


def test_gaps_of_all_repetitions_count_together() -> None:
    view = chat_view([ChatTiming(5, 3, 1.0, 1.3, (0.1, 0.2)), ChatTiming(5, 3, 2.0, 2.7, (0.3, 0.4))])
    assert (view.itl_p50_s, view.itl_p95_s) == (pytest.approx(0.25), pytest.approx(0.385))


def test_goodput_is_the_share_within_both_limits() -> None:
    plan = VisitorPlan(levels=(4,), ttft_limit_s=1.0, tpot_limit_s=0.1)
    timings = [ChatTiming(9, 11, ttft, e2e, ()) for ttft, e2e in ((0.5, 1.0), (2.0, 2.5), (0.5, 3.0), (1.0, 2.0))]
    seen = crowd(plan, 4, timings, seconds=4.0)
    assert (seen.goodput, seen.throughput, seen.new_tokens) == (0.5, 11.0, 44)


def test_every_visitor_gets_every_reply(llama_engine: Engine) -> None:
    crowds = measure_visitors(llama_engine, VisitorPlan(levels=(1, 3), prompt_tokens=16, new_tokens=6, requests=2))
    assert [(seen.visitors, seen.requests, seen.new_tokens) for seen in crowds] == [(1, 2, 12), (3, 6, 36)]


def test_stopping_ends_all_visitors(llama_engine: Engine) -> None:
    stop = threading.Event()

    def report(step: MeasurementStep) -> None:
        stop.set()

    with pytest.raises(JobStopped):
        measure_visitors(llama_engine, VisitorPlan(levels=(2,), prompt_tokens=16, new_tokens=6), Control(report, stop))
    assert llama_engine.status().running == 0


def test_unloading_the_measured_model_ends_the_measurement_with_an_error(new_engine: Callable[..., Engine], llama_folder: Path) -> None:
    from engine.errors import EngineBusy

    engine = new_engine()
    list(engine.load(ModelSpec(str(llama_folder)), LoadOptions(drain="stop")))

    def report(step: MeasurementStep) -> None:
        if step.phase == "write" and step.done == 2:
            threading.Thread(target=engine.unload, args=("stop",), daemon=True).start()

    with pytest.raises(EngineBusy):
        measure_speed(engine, SpeedPlan(prompt_tokens=8, new_tokens=100, repetitions=50, sees_chat=False), Control(report))


SHAPE = ModelShape(linear_weights=1000, other_weights=300, layers=2, kv_heads=2, head_dim=8, stored_dtype="bfloat16", max_window=512,
                   table_weights=200, head_weights=100, expert_weights=0)


def test_a_token_reads_the_weights_it_uses_and_the_cache() -> None:
    # 2600 bytes of weights without the table of 200 x 2, and 2 x 2 layers x 2 heads x 8 x 10 tokens x 2 bytes of cache
    assert bytes_per_token(SHAPE, 2600, "bfloat16", 10) == 2600 - 400 + 1280
    assert flops_per_token(SHAPE) == 2000


def test_the_table_is_not_read_where_a_tied_head_is_a_copy() -> None:
    tied = replace(SHAPE, other_weights=200, head_weights=0, vocab_size=20, hidden_size=10)
    assert bytes_per_token(tied, 1600, "bfloat16", 10) == 1600 + 1280
    assert bytes_per_token(tied, 1600, "bfloat16", 10, has_own_head=True) == 1600 - 400 + 1280


@pytest.mark.parametrize(("moved", "quantization", "bound"), [
    (150.0, Quantization.NONE, "cache"), (60.0, Quantization.NONE, "memory"), (20.0, Quantization.NONE, "steps"),
    (20.0, Quantization.NF4, "unpacking"), (60.0, Quantization.NF4, "memory")])
def test_the_limiting_resource_of_a_model_is_named(moved: float, quantization: Quantization, bound: str) -> None:
    share = LimitShare(moved, 100.0, 30.0, 60.0, quantization)
    assert (share.bound, share.read) == (bound, 0.5)
    assert f"{moved:.0f}%" in share.sentence


def test_options_end_at_the_end_token_by_default() -> None:
    assert GenerationOptions().ignores_end is False
