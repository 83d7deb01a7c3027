"""Concurrent visitors: throughput, latencies, and goodput."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...background import JobStopped
from ...errors import EngineError, InvalidRequest
from .control import Control, MeasurementStep
from .prompts import unique_text
from .requests import ChatTiming, time_chat
from .samples import percentile
from .speed import TEMPLATE_TOKENS

if TYPE_CHECKING:
    from ...runtime.engine import Engine
    from ...runtime.serving_model import ServingModel

MAX_VISITORS = 256


@dataclass(frozen=True, slots=True)
class VisitorPlan:
    """Each visitor sends `requests` messages, one after the other. A request within both limits counts for goodput."""

    levels: tuple[int, ...] = (1, 2, 4, 8, 16)
    prompt_tokens: int = 128
    new_tokens: int = 64
    requests: int = 2
    ttft_limit_s: float = 2.0
    tpot_limit_s: float = 0.2       # 5 tokens a second: faster than most people read

    def __post_init__(self) -> None:
        if not self.levels or any(not 1 <= level <= MAX_VISITORS for level in self.levels):
            raise InvalidRequest("visitors", self.levels, f"numbers from 1 to {MAX_VISITORS}")
        for name in ("prompt_tokens", "requests"):
            if getattr(self, name) < 1:
                raise InvalidRequest(name, getattr(self, name), "at least 1")
        if self.new_tokens < 2:
            raise InvalidRequest("new_tokens", self.new_tokens, "at least 2")
        if not (self.ttft_limit_s > 0 and self.tpot_limit_s > 0):
            raise InvalidRequest("limits", (self.ttft_limit_s, self.tpot_limit_s), "more than 0 seconds")

    @property
    def window_tokens(self) -> int:
        return self.prompt_tokens + self.new_tokens + TEMPLATE_TOKENS


@dataclass(frozen=True, slots=True)
class ConcurrencyResult:
    """Results for `visitors` concurrent visitors. `throughput`: generated tokens per second in all; times in seconds; `goodput` 0 to 1."""

    visitors: int
    requests: int
    prompt_tokens: int
    new_tokens: int
    seconds: float
    throughput: float
    ttft_p50_s: float
    ttft_p95_s: float
    tpot_p50_s: float
    tpot_p95_s: float
    goodput: float
    ttft_limit_s: float
    tpot_limit_s: float


def measure_visitors(engine: Engine, plan: VisitorPlan | None = None, control: Control | None = None) -> tuple[ConcurrencyResult, ...]:
    """Measure the loaded model with each number of visitors. Blocking.

    Raises JobStopped, NoModelLoaded, EngineBusy, InvalidRequest (the window is too small) and GenerationFailed.
    """
    plan, control = plan or VisitorPlan(), control or Control()
    with engine.serving() as model:
        if 0 < model.window_tokens < plan.window_tokens:
            raise InvalidRequest("window", f"{model.window_tokens:,} tokens", f"at least {plan.window_tokens:,} for these sizes")
        time_chat(engine, model.spec, unique_text(model, plan.prompt_tokens), plan.new_tokens, control)     # warm-up
        crowds: list[ConcurrencyResult] = []
        for number, level in enumerate(plan.levels, 1):
            rate = crowds[-1].throughput if crowds else 0.0
            control.step(MeasurementStep("visitors", number, len(plan.levels), rate, f"{level} at once"))
            crowds.append(_one_level(engine, model, plan, level, control))
        return tuple(crowds)


def _one_level(engine: Engine, model: ServingModel, plan: VisitorPlan, visitors: int, control: Control) -> ConcurrencyResult:
    texts = [[unique_text(model, plan.prompt_tokens) for _ in range(plan.requests)] for _ in range(visitors)]
    timings: list[ChatTiming] = []
    errors: list[BaseException] = []
    gate = threading.Barrier(visitors + 1)

    def visit(own: list[str]) -> None:
        gate.wait()
        try:
            timings.extend(time_chat(engine, model.spec, text, plan.new_tokens, control) for text in own)
        except (EngineError, JobStopped) as error:
            errors.append(error)

    threads = [threading.Thread(target=visit, args=(own,), name="visitor", daemon=True) for own in texts]
    for thread in threads:
        thread.start()
    gate.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if errors:
        raise errors[0]
    return crowd(plan, visitors, timings, seconds)


def crowd(plan: VisitorPlan, visitors: int, timings: list[ChatTiming], seconds: float) -> ConcurrencyResult:
    """Goodput is the share of requests inside both limits (vLLM bench serve)."""
    ttft, tpot = [timing.ttft_s for timing in timings], [timing.tpot_s for timing in timings]
    good = sum(timing.ttft_s <= plan.ttft_limit_s and timing.tpot_s <= plan.tpot_limit_s for timing in timings)
    new_tokens = sum(timing.new_tokens for timing in timings)
    return ConcurrencyResult(
        visitors, len(timings), max(timing.prompt_tokens for timing in timings), new_tokens, seconds, new_tokens / seconds,
        percentile(ttft, 0.5), percentile(ttft, 0.95), percentile(tpot, 0.5), percentile(tpot, 0.95),
        good / len(timings), plan.ttft_limit_s, plan.tpot_limit_s)
