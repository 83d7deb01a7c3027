"""ZeroGPU's lane, with a stand-in of its package that forks a process for every reply."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from transformers import AutoModelForCausalLM

from engine import Engine, GenerationOptions, Message, ModelSpec, Quantization, Settings, TextDelta, Waiting
from engine.errors import GenerationFailed, InvalidRequest, LoadError, NotANumber, NotPermitted, UnsupportedQuantization
from engine.generation.base import Ended, NewTokens
from engine.generation.lent import MAX_LENT_S, GpuNotFree, GpuQuotaUsed, GpuRefused, LentGenerator
from engine.generation.shape_masks import Shapes
from engine.generation.thought_limit import ThoughtLimit
from engine.messages import Finished
from engine.shapes import InvalidShape, Shape
from tests import spaces_standin, tiny_models
from tests.conftest import ask, exhaust

SHAPES = Shapes(tiny_models.tokenizer(), (1,), 400)


@pytest.fixture(scope="module")
def spaces() -> Iterator[ModuleType]:
    with spaces_standin.installed() as standin:
        yield standin


@pytest.fixture(scope="module")
def engine(spaces: ModuleType, new_engine: Callable[..., Engine], llama_folder: Path, settings: Settings) -> Engine:
    exact = ModelSpec(str(llama_folder), dtype="float32")
    lent = new_engine(exact, replace(settings, is_zero_gpu=True))
    with lent.using() as model:
        model.place()
    return lent


@pytest.fixture
def lane(engine: Engine) -> LentGenerator:
    with engine.using() as model:
        generator = model._lane.generator
    assert isinstance(generator, LentGenerator)
    return generator


def test_a_reply_is_the_same_as_elsewhere_and_is_generated_in_another_process(
        spaces: ModuleType, engine: Engine, llama_engine: Engine) -> None:
    spaces.calls.clear()
    assert ask(engine, "hello")[0] == ask(llama_engine, "hello")[0]
    assert len(spaces.calls) == 1
    assert spaces.calls[0].pid not in (0, os.getpid())


def test_a_reply_waits_for_a_gpu_and_streams(spaces: ModuleType, engine: Engine) -> None:
    free = threading.Event()
    spaces.queues.append(free)
    events = engine.chat([Message("user", "hello")], GenerationOptions(max_new_tokens=60, temperature=0.0))
    assert [type(next(events)) for _ in range(3)] == [Waiting] * 3
    free.set()
    assert sum(isinstance(event, TextDelta) for event in events) > 10


def test_replies_run_side_by_side_and_leave_nothing_behind(engine: Engine, lane: LentGenerator) -> None:
    first, second = (lane.stream([5, 6, 7], GenerationOptions(max_new_tokens=300, temperature=1.0)) for _ in range(2))
    with closing(first), closing(second):
        for stream in (first, second):
            next(event for event in stream if isinstance(event, NewTokens))
        assert lane.running == 2
    assert lane.running == 0


def test_closing_a_stream_ends_its_process(spaces: ModuleType, lane: LentGenerator) -> None:
    events = lane.stream([5, 6, 7], GenerationOptions(max_new_tokens=400, temperature=1.0, ignores_end=True))
    next(event for event in events if isinstance(event, NewTokens))
    events.close()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{spaces.calls[-1].pid}").exists() or lane._stops:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_stopping_the_lane_ends_its_replies(lane: LentGenerator) -> None:
    events = lane.stream([5, 6, 7], GenerationOptions(max_new_tokens=400, temperature=1.0, ignores_end=True))
    next(event for event in events if isinstance(event, NewTokens))
    lane.begin_closing()
    assert list(events)[-1] == Ended("stopped")


def test_the_time_asked_for_depends_on_the_request(spaces: ModuleType, engine: Engine, lane: LentGenerator) -> None:
    ask(engine, "hello", max_new_tokens=2)
    short = spaces.calls[-1].duration
    assert short == lane.seconds([1] * 20, GenerationOptions(max_new_tokens=2), None)
    assert short < lane.seconds([1] * 20, GenerationOptions(max_new_tokens=500), None) < MAX_LENT_S
    assert lane.seconds([1] * 20, GenerationOptions(max_new_tokens=100_000), None) == MAX_LENT_S


@pytest.mark.parametrize(("title", "message", "expected"), [
    ("ZeroGPU quota exceeded", "You have exceeded your free ZeroGPU quota (60s requested vs. 12s left). Try again in 3:20:01. ",
     "in 3:20:01"),
    ("ZeroGPU quota exceeded", "You have exceeded your ZeroGPU quota (60s requested vs. 0s left). Try again in 1 day, 3:20:01. ",
     "in 1 day, 3:20:01"),
    ("ZeroGPU quota exceeded", "Space app has reached its GPU limit. ", "Try again later")])
def test_a_used_up_quota_is_said_in_words_with_when_to_try_again(
        spaces: ModuleType, engine: Engine, title: str, message: str, expected: str) -> None:
    spaces.refusals.append((title, message))
    with pytest.raises(GpuQuotaUsed, match=expected):
        ask(engine, "hello")
    assert ask(engine, "hello")[1].usage.new_tokens


@pytest.mark.parametrize(("title", "message", "kind"), [
    ("ZeroGPU quota exceeded", "No GPU was available after 60s. Try re-running outside of examples", GpuNotFree),
    ("ZeroGPU client error", "No GPU was available", GpuNotFree), ("ZeroGPU pending credits exceeded", "You have too many", GpuNotFree),
    ("ZeroGPU illegal duration", "The requested GPU duration (999s) is larger than the maximum allowed", GpuRefused)])
def test_another_refusal_is_said_in_words(
        spaces: ModuleType, engine: Engine, title: str, message: str, kind: type[GenerationFailed]) -> None:
    spaces.refusals.append((title, message))
    with pytest.raises(kind) as caught:
        ask(engine, "hello")
    assert type(caught.value) is kind


def test_a_process_that_is_ended_fails_its_reply_only(spaces: ModuleType, engine: Engine) -> None:
    spaces.taken_s.append(0.4)
    with pytest.raises(GenerationFailed, match="GPU task aborted"):
        ask(engine, "hello", max_new_tokens=450, temperature=1.0, ignores_end=True)
    assert ask(engine, "hello")[1].usage.new_tokens


def test_a_reply_ends_before_its_time_is_over(lane: LentGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.generation.lent.MARGIN_S", 1000)
    events = list(lane.stream([5, 6, 7], GenerationOptions(max_new_tokens=400, temperature=1.0, ignores_end=True)))
    assert events[-1] == Ended("length")
    assert sum(isinstance(event, NewTokens) for event in events) < 400


def test_a_process_that_serves_again_keeps_its_lane(engine: Engine, llama_folder: Path, spaces: ModuleType) -> None:
    model = AutoModelForCausalLM.from_pretrained(llama_folder).eval()
    lane = LentGenerator(model, 512, frozenset(), 0, True, lambda ids: "", SHAPES)      # `generate` is what runs in a forked process
    options = GenerationOptions(max_new_tokens=3, temperature=0.0)
    tokens = [[event for event in lane.generate([5, 6, 7], options, None) if isinstance(event, NewTokens)] for _ in range(2)]
    assert [event.ids for event in tokens[0]] == [event.ids for event in tokens[1]]
    assert (tokens[0][0].cached_tokens, tokens[1][0].cached_tokens) == (0, 2)


def test_an_answer_in_a_shape_is_the_same_as_elsewhere(engine: Engine, llama_engine: Engine) -> None:
    shape = Shape("regex", "[a-z]{3,9} [0-9]{2}")
    text, finished = ask(engine, "hello", shape=shape)
    assert (text, finished.notes) == (ask(llama_engine, "hello", shape=shape)[0], ())
    assert ask(engine, "hello", shape=shape, max_new_tokens=2)[1].notes
    with pytest.raises(InvalidShape):
        ask(engine, "hello", shape=Shape.of_schema({"not": {}}))


def test_an_error_of_the_forked_process_comes_back_with_its_words(llama_folder: Path, spaces: ModuleType) -> None:
    model = AutoModelForCausalLM.from_pretrained(llama_folder).eval()
    lane = LentGenerator(model, 512, frozenset(), 0, True, lambda ids: "", SHAPES)
    with pytest.raises(InvalidRequest):
        list(lane.stream([10**6], GenerationOptions()))
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(NotANumber, match="not a number"):
        list(lane.stream([5], GenerationOptions()))
    model.lm_head = torch.nn.Linear(1, 1)
    with pytest.raises(GenerationFailed, match=r"The reply was cut off: RuntimeError"):
        list(lane.stream([5], GenerationOptions()))


def test_a_limit_of_thoughts_can_be_sent_to_another_process() -> None:
    words = {1: "<think>", 2: "x", 3: "</think>"}

    def decode(ids: list[int]) -> str:
        return "".join(words[each] for each in ids)

    limit = pickle.loads(pickle.dumps(ThoughtLimit(2, "<think>", "</think>", [3], decode, is_open=False)))
    limit.decode_with(decode)
    for token in (1, 2, 2):
        assert limit.required is None
        limit.add(token)
    assert limit.required == 3


def test_what_needs_an_own_gpu_is_refused_with_the_reason(engine: Engine, settings: Settings) -> None:
    status = engine.status()
    assert (status.hardware, status.lane) == ("ZeroGPU", "single")
    assert "ZeroGPU lends a GPU for each reply" in status.lane_reason
    with engine.using() as model, pytest.raises(NotPermitted, match="cannot be measured"), model.alone():
        pass
    other = Engine(replace(settings, is_zero_gpu=True))
    with pytest.raises((UnsupportedQuantization, LoadError), match="16 bits"):
        exhaust(other.load(ModelSpec("builtin", quantization=Quantization.INT4)))
    other.close()


def test_a_finished_reply_counts_its_tokens(engine: Engine) -> None:
    finished = ask(engine, "hello", max_new_tokens=5, ignores_end=True)[1]
    assert isinstance(finished, Finished)
    assert (finished.reason, finished.usage.new_tokens) == ("length", 5)
