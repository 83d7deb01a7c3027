"""Measures matrix products with plain and with packed bfloat16 weights on this CPU.

    python -m benchmarks.packing

Each shape has weights of 60 MB in all, too many for the CPU caches. Prints the microseconds of one product and the ratio.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

from engine.compat.torch import has_bfloat16_kernels
from engine.models.packing import PackedProduct

SHAPES = ((576, 576), (1536, 576), (576, 1536), (2048, 2048), (6144, 2048))
ROWS = (1, 8, 64, 256)
TOTAL_BYTES = 60e6


def seconds(run: Callable[[], object], repeats: int = 3) -> float:
    run()
    started = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - started) / repeats


def main() -> None:
    if not has_bfloat16_kernels():
        print("This CPU has no kernels for bfloat16, so the engine packs nothing here.")
        return
    print("| out x in | rows | plain, us | packed, us | plain / packed |\n|---|---|---|---|---|")
    with torch.no_grad():
        for out, into in SHAPES:
            plain = [nn.Linear(into, out, bias=False, dtype=torch.bfloat16) for _ in range(max(1, int(TOTAL_BYTES / (out * into * 2))))]
            packed = [PackedProduct(layer.weight) for layer in plain]
            for rows in ROWS:
                x = torch.randn(1, rows, into, dtype=torch.bfloat16)
                before = seconds(lambda x=x, layers=plain: [layer(x) for layer in layers]) / len(plain)       # type: ignore[misc]
                after = seconds(lambda x=x, layers=packed: [layer(x) for layer in layers]) / len(plain)       # type: ignore[misc]
                print(f"| {out} x {into} | {rows} | {before * 1e6:.0f} | {after * 1e6:.0f} | {before / after:.2f} |")


if __name__ == "__main__":
    main()
