"""Speed of the loaded model: prompt processing (pp), text generation (tg), and what a visitor sees of it.

pp processes a prompt in an empty window and samples one token; tg generates after `depth_tokens` tokens that are already in the window.
Both are llama-bench's tests of those names: greedy, ends ignored, every prompt unique, warmed up before anything counts. A model on
another server is measured by chats of the same sizes: its tokens are those that the server counts, and the network is part of the times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from ...errors import InvalidRequest
from ...hardware import Hardware
from ...models.memory_peak import PeakWatch
from .control import Control, MeasurementPhase, MeasurementStep
from .prompts import unique_ids, unique_text
from .requests import ChatTiming, LaneTiming, time_chat, time_ids
from .samples import Samples, percentile, warm_up

if TYPE_CHECKING:
    from ...runtime.active_model import ActiveModel
    from ...runtime.engine import Engine
    from ...runtime.serving_model import ServingModel

TimeOnce = Callable[[int, int], LaneTiming]     # of a reply, by the tokens of its prompt and the new ones

MAX_TOKENS, MAX_REPETITIONS = 1_000_000, 100
TEMPLATE_TOKENS = 256       # reserved in a visitor's window for the chat template


@dataclass(frozen=True, slots=True)
class SpeedPlan:
    """What to measure. pp512 and tg128 with five repetitions by default; `sees_chat` adds the visitor's view."""

    prompt_tokens: int = 512
    new_tokens: int = 128
    depth_tokens: int = 0
    repetitions: int = 5
    sees_chat: bool = True

    def __post_init__(self) -> None:
        for name, low, high in (("prompt_tokens", 1, MAX_TOKENS), ("new_tokens", 2, MAX_TOKENS), ("depth_tokens", 0, MAX_TOKENS),
                                ("repetitions", 1, MAX_REPETITIONS)):
            if not low <= getattr(self, name) <= high:
                raise InvalidRequest(name, getattr(self, name), f"{low} to {high:,}")

    @property
    def window_tokens(self) -> int:
        """The smallest context window into which the plan fits."""
        chat = self.prompt_tokens + self.new_tokens + TEMPLATE_TOKENS if self.sees_chat else 0
        return max(self.prompt_tokens + 1, max(1, self.depth_tokens) + self.new_tokens, chat)


@dataclass(frozen=True, slots=True)
class ChatView:
    """What one visitor sees, through the same path as Chat. Seconds; percentiles over all outputs of all repetitions."""

    prompt_tokens: int
    new_tokens: int
    ttft_s: Samples
    tpot_s: Samples
    e2e_s: Samples
    itl_p50_s: float
    itl_p95_s: float


@dataclass(frozen=True, slots=True)
class Speed:
    """`prompt` and `write`: tokens per second. `resting_bytes`: in use before; `peak_bytes`: the most during a warm-up run.

    Both are 0 for a model on another server.
    """

    plan: SpeedPlan
    prompt: Samples
    write: Samples
    warm_ups: tuple[int, int]       # runs before pp, before tg
    cached_tokens: int              # of all prompts: must be 0 for a valid measurement
    resting_bytes: int
    peak_bytes: int
    chat: ChatView | None = None

    @property
    def is_noisy(self) -> bool:
        return self.prompt.is_noisy or self.write.is_noisy


def measure_speed(engine: Engine, plan: SpeedPlan | None = None, control: Control | None = None) -> Speed:
    """Measure the loaded model. Blocking; `control` receives the steps and can stop it.

    Raises JobStopped, NoModelLoaded, EngineBusy, InvalidRequest (the window is too small) and GenerationFailed.
    """
    plan, control = plan or SpeedPlan(), control or Control()
    with engine.serving() as model:
        _require_room(plan, model)
        is_here = not model.spec.is_remote
        resting = engine.hardware.used_bytes() if is_here else 0
        time_once = _ids_timed(cast("ActiveModel", model), control) if is_here else _chats_timed(engine, model, control)
        pp = _Test("prompt", plan.prompt_tokens, 1, time_once, control)
        tg = _Test("write", max(1, plan.depth_tokens), plan.new_tokens, time_once, control)
        pp_warm, pp_peak = _warm_up(pp, _prompt_rate, engine.hardware)
        prompt = pp.repeat(plan.repetitions, _prompt_rate)
        tg_warm, tg_peak = _warm_up(tg, _write_rate, engine.hardware)
        write = tg.repeat(plan.repetitions, _write_rate)
        chat = _see_chat(engine, model, plan, control) if plan.sees_chat else None
        peak = max(pp_peak, tg_peak) if is_here else 0
        return Speed(plan, prompt, write, (pp_warm, tg_warm), pp.cached_tokens + tg.cached_tokens, resting, peak, chat)


def _ids_timed(active_model: ActiveModel, control: Control) -> TimeOnce:
    def time_once(prompt_tokens: int, new_tokens: int) -> LaneTiming:
        return time_ids(active_model, unique_ids(active_model, prompt_tokens), new_tokens, control)
    return time_once


def _chats_timed(engine: Engine, model: ServingModel, control: Control) -> TimeOnce:
    def time_once(prompt_tokens: int, new_tokens: int) -> LaneTiming:
        return time_chat(engine, model.spec, unique_text(model, prompt_tokens), new_tokens, control).as_lane_timing
    return time_once


class _Test:
    """One of the two tests, repeated with new prompts."""

    def __init__(self, phase: MeasurementPhase, prompt_tokens: int, new_tokens: int, time_once: TimeOnce, control: Control) -> None:
        self._phase, self._prompt_tokens, self._new_tokens = phase, prompt_tokens, new_tokens
        self._time_once, self._control = time_once, control
        self.cached_tokens = self._runs = 0

    def once(self, phase: MeasurementPhase, done: int = 0, total: int = 0, rate: float = 0.0) -> LaneTiming:
        self._runs += 1
        self._control.step(MeasurementStep(phase, done or self._runs, total, rate))
        timing = self._time_once(self._prompt_tokens, self._new_tokens)
        self.cached_tokens += timing.cached_tokens
        return timing

    def repeat(self, repetitions: int, rate: Callable[[LaneTiming], float]) -> Samples:
        values: list[float] = []
        for number in range(1, repetitions + 1):
            values.append(rate(self.once(self._phase, number, repetitions, values[-1] if values else 0.0)))
        return Samples(tuple(values))


def _warm_up(test: _Test, rate: Callable[[LaneTiming], float], hardware: Hardware) -> tuple[int, int]:
    """The number of warm-up runs and the peak memory during them; memory is not sampled during measured runs."""
    before = hardware.used_bytes()
    with PeakWatch(hardware) as watch:
        runs = warm_up(lambda: rate(test.once("warm-up")))
    return len(runs), before + max(0, watch.peak_bytes)


def _prompt_rate(timing: LaneTiming) -> float:
    return timing.prompt_rate


def _write_rate(timing: LaneTiming) -> float:
    return timing.write_rate


def _see_chat(engine: Engine, model: ServingModel, plan: SpeedPlan, control: Control) -> ChatView:
    timings: list[ChatTiming] = []
    for number in range(1, plan.repetitions + 1):
        control.step(MeasurementStep("chat", number, plan.repetitions))
        text = unique_text(model, plan.prompt_tokens)
        timings.append(time_chat(engine, model.spec, text, plan.new_tokens, control))
    return chat_view(timings)


def chat_view(timings: list[ChatTiming]) -> ChatView:
    gaps = [gap for timing in timings for gap in timing.gaps_s]
    latest = timings[-1]
    return ChatView(latest.prompt_tokens, latest.new_tokens, Samples(tuple(timing.ttft_s for timing in timings)),
                    Samples(tuple(timing.tpot_s for timing in timings)), Samples(tuple(timing.e2e_s for timing in timings)),
                    percentile(gaps, 0.5), percentile(gaps, 0.95))


def fitted(plan: SpeedPlan, window_tokens: int) -> SpeedPlan:
    """Return the plan, without the visitor's view if the window only has room for the tests. `window_tokens`: 0 if it is not known."""
    return replace(plan, sees_chat=plan.sees_chat and (not window_tokens or plan.window_tokens <= window_tokens))


def _require_room(plan: SpeedPlan, model: ServingModel) -> None:
    if 0 < model.window_tokens < plan.window_tokens:
        raise InvalidRequest("window", f"{model.window_tokens:,} tokens", f"at least {plan.window_tokens:,} for these sizes. "
                             "Measure fewer tokens, or load a larger context where the model has one")
