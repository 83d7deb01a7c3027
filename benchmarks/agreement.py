"""Whether our numbers can be trusted: two runs of a cell agree, and so does a clock of another's making.

    python -m benchmarks.make_model bench-models/110m
    python -m benchmarks.agreement [--model bench-models/110m] [--out docs/benchmarks/agreement.json]

Three ratios for pp and tg each; the mark is 5 % from 1. Again: the same cell measured twice. generate(): our single lane over
transformers alone, timed by its own streamer. Manager: our batched lane over transformers' continuous batching with the same
configuration, timed by its own result queue. Each runs alone in a process of its own. On a machine that others use, they differ.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PP, TG, REPEATS, WARM_UPS = 512, 128, 5, 3
MARK = 0.05
Rates = tuple[float, float]     # tokens per second: pp, tg


def batched(model: str, quantization: str) -> Rates:
    return ours(model, quantization, is_single=False)


def single(model: str, quantization: str) -> Rates:
    return ours(model, quantization, is_single=True)


def ours(model: str, quantization: str, *, is_single: bool) -> Rates:
    from engine import Engine, ModelSpec, Quantization, Settings
    from engine.benchmark.speed import SpeedPlan, measure_speed
    from engine.models.spec import LoadOptions

    plan = SpeedPlan(PP, TG, repetitions=REPEATS, sees_chat=False)
    engine = Engine(Settings())
    spec = ModelSpec(model, quantization=Quantization(quantization))
    for _ in engine.load(spec, LoadOptions(context_tokens=plan.window_tokens, visitors=1)):
        pass
    if is_single:
        with engine.using() as residence:
            residence._give_up_batched("measured on purpose")
    speed = measure_speed(engine, plan)
    engine.close()
    return speed.prompt.mean, speed.write.mean


def prepared(model: str, quantization: str) -> tuple[Any, Callable[[int], list[int]]]:
    """The engine's own weights, which are what is the same on both sides, without its lanes; and fresh prompts."""
    from engine import ModelSpec, Quantization, Settings
    from engine.hardware import detect
    from engine.models.loader import examine, load

    hardware, settings = detect(), Settings(context_tokens=PP + TG + 16, concurrent_replies=1)
    spec = ModelSpec(model, quantization=Quantization(quantization))
    candidate = examine(spec, hardware, settings, hardware.free_bytes(), lambda event: None)
    loaded = load(candidate, hardware, lambda event: None)
    draw = random.SystemRandom()
    size = min(len(loaded.tokenizer), loaded.model.get_input_embeddings().num_embeddings)
    return loaded.model, lambda count: [draw.randrange(3, size) for _ in range(count)]


def generate(model: str, quantization: str) -> Rates:
    import torch
    from transformers import GenerationConfig
    from transformers.generation.streamers import BaseStreamer

    loaded, fresh = prepared(model, quantization)

    class Clock(BaseStreamer):      # type: ignore[misc]
        def __init__(self) -> None:
            self.ticks: list[float] = []

        def put(self, value: torch.Tensor) -> None:
            self.ticks.append(time.perf_counter())      # the prompt first, then each token

        def end(self) -> None:
            return

    def timed(prompt: int, new: int) -> tuple[float, list[float]]:
        ids, clock = torch.tensor([fresh(prompt)], device=loaded.device), Clock()
        config = GenerationConfig(do_sample=False, max_new_tokens=new, eos_token_id=None, pad_token_id=0)
        started = time.perf_counter()
        loaded.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config, streamer=clock)
        return started, clock.ticks[1:]

    return rates(timed)


def manager(model: str, quantization: str) -> Rates:
    from engine.generation.batched import _create_manager
    from engine.generation.sampling import sampling_arguments
    from engine.messages import GenerationOptions

    loaded, fresh = prepared(model, quantization)
    batching = _create_manager(loaded, PP + TG + 16, 1)
    batching.start()
    greedy = sampling_arguments(GenerationOptions(temperature=0))

    def timed(prompt: int, new: int) -> tuple[float, list[float]]:
        ticks: list[float] = []
        started = time.perf_counter()
        batching.add_request(fresh(prompt), max_new_tokens=new, streaming=True, **greedy)
        while len(ticks) < new:
            result = batching.get_result(timeout=60)
            ticks += [time.perf_counter()] * (len(result.generated_tokens) - len(ticks))
        return started, ticks

    try:
        return rates(timed)
    finally:
        batching.stop(block=True, timeout=30)


def rates(timed: Callable[[int, int], tuple[float, list[float]]]) -> Rates:
    """pp: prompt tokens until the first new one; tg: new tokens after the first, behind a prompt of one token."""
    reading, writing = [], []
    for number in range(WARM_UPS + REPEATS):
        started, ticks = timed(PP, 1)
        if number >= WARM_UPS:
            reading.append(PP / (ticks[0] - started))
    for number in range(WARM_UPS + REPEATS):
        _, ticks = timed(1, TG)
        if number >= WARM_UPS:
            writing.append((TG - 1) / (ticks[-1] - ticks[0]))
    return statistics.mean(reading), statistics.mean(writing)


def alone(measure: Callable[[str, str], Rates], model: str, quantization: str) -> Rates:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (model, quantization))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="bench-models/110m")
    parser.add_argument("--quantization", default="none")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    cell = (options.model, options.quantization)
    pairs = {"batched, again": (batched, batched), "single, generate()": (single, generate), "batched, manager": (batched, manager)}
    found = {name: (alone(mine, *cell), alone(other, *cell)) for name, (mine, other) in pairs.items()}
    table = {name: [mine / other for mine, other in zip(*rates, strict=True)] for name, rates in found.items()}
    print(f"| ours over | pp{PP} | tg{TG} | within {MARK:.0%} |\n|---|---|---|---|")
    for name, (read, write) in table.items():
        print(f"| {name} | {read:.3f} | {write:.3f} | {'yes' if max(abs(read - 1), abs(write - 1)) <= MARK else 'no'} |")
    if options.out:
        options.out.write_text(json.dumps({"tokens_per_second": found, "ratios": table}, indent=1))


if __name__ == "__main__":
    main()
