"""Checks the speeds that we measure: against a second measurement, and against times taken by transformers' own code.

    python -m benchmarks.make_model bench-models/110m
    python -m benchmarks.agreement [--model bench-models/110m] [--quantization none] [--out docs/benchmarks/agreement.json]

Prints three ratios of speeds for prompt processing (pp) and token generation (tg). Each should differ from 1 by at most 5 %.

- again: the whole measurement over a second one.
- manager: our batched lane over a second manager of transformers' continuous batching with the same weights, timed when results
  arrive in its queue.
- generate(): our single lane over transformers' generate(), timed by its streamer. Our lane processes a prompt in chunks of 256
  tokens, generate() in one piece.

For the last two, we and the other take turns in one process, so that a machine that slows down slows both. "again" needs a machine
with nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import Engine, ModelSpec, Quantization, Settings
from engine.benchmark.measure.control import Control
from engine.benchmark.measure.prompts import unique_ids
from engine.benchmark.measure.requests import time_ids
from engine.benchmark.measure.speed import SpeedPlan, measure_speed
from engine.models.spec import LoadOptions

if TYPE_CHECKING:
    from engine.runtime.active_model import ActiveModel

PP, TG, ROUNDS, WARM_UPS = 512, 128, 7, 2
TOLERANCE = 0.05
Times = tuple[float, list[float]]           # when the request was made, and when each new token arrived
Clock = Callable[[list[int], int], Times]


def generate_clock(active_model: ActiveModel) -> Clock:
    import torch
    from transformers import GenerationConfig
    from transformers.generation.streamers import BaseStreamer

    class Ticks(BaseStreamer):      # type: ignore[misc]
        def __init__(self) -> None:
            self.at: list[float] = []

        def put(self, value: torch.Tensor) -> None:
            self.at.append(time.perf_counter())         # called with the prompt first, then with each new token

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


def manager_clock(manager: Any) -> Clock:
    from engine.generation.sampling import sampling_arguments
    from engine.messages import GenerationOptions

    greedy = sampling_arguments(GenerationOptions(temperature=0.0))

    def clock(prompt: list[int], new: int) -> Times:
        ticks: list[float] = []
        started = time.perf_counter()
        manager.add_request(prompt, max_new_tokens=new, streaming=True, **greedy)
        while len(ticks) < new:
            result = manager.get_result(timeout=60)
            ticks += [time.perf_counter()] * (len(result.generated_tokens) - len(ticks))
        return started, ticks

    return clock


def in_turns(active_model: ActiveModel, clock: Clock) -> tuple[float, float]:
    """Return our median speed over that of `clock`, for pp and for tg. The two are measured in turns."""
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
    from engine.generation.batched import _create_manager

    plan = SpeedPlan(PP, TG, sees_chat=False)
    engine = Engine(Settings())
    spec = ModelSpec(model, quantization=Quantization(quantization))
    for _ in engine.load(spec, LoadOptions(context_tokens=plan.window_tokens, visitors=1)):
        pass
    first, second = measure_speed(engine, plan), measure_speed(engine, plan)
    print(f"{model}, {quantization}: pp{PP} {first.prompt.mean:.1f}, tg{TG} {first.write.mean:.1f} tok/s")
    found = {"again": (first.prompt.mean / second.prompt.mean, first.write.mean / second.write.mean)}
    with engine.using() as active_model:
        with active_model.alone() as loaded:
            manager = _create_manager(loaded.model, plan.window_tokens, 1)
        manager.start()
        found["manager"] = in_turns(active_model, manager_clock(manager))
        manager.stop(block=True, timeout=30)
        active_model._give_up_batched("measured on purpose")
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
    print(f"| ours over | pp{PP} | tg{TG} | within {TOLERANCE:.0%} |\n|---|---|---|---|")
    for name, (read, write) in found.items():
        print(f"| {name} | {read:.3f} | {write:.3f} | {'yes' if max(abs(read - 1), abs(write - 1)) <= TOLERANCE else 'no'} |")
    if options.out:
        options.out.write_text(json.dumps({"model": options.model, "quantization": options.quantization, "ratios": found}, indent=1))


if __name__ == "__main__":
    main()
