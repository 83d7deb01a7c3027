"""Attention over the paged KV cache, computed for each reply over its own keys and values only.

Keys in consecutive slots are read in place; others are copied together first, a run at a time where there are few. A reply that
generates one token uses its query heads as the queries of their key-value head, so keys are not repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch.nn.functional import scaled_dot_product_attention

from .blocks import BLOCK_TOKENS, BlockTable
from .paged_cache import LayerPool

MOST_RUNS = 16          # of consecutive slots: more are copied faster one by one
MOST_SCORES = 2**22     # in memory at once: 16 MiB in float32, a few times; more is also slower, because it leaves the caches


# The tokens of a picture see those before them; or all of the picture (Gemma 3); or all of it in layers with a window, and within that
# window (large Gemma 4).
Sight = Literal["causal", "whole", "whole in windows"]
Place = tuple[slice, ...] | torch.Tensor      # runs of slots, or every slot


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive tokens of one reply in a step: queries `begin` to `end` of the step are the last ones of `length` cached tokens.

    `pictures`: positions, first and last + 1, of tokens that see each other in both directions (Step.sight).
    """

    begin: int
    end: int
    length: int
    table: BlockTable
    pictures: tuple[tuple[int, int], ...] = ()


def slots_of(table: BlockTable, first: int, last: int) -> torch.Tensor:
    """The slots of positions first to last - 1."""
    begin = first // BLOCK_TOKENS
    blocks = torch.tensor(table.blocks[begin: -(-last // BLOCK_TOKENS)])
    slots = (blocks[:, None] * BLOCK_TOKENS + torch.arange(BLOCK_TOKENS)).view(-1)
    return slots[first - begin * BLOCK_TOKENS: last - begin * BLOCK_TOKENS]


@dataclass(frozen=True, slots=True)
class Shape:
    """How a layer's attention deviates from plain attention with a scale."""

    scale: float | None = None
    softcap: float | None = None            # scores become softcap * tanh(score / softcap)
    sinks: torch.Tensor | None = None       # (heads,): a score without a value that joins the softmax of each head


@dataclass(frozen=True, slots=True)
class Step:
    """The tokens that are processed together: `slots` (tokens,), where their keys are written, and the replies they belong to.

    places, masks: what is made for the first layer of a kind and used by all: where the keys of a span are, and _mask.
    """

    slots: torch.Tensor
    spans: tuple[Span, ...]
    sight: Sight = "causal"
    places: dict[tuple[int, int], Place] = field(default_factory=dict)
    masks: dict[tuple[int, int | None, int | None], torch.Tensor | None] = field(default_factory=dict)

    @classmethod
    def of(cls, parts: list[tuple[BlockTable, int, int]], device: torch.device,
           pictures: Sequence[tuple[tuple[int, int], ...]] | None = None, sight: Sight = "causal") -> Step:
        """parts: for each reply its blocks, and the first and the last position + 1 of its tokens in the step. pictures: as in Span."""
        spans, begin = [], 0
        for (table, first, last), seen in zip(parts, pictures or [()] * len(parts), strict=True):
            spans.append(Span(begin, begin + last - first, last, table, seen))
            begin += last - first
        slots = torch.cat([slots_of(table, first, last) for table, first, last in parts])
        return cls(slots.to(device), tuple(spans), sight)

    def read(self, pool: LayerPool, number: int, first: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The keys and values of a span from position `first` on: (key-value heads, keys, dim)."""
        if (number, first) not in self.places:
            span = self.spans[number]
            runs = _runs_of(span.table, first, span.length)
            self.places[number, first] = runs if len(runs) <= MOST_RUNS else slots_of(span.table, first, span.length).to(self.slots.device)
        place = self.places[number, first]
        return _read(pool.keys, place).transpose(0, 1), _read(pool.values, place).transpose(0, 1)


def _runs_of(table: BlockTable, first: int, last: int) -> tuple[slice, ...]:
    """The slots of positions first to last - 1, as runs of consecutive ones."""
    runs, position, at = [], 0, 0       # of the beginning of the run; `at`: the number of its first block
    for count in table.runs:
        begin, end = max(first, position), min(last, position + count * BLOCK_TOKENS)
        if begin < end:
            offset = table.blocks[at] * BLOCK_TOKENS - position
            runs.append(slice(begin + offset, end + offset))
        position, at = position + count * BLOCK_TOKENS, at + count
    return tuple(runs)


def _read(slots: torch.Tensor, place: Place) -> torch.Tensor:
    """slots: (slots of the pool, heads, dim). Returns those of the place, in place if they follow each other."""
    if isinstance(place, torch.Tensor):
        return slots[place]
    return slots[place[0]] if len(place) == 1 else torch.cat([slots[run] for run in place])


def attend(queries: torch.Tensor, pool: LayerPool, step: Step, shape: Shape) -> torch.Tensor:
    """queries: (tokens, heads, dim); the keys of the step are in the pool already. Returns (tokens, heads, dim of values)."""
    result = queries.new_empty(*queries.shape[:2], pool.values.shape[-1])
    for number, span in enumerate(step.spans):
        result[span.begin: span.end] = _attend(queries[span.begin: span.end], pool, step, number, shape)
    return result


def _attend(queries: torch.Tensor, pool: LayerPool, step: Step, number: int, shape: Shape) -> torch.Tensor:
    span, (count, heads, dim) = step.spans[number], queries.shape
    pictures = span.pictures if step.sight == "whole" or pool.window is not None else ()
    first = _first_key(span.length - count, pool)
    keys, values = step.read(pool, number, first)
    kv_heads, num_keys = keys.shape[:2]
    mask = None
    if count > 1:
        if (number, pool.window, pool.chunk) not in step.masks:
            step.masks[number, pool.window, pool.chunk] = _mask(count, num_keys, first, pool, pictures, step.sight).to(queries.device)
        mask = step.masks[number, pool.window, pool.chunk]
    # (key-value heads, queries of each: heads of the group x tokens, dim)
    packed = queries.view(count, kv_heads, heads // kv_heads, dim)
    if shape.softcap is not None or shape.sinks is not None:
        return _explicit(packed, keys, values, mask, shape).reshape(count, heads, -1)
    if count == 1:
        return scaled_dot_product_attention(packed, keys[None], values[None], scale=shape.scale).reshape(1, heads, -1)
    is_plain = count == num_keys and pool.window is None and pool.chunk is None and not pictures
    attended = scaled_dot_product_attention(
        queries.transpose(0, 1)[None], keys[None], values[None], attn_mask=None if is_plain else mask, is_causal=is_plain,
        scale=shape.scale, enable_gqa=heads != kv_heads)
    return attended[0].transpose(0, 1)


def _first_key(first_query: int, pool: LayerPool) -> int:
    """The first position that any query of the span sees."""
    if pool.window is not None:
        return max(0, first_query - pool.window + 1)
    return first_query // pool.chunk * pool.chunk if pool.chunk is not None else 0


def _mask(count: int, num_keys: int, first: int, pool: LayerPool, pictures: tuple[tuple[int, int], ...] = (),
          sight: Sight = "whole") -> torch.Tensor:
    """(queries, keys), True where a query sees a key. The last query belongs to the last key."""
    keys = torch.arange(first, first + num_keys)
    queries = keys[-count:, None]
    seen = keys <= queries
    if pool.window is not None:
        seen &= keys > queries - pool.window
    if pool.chunk is not None:
        seen &= keys // pool.chunk == queries // pool.chunk
    for begin, end in pictures:
        together = (keys >= begin) & (keys < end) & (queries >= begin) & (queries < end)
        if sight == "whole in windows" and pool.window is not None:
            together &= keys > queries - pool.window
        seen |= together
    return seen


def _explicit(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None, shape: Shape) -> torch.Tensor:
    """Attention in single operations, for what the fused kernel lacks. queries: (tokens, kv heads, group, dim); returns the same shape."""
    rows = max(1, MOST_SCORES // (keys.shape[0] * keys.shape[1] * queries.shape[2]))
    if len(queries) > rows:
        assert mask is not None
        return torch.cat([_explicit(queries[begin: begin + rows], keys, values, mask[begin: begin + rows], shape)
                          for begin in range(0, len(queries), rows)])
    scale = shape.scale if shape.scale is not None else queries.shape[-1] ** -0.5
    (count, kv_heads, group, dim), num_keys = queries.shape, keys.shape[1]
    packed = queries.permute(1, 2, 0, 3).reshape(kv_heads, group * count, dim)      # so that keys are not copied for each of a group
    scores = torch.bmm(packed, keys.transpose(1, 2)).view(kv_heads, group, count, num_keys) * scale
    if shape.softcap is not None:
        scores = torch.tanh(scores / shape.softcap) * shape.softcap
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    if shape.sinks is not None:
        sinks = shape.sinks.to(scores.dtype).view(*scores.shape[:2], 1, 1).expand(*scores.shape[:3], 1)
        scores = torch.cat([scores, sinks], dim=-1)
    weights = scores.softmax(-1, dtype=torch.float32).to(values.dtype)[..., :num_keys]
    return torch.bmm(weights.reshape(kv_heads, group * count, num_keys), values).view(kv_heads, group, count, -1).permute(2, 0, 1, 3)
