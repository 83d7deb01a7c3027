"""Timing of one request: token ids through a lane, or a message through the chat.

Times are seconds of a monotonic clock, taken where an output arrives. Definitions (vLLM's bench serve): TTFT is request to first
output, ITL the gap between two outputs, E2E request to last output, TPOT = (E2E - TTFT) / (output tokens - 1).
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ...errors import EngineBusy
from ...generation.base import Ended, NewTokens
from ...messages import Finished, GenerationOptions, Message, ReasoningDelta, TextDelta
from .control import Control

if TYPE_CHECKING:
    from ...models.spec import ModelSpec
    from ...runtime.active_model import ActiveModel
    from ...runtime.engine import Engine


@dataclass(frozen=True, slots=True)
class LaneTiming:
    """`first_s`: request to first token. `last_s`: to the last one. `first_tokens` arrived together first."""

    prompt_tokens: int
    cached_tokens: int
    new_tokens: int
    first_tokens: int
    first_s: float
    last_s: float

    @property
    def prompt_rate(self) -> float:
        """Prompt tokens per second until the first new one: pp of llama-bench, including the sampling of one token."""
        return self.prompt_tokens / self.first_s if self.first_s else 0.0

    @property
    def write_rate(self) -> float:
        """New tokens per second after the first: tg of llama-bench."""
        seconds = self.last_s - self.first_s
        return (self.new_tokens - self.first_tokens) / seconds if seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class ChatTiming:
    """Timing of one reply as a visitor sees it."""

    prompt_tokens: int
    new_tokens: int
    ttft_s: float
    e2e_s: float
    gaps_s: tuple[float, ...]       # ITL
    cached_tokens: int = 0

    @property
    def as_lane_timing(self) -> LaneTiming:
        """The same reply as if its token ids had been timed: the network is part of it."""
        return LaneTiming(self.prompt_tokens, self.cached_tokens, self.new_tokens, 1, self.ttft_s, self.e2e_s)

    @property
    def tpot_s(self) -> float:
        return (self.e2e_s - self.ttft_s) / (self.new_tokens - 1) if self.new_tokens > 1 else 0.0


def time_ids(active_model: ActiveModel, prompt_ids: list[int], new_tokens: int, control: Control) -> LaneTiming:
    """Generate exactly `new_tokens` after exactly these ids, greedy, through the model's own lane.

    Raises JobStopped, InvalidRequest (they do not fit into the window) and GenerationFailed.
    """
    options = GenerationOptions(max_new_tokens=new_tokens, temperature=0.0, ignores_end=True)
    made = first_tokens = cached = 0
    first = last = 0.0
    started = time.perf_counter()
    with closing(active_model.stream_ids(prompt_ids, options)) as events:   
        for event in events:
            control.check()
            if isinstance(event, NewTokens):
                last = time.perf_counter() - started
                if not made:
                    first, first_tokens, cached = last, len(event.ids), event.cached_tokens
                made += len(event.ids)
            elif isinstance(event, Ended) and event.reason == "stopped":
                raise _cut_off()
    return LaneTiming(len(prompt_ids), cached, made, first_tokens, first, last)


def time_chat(engine: Engine, spec: ModelSpec, text: str, new_tokens: int, control: Control) -> ChatTiming:
    """Time one message and its reply, as the page sends it. Raises JobStopped and what `Engine.chat` raises."""
    options = GenerationOptions(max_new_tokens=new_tokens, temperature=0.0, ignores_end=True)
    arrivals: list[float] = []
    finished: Finished | None = None
    started = time.perf_counter()
    chat = engine.chat([Message("user", text)], options, spec=spec, reservation=control.reservation)
    with closing(chat) as events:     
        for event in events:
            control.check()
            if isinstance(event, (TextDelta, ReasoningDelta)):
                arrivals.append(time.perf_counter() - started)
            elif isinstance(event, Finished):
                finished = event
    assert finished is not None, "a reply ends with Finished or an exception"
    if finished.reason == "stopped":
        raise _cut_off()
    usage = finished.usage
    first = arrivals[0] if arrivals else usage.ttft_s       # tokens without visible text do not count as output
    last = arrivals[-1] if arrivals else first
    gaps = tuple(after - before for before, after in pairwise(arrivals))
    return ChatTiming(usage.prompt_tokens, usage.new_tokens, first, last, gaps, usage.cached_tokens)


def _cut_off() -> EngineBusy:
    return EngineBusy("the model was unloaded during the measurement", "Start it again.")
