"""This machine's memory bandwidth and compute, measured once per process, and the share of them that a model uses."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from ...checkpoint.shape import ModelShape
from ...hardware import BYTES_PER_VALUE, DType, Hardware
from ...models.bandwidth import copy_bandwidth
from ...models.memory import kv_cache_bytes
from ...models.quantization import Quantization

if TYPE_CHECKING:
    from .speed import Speed

MATRIX_SIZES = {"cpu": (512, 2048), "mps": (2048, 4096), "cuda": (4096, 8192)}     # rows of the prompt, width of a layer
ROUNDS = 4              # the best one counts: other processes slow the rest
NEAR_LIMIT = 0.5        # above this share, memory bandwidth is the limit

BoundKey = Literal["cache", "memory", "unpacking", "steps"]


@dataclass(frozen=True, slots=True)
class LimitShare:
    """Used and available: bytes per second in token generation, floating-point operations per second in prompt processing."""

    moved_bytes_per_second: float
    copy_bytes_per_second: float
    prompt_flops: float
    matrix_flops: float
    quantization: Quantization

    @property
    def write(self) -> float:
        """Bandwidth utilisation: 0 to 1, higher if weights stay in the processor's cache."""
        return self.moved_bytes_per_second / self.copy_bytes_per_second if self.copy_bytes_per_second else 0.0

    @property
    def read(self) -> float:
        return self.prompt_flops / self.matrix_flops if self.matrix_flops else 0.0

    @property
    def bound(self) -> BoundKey:
        """What limits token generation here, as a key that a page can translate; `sentence` says it in English."""
        if self.write > 1:
            return "cache"
        if self.write >= NEAR_LIMIT:
            return "memory"
        return "unpacking" if self.quantization is not Quantization.NONE else "steps"

    @property
    def sentence(self) -> str:
        used = f"{self.write:.0%} of the measured {self.copy_bytes_per_second / 1e9:.0f} GB/s"
        match self.bound:
            case "cache":
                return f"The weights fit in the processor's cache, so memory bandwidth does not limit this model on this machine ({used})."
            case "memory":
                return f"Memory bandwidth limits this model on this machine: token generation uses {used}."
            case "unpacking":
                return (f"Dequantizing {self.quantization.upper()} weights at every step limits this model on this machine: "
                        f"token generation uses only {used}.")
            case "steps":
                return f"Overhead between matrix multiplications limits this model on this machine: token generation uses only {used}."


def share_of_limit(speed: Speed, shape: ModelShape, weight_bytes: int, dtype: DType, quantization: Quantization,
                   hardware: Hardware) -> LimitShare:
    plan = speed.plan
    context = max(1, plan.depth_tokens) + plan.new_tokens // 2      # on average during generation
    moved = bytes_per_token(shape, weight_bytes, dtype, context, has_own_head=quantization.kernel(hardware) == "pytorch")
    return LimitShare(
        moved * speed.write.mean, copy_bandwidth(hardware),
        flops_per_token(shape) * speed.prompt.mean, matrix_rate(hardware, dtype), quantization)


def bytes_per_token(shape: ModelShape, weight_bytes: int, dtype: DType, context_tokens: int, *, has_own_head: bool = False) -> float:
    """Bytes read to generate one token: the weights as stored in memory, without those that a token does not use, and the cache.

    Weight bytes x tokens/s over the copy bandwidth is the field's bandwidth utilisation (gpt-fast); the cache is added because it
    is read as well. Left out: all but one row of an embedding table that is not tied to the head, and experts that are not chosen.
    `has_own_head`: a tied head is a copy of its own, so the table is not read for it.
    """
    linear, other = shape.weights_per_token
    table = shape.vocab_size * shape.hidden_size if has_own_head and not shape.head_weights else 0
    unused = (shape.parameters - linear - other + table) * BYTES_PER_VALUE[dtype]
    return max(0.0, weight_bytes - unused) + kv_cache_bytes(shape, context_tokens, BYTES_PER_VALUE[dtype])


def flops_per_token(shape: ModelShape) -> float:
    """2 x weights of the matrices that every prompt token passes (Kaplan et al., arXiv 2001.08361); attention is left out."""
    return 2 * (shape.linear_weights + shape.expert_weights * shape.expert_share)


@cache
def matrix_rate(hardware: Hardware, dtype: DType) -> float:
    """Floating-point operations per second of one large product in `dtype`, measured once a process in less than a second."""
    import torch

    rows, width = MATRIX_SIZES[hardware.kind]
    kind = getattr(torch, dtype)
    left = torch.randn(rows, width, device=hardware.device, dtype=torch.float32).to(kind)
    right = torch.randn(width, width, device=hardware.device, dtype=torch.float32).to(kind)
    _seconds(left, right, hardware)     # lets the library choose its kernel
    return 2 * rows * width * width / min(_seconds(left, right, hardware) for _ in range(ROUNDS))


def _seconds(left: Any, right: Any, hardware: Hardware) -> float:
    import torch

    started = time.perf_counter()
    left @ right
    if hardware.kind == "cuda":
        torch.cuda.synchronize(left.device)
    elif hardware.kind == "mps":
        torch.mps.synchronize()
    return time.perf_counter() - started
