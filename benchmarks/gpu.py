"""What a GPU does with models of 1 B and 8 B parameters, in one command of less than five minutes.

    python -m benchmarks.gpu [--only 8B] [--out docs/benchmarks/gpu.json]
    python -m benchmarks.gpu --tiny --device cpu        # the same code with a tiny model, without a GPU

Llama-shaped models with random weights are made on the GPU, written to memory (or to the disk, if there is too little), and loaded by
the engine like any other, unquantized and in 4-bit. Users send prompts of 512 tokens at the same time, without pauses:

prompt tok/s    all prompt tokens, by the time until every user has the first token; no prompt shares a beginning with another
decode tok/s    new tokens of all users while all are generating: the same prompts again, which are in the cache now
of bandwidth    weights once a step and every user's cache, by the time of the step, over the bandwidth of a plain copy

Memory is that of the device above its use before the load, as a peak of loading and of all measurements.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from engine import Engine, EngineError, GenerationOptions, LoadOptions, ModelSpec, Quantization, Settings, estimate_fit
from engine.benchmark.measure.limits import bytes_per_token
from engine.benchmark.measure.prompts import unique_ids
from engine.generation.base import NewTokens
from engine.models.bandwidth import copy_bandwidth
from engine.models.memory_peak import PeakWatch

from .fit import Made, decoder, make
from .make_model import make_tokenizer

if TYPE_CHECKING:
    from engine import Released
    from engine.runtime.active_model import ActiveModel

GIB = 2**30
KINDS = (Quantization.NONE, Quantization.NF4)


@dataclass(frozen=True, slots=True)
class Plan:
    """`users`: how many send at the same time, one count after the other."""

    models: tuple[Made, ...]
    users: tuple[int, ...]
    prompt_tokens: int
    new_tokens: int
    vocabulary: int

    @property
    def window_tokens(self) -> int:
        return self.prompt_tokens + 2 * self.new_tokens


# The sizes of Llama 3.2 1B and Llama 3.1 8B.
FULL = Plan((Made("1B", "llama", "bfloat16", decoder(2048, 16, 8192, 32, 8, 128_256, True), "4GB"),
             Made("8B", "llama", "bfloat16", decoder(4096, 32, 14336, 32, 8, 128_256, False, head_dim=128), "4GB")),
            (1, 8, 64), 512, 64, 8192)
TINY = Plan((Made("tiny", "llama", "bfloat16", decoder(128, 2, 256, 2, 1, 512, True)),), (1, 2, 8), 48, 16, 512)


@dataclass(frozen=True, slots=True)
class Row:
    users: int
    prompt_rate: float
    decode_rate: float
    share_of_bandwidth: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Sizes in bytes."""

    model: str
    quantization: str
    lane: str
    load_s: float
    rows: tuple[Row, ...]
    estimate: int
    peak: int
    held: int
    returned: int


def together(active_model: ActiveModel, prompts: Sequence[list[int]], new_tokens: int) -> list[list[float]]:
    """Send all prompts at the same time; returns when each token of each reply came, in seconds from the start."""
    arrivals: list[list[float]] = [[] for _ in prompts]
    options = GenerationOptions(max_new_tokens=new_tokens, temperature=0.0, ignores_end=True)
    started = time.perf_counter()

    def read(number: int) -> None:
        for event in active_model.stream_ids(prompts[number], options):
            if isinstance(event, NewTokens):
                arrivals[number] += [time.perf_counter() - started] * len(event.ids)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if any(len(each) != new_tokens for each in arrivals):
        raise RuntimeError(f"replies of {sorted({len(each) for each in arrivals})} tokens instead of {new_tokens}")
    return arrivals


def measure(active_model: ActiveModel, users: int, plan: Plan, copy_rate: float) -> Row:
    together(active_model, [unique_ids(active_model, plan.prompt_tokens) for _ in range(users)], 4)      # kernels are chosen
    prompts = [unique_ids(active_model, plan.prompt_tokens) for _ in range(users)]
    reading_s = max(each[0] for each in together(active_model, prompts, 1))
    arrivals = together(active_model, prompts, plan.new_tokens)
    begin, end = max(each[0] for each in arrivals), min(each[-1] for each in arrivals)
    rate = sum(begin < at <= end for each in arrivals for at in each) / (end - begin) if end > begin else 0.0
    candidate = active_model.candidate
    step_bytes = bytes_per_token(candidate.shape, active_model.weight_bytes, candidate.dtype,
                                 users * (plan.prompt_tokens + plan.new_tokens // 2))
    return Row(users, users * plan.prompt_tokens / reading_s, rate, rate / users * step_bytes / copy_rate)


def measure_load(engine: Engine, folder: Path, made: Made, quantization: Quantization, plan: Plan) -> Measured:
    """Load, measure with every number of users, unload. Raises LoadError."""
    visitors, hardware = max(plan.users), engine.hardware
    fits = estimate_fit(str(folder), context_tokens=plan.window_tokens, visitors=visitors, settings=engine.settings, hardware=hardware)
    estimate = next(choice.fit for choice in fits.choices if choice.quantization is quantization)
    started, rows = time.perf_counter(), []
    with PeakWatch(hardware) as watch:
        for _ in engine.load(ModelSpec(str(folder), quantization=quantization), LoadOptions(plan.window_tokens, visitors)):
            pass
        load_s = time.perf_counter() - started
        with engine.using() as active_model:
            lane, room = active_model.lane_reason, active_model.candidate.budget.total_tokens // plan.window_tokens
            print(f"\n{made.name}, {quantization}: loaded in {load_s:.1f} s; {lane}", flush=True)
            print("| users | prompt tok/s | decode tok/s | of bandwidth | over one user |\n|---|---|---|---|---|")
            for users in plan.users:
                if users > room:
                    print(f"| {users} | the cache has room for {room} | | | |")
                    continue
                rows.append(measure(active_model, users, plan, copy_bandwidth(hardware)))
                print(f"| {users} | {rows[-1].prompt_rate:,.0f} | {rows[-1].decode_rate:,.1f} | {rows[-1].share_of_bandwidth:.0%} | "
                      f"{rows[-1].decode_rate / rows[0].decode_rate:.1f}x |", flush=True)
    held, released = engine.held_bytes, engine.unload("stop")
    _show_memory(estimate.total_bytes, watch.peak_bytes, released)
    return Measured(made.name, quantization, lane, load_s, tuple(rows), estimate.total_bytes, watch.peak_bytes, held,
                    released.returned_bytes)


def _show_memory(estimate: int, peak: int, released: Released) -> None:
    print(f"peak {peak / GIB:.2f} GiB, estimated {estimate / GIB:.2f} GiB ({estimate / peak - 1:+.0%}); {released.sentence}", flush=True)


def place_for(size_bytes: int) -> str | None:
    """A folder with so much room: in memory, if that leaves as much free, else on the disk; None if there is none."""
    shared = Path("/dev/shm")
    with suppress(OSError):
        if shutil.disk_usage(shared).free > 1.1 * size_bytes and psutil.virtual_memory().available > 2.2 * size_bytes:
            return str(shared)
    return tempfile.gettempdir() if shutil.disk_usage(tempfile.gettempdir()).free > 1.1 * size_bytes else None


def size_of(made: Made) -> int:
    """Bytes of its weights in 16 bits."""
    sizes: dict[str, int] = made.sizes
    query, key = sizes["num_attention_heads"] * sizes["head_dim"], sizes["num_key_value_heads"] * sizes["head_dim"]
    layer = sizes["hidden_size"] * (2 * query + 2 * key + 3 * sizes["intermediate_size"])
    tables = sizes["vocab_size"] * sizes["hidden_size"] * (1 if sizes["tie_word_embeddings"] else 2)
    return 2 * (sizes["num_hidden_layers"] * layer + tables)


def run(plan: Plan, device: str, only: str) -> list[Measured]:
    found: list[Measured] = []
    tokenizer = make_tokenizer(plan.vocabulary)
    with tempfile.TemporaryDirectory(prefix="gpu-") as data:
        engine = Engine(Settings(device=device, data_dir=Path(data)))
        print(f"{engine.hardware.name}; a copy moves {copy_bandwidth(engine.hardware) / 1e9:,.0f} GB/s", flush=True)
        for made in plan.models:
            if only not in made.name:
                continue
            place = place_for(size_of(made))
            if place is None:
                print(f"\n{made.name}: there is no room for {size_of(made) / GIB:.1f} GiB of files")
                continue
            with tempfile.TemporaryDirectory(prefix="gpu-", dir=place) as folder:
                make(made, Path(folder), tokenizer, engine.hardware.device)
                _empty_cache()
                for quantization in KINDS:
                    try:
                        found.append(measure_load(engine, Path(folder), made, quantization, plan))
                    except EngineError as error:        # too large, or no 4-bit here
                        print(f"\n{made.name}, {quantization}: {error}")
        engine.close()
    return found


def _empty_cache() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a tiny model instead, to test this script")
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("There is no CUDA GPU here, so nothing is measured. --tiny --device cpu runs the same code with a tiny model.")
        return
    started = time.perf_counter()
    found = run(TINY if options.tiny else FULL, options.device, options.only)
    print(f"\n{len(found)} loads measured in {time.perf_counter() - started:.0f} s")
    if options.out:
        options.out.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
