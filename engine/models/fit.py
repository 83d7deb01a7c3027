"""Memory arithmetic: what a model will take, before it is loaded. No tensor is touched here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from ..errors import NotEnoughMemory, gib
from ..hardware import BYTES_PER_VALUE, DType, Hardware
from .quantization import Quantization
from .shape import ModelShape

RUNTIME_BYTES = {"cuda": 600 * 2**20, "mps": 300 * 2**20, "cpu": 150 * 2**20}   # context, workspaces: measured order of size
TIGHT_SHARE = 0.85      # above this share of free memory a load works but leaves little for anything else


class Verdict(StrEnum):
    FITS = "fits"
    TIGHT = "tight"
    TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True)
class Fit:
    weight_bytes: int
    kv_bytes: int
    runtime_bytes: int
    free_bytes: int

    @property
    def needed_bytes(self) -> int:
        return self.weight_bytes + self.kv_bytes + self.runtime_bytes

    @property
    def verdict(self) -> Verdict:
        if self.needed_bytes > self.free_bytes:
            return Verdict.TOO_LARGE
        return Verdict.TIGHT if self.needed_bytes > TIGHT_SHARE * self.free_bytes else Verdict.FITS

    @property
    def sentence(self) -> str:
        return (f"{self.verdict.value}: {gib(self.weight_bytes)} weights + {gib(self.kv_bytes)} cache + "
                f"{gib(self.runtime_bytes)} runtime of {gib(self.free_bytes)} free")


def kv_cache_bytes(shape: ModelShape, context_tokens: int, bytes_per_value: float) -> int:
    """Size of the keys and values of one sequence: 2 x layers x kv_heads x head_dim x tokens.

    Assumes full attention in every layer: an upper bound for sliding-window models.
    """
    return math.ceil(2 * shape.layers * shape.kv_heads * shape.head_dim * context_tokens * bytes_per_value)


def weight_bytes(shape: ModelShape, quantization: Quantization, hardware: Hardware, dtype: DType) -> int:
    """Size of the loaded weights. Only matrices of linear layers are packed."""
    wide = BYTES_PER_VALUE[dtype]
    packed = quantization.bytes_per_weight(hardware) if quantization is not Quantization.NONE else wide
    return math.ceil(shape.linear_weights * packed + shape.other_weights * wide)


def judge(shape: ModelShape, quantization: Quantization, hardware: Hardware, *, dtype: DType, context_tokens: int,
          concurrent: int, free_bytes: int) -> Fit:
    return Fit(weight_bytes(shape, quantization, hardware, dtype),
               concurrent * kv_cache_bytes(shape, context_tokens, BYTES_PER_VALUE[dtype]),
               RUNTIME_BYTES[hardware.kind], free_bytes)


@dataclass(frozen=True, slots=True)
class CacheBudget:
    """How much key-value cache to reserve: `window_tokens` for one reply, `total_tokens` for all together."""

    window_tokens: int
    total_tokens: int
    reason: str


def plan_cache(shape: ModelShape, quantization: Quantization, hardware: Hardware, *, dtype: DType, context_tokens: int,
               concurrent: int, free_bytes: int, model: str) -> CacheBudget:
    """Cut the cache, not the chat: fewer full windows at once first, then a shorter window.

    Raises NotEnoughMemory when not even a window of 512 tokens fits.
    """
    window = min(context_tokens, shape.max_window)
    fit = judge(shape, quantization, hardware, dtype=dtype, context_tokens=window, concurrent=concurrent, free_bytes=free_bytes)
    token_bytes = max(1, kv_cache_bytes(shape, 1, BYTES_PER_VALUE[dtype]))
    room = (free_bytes - fit.weight_bytes - fit.runtime_bytes) // token_bytes
    if room < min(512, window):
        smallest = judge(shape, quantization, hardware, dtype=dtype, context_tokens=min(512, window), concurrent=1, free_bytes=free_bytes)
        remedy = ("Load it in 4-bit, or choose a smaller model." if quantization is not Quantization.NF4
                  else "Choose a smaller model.")
        raise NotEnoughMemory(model, smallest.needed_bytes, free_bytes, remedy)
    total = min(window * concurrent, room)
    if total >= window * concurrent:
        return CacheBudget(window, total, f"{concurrent} full windows of {window:,} tokens fit")
    if total >= window:
        return CacheBudget(window, total, f"memory holds {total / window:.1f} windows of {window:,} tokens instead of {concurrent}")
    return CacheBudget(total, total, f"memory holds {total:,} tokens, so the window is cut from {window:,}")
