"""Whether our numbers can be trusted: two runs of a cell agree, and so does a clock of another's making.

    python -m benchmarks.make_model bench-models/110m
    python -m benchmarks.agreement [--model bench-models/110m] [--quantization none] [--out docs/benchmarks/agreement.json]

Ratios for pp and tg each. Again: the whole measurement twice; the mark is 5 % from 1. Stream: the benchmark's figures over those of
a clock beside the lane's events; the same mark. generate(): over transformers' own loop on the same weights, timed by its streamer;
above 1 is what our forward pass gains. Ours and the other take turns in one process, so that a machine which slows down slows both;
"again" needs a quiet one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engine import Engine, ModelSpec, Quantization, Settings
from engine.benchmark.measure.control import Control
from engine.benchmark.measure.prompts import unique_ids
from engine.benchmark.measure.requests import time_ids
from engine.benchmark.measure.speed import SpeedPlan, measure_speed
from engine.models.spec import LoadOptions

if TYPE_CHECKING:
    from engine.runtime.active_model import ActiveModel

PP, TG, ROUNDS, WARM_UPS = 512, 128, 7, 2
MARK = 0.05
Times = tuple[float, list[float]]           # when the request was made, when each new token came
Clock = Callable[[list[int], int], Times]


def generate_clock(active_model: ActiveModel) -> Clock:
    import torch
    from transformers import GenerationConfig
    from transformers.generation.streamers import BaseStreamer

    class Ticks(BaseStreamer):      # type: ignore[misc]
        def __init__(self) -> None:
            self.at: list[float] = []

        def put(self, value: torch.Tensor) -> None:
            self.at.append(time.perf_counter())         # the prompt first, then each token

        def end(self) -> None:
            return

    def clock(prompt: list[int], new: int) -> Times:
        config = GenerationConfig(do_sample=False, max_new_tokens=new, eos_token_id=None, pad_token_id=0)
        with active_model.alone() as loaded:
            ids, ticks = torch.tensor([prompt], device=loaded.model.device), Ticks()
            started = time.perf_counter()
            loaded.model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config, streamer=ticks)
        return started, ticks.at[1:]

    return clock


def stream_clock(active_model: ActiveModel) -> Clock:
    """Our own lane by the clock of its reader, without the benchmark's code."""
    from engine.generation.base import NewTokens
    from engine.messages import GenerationOptions

    def clock(prompt: list[int], new: int) -> Times:
        started = time.perf_counter()
        events = active_model.stream_ids(prompt, GenerationOptions(max_new_tokens=new, temperature=0.0, ignores_end=True))
        return started, [time.perf_counter() for event in events if isinstance(event, NewTokens)]

    return clock


def in_turns(active_model: ActiveModel, clock: Clock) -> tuple[float, float]:
    """Median rate of ours over median rate of the other: pp, tg."""
    reads, writes = ([], []), ([], [])      # type: tuple[list[float], list[float]], tuple[list[float], list[float]]
    for number in range(WARM_UPS + ROUNDS):
        started, ticks = clock(unique_ids(active_model, PP), 1)
        ours, theirs = time_ids(active_model, unique_ids(active_model, PP), 1, Control()).prompt_rate, PP / (ticks[0] - started)
        if number >= WARM_UPS:
            reads[0].append(ours)
            reads[1].append(theirs)
    for number in range(WARM_UPS + ROUNDS):
        _, ticks = clock(unique_ids(active_model, 1), TG)
        ours, theirs = time_ids(active_model, unique_ids(active_model, 1), TG, Control()).write_rate, (TG - 1) / (ticks[-1] - ticks[0])
        if number >= WARM_UPS:
            writes[0].append(ours)
            writes[1].append(theirs)
    median = statistics.median
    return median(reads[0]) / median(reads[1]), median(writes[0]) / median(writes[1])


def measure(model: str, quantization: str) -> dict[str, tuple[float, float]]:
    plan = SpeedPlan(PP, TG, sees_chat=False)
    engine = Engine(Settings())
    spec = ModelSpec(model, quantization=Quantization(quantization))
    for _ in engine.load(spec, LoadOptions(context_tokens=plan.window_tokens, visitors=1)):
        pass
    first, second = measure_speed(engine, plan), measure_speed(engine, plan)
    print(f"{model}, {quantization}: pp{PP} {first.prompt.mean:.1f}, tg{TG} {first.write.mean:.1f} tok/s")
    found = {"again": (first.prompt.mean / second.prompt.mean, first.write.mean / second.write.mean)}
    with engine.using() as active_model:
        found["stream"] = in_turns(active_model, stream_clock(active_model))
        found["generate()"] = in_turns(active_model, generate_clock(active_model))
    engine.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="bench-models/110m")
    parser.add_argument("--quantization", default="none")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = measure(options.model, options.quantization)
    print(f"| ours over | pp{PP} | tg{TG} | within {MARK:.0%} |\n|---|---|---|---|")
    for name, (read, write) in found.items():
        print(f"| {name} | {read:.3f} | {write:.3f} | "
              f"{'' if name == 'generate()' else 'yes' if max(abs(read - 1), abs(write - 1)) <= MARK else 'no'} |")
    if options.out:
        options.out.write_text(json.dumps({"model": options.model, "quantization": options.quantization, "ratios": found}, indent=1))


if __name__ == "__main__":
    main()
