"""The parts of a decoder layer, as functions of plain tensors: norms, rotary positions, attention, feed-forward. Read by reading.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import rms_norm

from .attention import Shape, Step, attend
from .paged_cache import LayerPool

Function = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class RmsNorm:
    """x / rms(x) * weight over the last dimension (Zhang and Sennrich 2019, arXiv 1910.07467). in_float: multiplied before rounding."""

    weight: torch.Tensor
    eps: float
    in_float: bool = False

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if self.in_float:
            return rms_norm(x.float(), self.weight.shape, self.weight, self.eps).to(x.dtype)
        return rms_norm(x, self.weight.shape, self.weight, self.eps)


@dataclass(frozen=True, slots=True)
class Rotary:
    """Rotary positions (Su et al. 2021, arXiv 2104.09864) from a table of the model's own.

    cos, sin: (positions, 1, rotated dimensions); the sine has the signs of the rotation. in_pairs: neighbours are rotated with each
    other, not the first half with the second.
    """

    cos: torch.Tensor
    sin: torch.Tensor
    in_pairs: bool

    def at(self, positions: torch.Tensor) -> Rotary:
        return Rotary(self.cos[positions], self.sin[positions], self.in_pairs)

    def on_axes(self, positions: torch.Tensor, axis: torch.Tensor) -> Rotary:
        """positions: (axes, tokens). axis: (rotated dimensions,), the one whose position turns each dimension."""
        where, dimensions = positions[axis].T, torch.arange(len(axis), device=axis.device)
        return Rotary(self.cos[where, 0, dimensions][:, None], self.sin[where, 0, dimensions][:, None], self.in_pairs)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x: (tokens, heads, dim); dimensions beyond the rotated ones stay."""
        size = self.cos.shape[-1]
        turned = x if size == x.shape[-1] else x[..., :size]
        other = turned.view(*turned.shape[:-1], -1, 2).flip(-1).flatten(-2) if self.in_pairs else turned.roll(size // 2, -1)
        rotated = turned * self.cos + other * self.sin
        return rotated if size == x.shape[-1] else torch.cat([rotated, x[..., size:]], dim=-1)


@dataclass(frozen=True, slots=True)
class Attention:
    """qkv: (tokens, hidden) to queries, keys and values of all heads side by side. norm: of queries and keys, before the rotation.

    norms_whole: norm applies to all heads together, not to each. rotary: the kind of table, or None for a layer without positions.
    """

    qkv: Function
    output: Function
    heads: int
    kv_heads: int
    dim: int
    pool: LayerPool
    shape: Shape
    rotary: str | None
    query_norm: Function | None = None
    key_norm: Function | None = None
    norms_whole: bool = False

    def __call__(self, x: torch.Tensor, step: Step, tables: dict[str, Rotary]) -> torch.Tensor:
        joint, keys_begin = self.qkv(x), self.heads * self.dim
        values_begin = keys_begin + self.kv_heads * self.dim
        if self.query_norm is None or self.key_norm is None:
            both = joint[:, :values_begin].view(len(x), self.heads + self.kv_heads, self.dim)
        elif self.norms_whole:
            both = torch.cat([self.query_norm(joint[:, :keys_begin]), self.key_norm(joint[:, keys_begin:values_begin])],
                             dim=-1).view(len(x), -1, self.dim)
        else:
            both = torch.cat([self.query_norm(joint[:, :keys_begin].view(len(x), self.heads, self.dim)),
                              self.key_norm(joint[:, keys_begin:values_begin].view(len(x), self.kv_heads, self.dim))], dim=1)
        if self.rotary is not None:
            both = tables[self.rotary](both)
        self.pool.write(step.slots, both[:, self.heads:], joint[:, values_begin:].view(len(x), self.kv_heads, -1))
        return self.output(attend(both[:, : self.heads], self.pool, step, self.shape).flatten(1))


@dataclass(frozen=True, slots=True)
class GatedFeedForward:
    """down(activation(gate) * up) with gate and up side by side in one product (GLU variants, Shazeer 2020, arXiv 2002.05202)."""

    gate_up: Function
    activation: Function
    down: Function

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(self.activation(gate) * up)


@dataclass(frozen=True, slots=True)
class Layer:
    """A norm is None where the family has none. is_parallel: attention and feed-forward read the same input."""

    attention: Attention
    feed_forward: Function
    before_attention: Function | None
    after_attention: Function | None
    before_feed_forward: Function | None
    after_feed_forward: Function | None
    is_parallel: bool = False
    multiplier: float | None = None

    def __call__(self, x: torch.Tensor, step: Step, tables: dict[str, Rotary]) -> torch.Tensor:
        normed = x if self.before_attention is None else self.before_attention(x)
        attended = self.attention(normed, step, tables)
        if self.is_parallel:
            return x + attended + self.feed_forward(normed)
        if self.after_attention is not None:
            attended = self.after_attention(attended)
        x = x + (attended if self.multiplier is None else attended * self.multiplier)
        fed = self.feed_forward(x if self.before_feed_forward is None else self.before_feed_forward(x))
        if self.after_feed_forward is not None:
            fed = self.after_feed_forward(fed)
        return x + (fed if self.multiplier is None else fed * self.multiplier)
