"""Matrix products on this CPU: plain weights in its compute dtype, packed bfloat16 where it has that, and integers.

    python -m benchmarks.packing [--threads 2]

Weights of 60 MB in all per shape, so that caches do not hold them. Prints microseconds of one product, the best of five rounds. The last
shape is an output head. From the rows at which "int8" and "int4" stop winning comes `few_rows` of engine/models/integer.py: with more
rows than that they expand the weights.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from engine.compat.torch import has_bfloat16_kernels
from engine.hardware import detect
from engine.models.integer import Int4Product, Int8Product, IntegerProduct
from engine.models.linear import PlainProduct, Product
from engine.models.packing import PackedProduct

SHAPES = ((576, 576), (3072, 576), (576, 1536), (2048, 2048), (12288, 2048), (32000, 1024))
ROWS = (1, 8, 16, 24, 32, 64, 256)
TOTAL_BYTES, ROUNDS = 60e6, 5


def seconds(layers: list[Product], x: torch.Tensor, setting: int | None = None) -> float:
    """The best time of one product. `setting`: the rows up to which products of integers use their kernel."""
    best = float("inf")
    previous = {kind: kind.few_rows for kind in (Int8Product, Int4Product)}
    for kind in previous:
        kind.few_rows = kind.few_rows if setting is None else setting
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for layer in layers:
            layer(x)
        best = min(best, time.perf_counter() - started)
    for kind, rows in previous.items():
        kind.few_rows = rows
    return best / len(layers)


def kinds(dtype: torch.dtype) -> dict[str, Callable[[torch.Tensor], Product]]:
    found: dict[str, Callable[[torch.Tensor], Product]] = {str(dtype).removeprefix("torch."): lambda weight: PlainProduct(weight.to(dtype))}
    if dtype == torch.bfloat16 and has_bfloat16_kernels():
        found["packed"] = lambda weight: PackedProduct(weight.bfloat16())
    return {**found, "int8": Int8Product.of, "int4": Int4Product.of}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    hardware = detect("cpu")
    torch.set_num_threads(options.threads or hardware.cores)
    dtype = getattr(torch, hardware.dtype)
    names = [name for kind in kinds(dtype) for name in ((kind, f"{kind}, expanded") if kind.startswith("int") else (kind,))]
    print(f"{hardware.name}, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads\n")
    print(f"| out x in | rows | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}")
    with torch.no_grad():
        for out, into in SHAPES:
            count = max(1, int(TOTAL_BYTES / (out * into * 4)))
            layers = {name: [make(torch.randn(out, into) * 0.02) for _ in range(count)] for name, make in kinds(dtype).items()}
            for rows in ROWS:
                x = torch.randn(rows, into).to(dtype)
                times = [seconds(each, x, setting) * 1e6 for each in layers.values()
                         for setting in ((10**9, 0) if isinstance(each[0], IntegerProduct) else (None,))]
                print(f"| {out} x {into} | {rows} | {' | '.join(f'{each:.0f}' for each in times)} |", flush=True)


if __name__ == "__main__":
    main()
