"""How much KV cache to reserve. Decided before loading, so that a chat can fill its context window but never run out of memory."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from ..checkpoint.shape import ModelShape
from ..errors import NotEnoughMemory
from ..hardware import BYTES_PER_VALUE, DType, Hardware
from .memory import Fit, judge, kv_cache_bytes, state_bytes
from .quantization import Quantization

LARGEST_WINDOW = 2**40      # tokens: more than any memory holds; a config.json can name any number
SMALLEST_WINDOW = 512       # tokens: too few for a conversation below this


@dataclass(frozen=True, slots=True)
class CacheBudget:
    """`window_tokens`: of one reply. `total_tokens`: of all replies together."""

    window_tokens: int
    total_tokens: int
    reason: str


def plan_cache(shape: ModelShape, quantization: Quantization, hardware: Hardware, *, dtype: DType, context_tokens: int,
               concurrent: int, free_bytes: int, model: str) -> CacheBudget:
    """The cache that fits: if memory is short, first fewer full windows at once, then a shorter window.

    Raises NotEnoughMemory if the weights cannot be loaded, or leave no room for a window of SMALLEST_WINDOW tokens.
    """
    window = min(context_tokens, shape.max_window)
    smallest = judge(shape, quantization, hardware, dtype=dtype, context_tokens=min(SMALLEST_WINDOW, window), concurrent=1,
                     free_bytes=free_bytes)
    if smallest.needed_bytes > free_bytes:
        raise NotEnoughMemory(model, smallest.needed_bytes, free_bytes, _remedy(quantization))
    fit = judge(shape, quantization, hardware, dtype=dtype, context_tokens=window, concurrent=concurrent, free_bytes=free_bytes)
    states = state_bytes(shape, concurrent)
    token_bytes = max(1, kv_cache_bytes(shape, 1, BYTES_PER_VALUE[dtype]))
    room = max(min(SMALLEST_WINDOW, window), (free_bytes - fit.weight_bytes - fit.runtime_bytes - states) // token_bytes)
    total = min(window * concurrent, room)
    if total >= window * concurrent:
        return CacheBudget(window, total, f"{concurrent} full windows of {window:,} tokens fit")
    if total >= window:
        return CacheBudget(window, total, f"memory holds {total / window:.1f} windows of {window:,} tokens instead of {concurrent}")
    return CacheBudget(total, total, f"memory holds {total:,} tokens, so the window is cut from {window:,}")


def largest_window(shape: ModelShape, quantization: Quantization, hardware: Hardware, *, dtype: DType, concurrent: int,
                   free_bytes: int) -> int:
    """Tokens of the largest window of which `concurrent` fit at once, at most the model's own; 0 if none fits."""
    def needed(tokens: int) -> int:
        fit: Fit = judge(shape, quantization, hardware, dtype=dtype, context_tokens=tokens, concurrent=concurrent, free_bytes=free_bytes)
        return fit.needed_bytes

    longest = min(shape.max_window, LARGEST_WINDOW)
    return max(0, bisect_right(range(1, longest + 1), free_bytes, key=needed))


def _remedy(quantization: Quantization) -> str:
    return "Load it in 4-bit, or choose a smaller model." if quantization.bits > 4 else "Choose a smaller model."
