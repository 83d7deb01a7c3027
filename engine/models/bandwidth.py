"""Memory bandwidth of this machine, which limits the speed of token generation."""

from __future__ import annotations

import time
from functools import cache

from ..hardware import Hardware

SAMPLE_BYTES = {"cpu": 64 * 2**20, "mps": 128 * 2**20, "cuda": 512 * 2**20}     # exceeds any last-level cache
ROUNDS = 4      # the fastest one counts, as others were disturbed; 10 ms each on a CPU


@cache
def copy_bandwidth(hardware: Hardware) -> float:
    """Bytes read plus bytes written per second of copying. Measured once per process, in less than 0.3 s."""
    import torch

    source = torch.ones(SAMPLE_BYTES[hardware.kind], dtype=torch.uint8, device=hardware.device)
    target = torch.empty_like(source)
    target.copy_(source)        # maps the pages
    seconds = [_seconds(source, target, hardware) for _ in range(ROUNDS)]
    return 2 * SAMPLE_BYTES[hardware.kind] / min(seconds)


def _seconds(source: object, target: object, hardware: Hardware) -> float:
    import torch

    assert isinstance(source, torch.Tensor)
    assert isinstance(target, torch.Tensor)
    started = time.perf_counter()
    target.copy_(source)
    if hardware.kind == "cuda":
        torch.cuda.synchronize(target.device)
    elif hardware.kind == "mps":
        torch.mps.synchronize()
    return time.perf_counter() - started
