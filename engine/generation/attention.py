"""Attention of the batched lane on CPUs, computed for each reply over its own keys and values only.

The SDPA path of transformers multiplies all queries by the keys of all replies, masks the keys of other replies, and copies
key-value heads to the number of query heads: its cost grows with the square of the number of replies. Here, replies that generate
one token are padded to the same length and computed together with grouped heads; replies that process a prompt are computed one
by one with a causal mask. Not for GPUs, where one large matrix multiplication is cheaper than several small ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

from ..compat.continuous_batching import PagedAttentionCache, PagedLayer, sdpa_attention_forward, sdpa_mask
from ..compat.transformers import attention_kernel

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "sdpa_per_reply"
PADDING_RATIO = 2       # replies share a group while the longest has at most this many times the keys of the shortest


@dataclass(frozen=True, slots=True)
class _Group:
    """Replies with the same number of queries, padded to the same number of keys. Indices refer to the queries and keys of the step."""

    queries: torch.Tensor           # (replies, queries)
    keys: slice                     # within the keys that are read from the cache
    num_keys: int                   # of each reply, padding included
    mask: torch.Tensor | None       # (replies, 1, queries, keys), True where a query attends


@dataclass(frozen=True, slots=True)
class _Plan:
    """How the attention of one step is divided into groups, for all layers of one kind."""

    step: torch.Tensor              # cu_seq_lens_q: the same object in all layers of a step, kept so that its identity stays unique
    read_index: torch.Tensor        # (keys,) positions in the cache; empty when nothing is cached
    groups: tuple[_Group, ...]


_plans: WeakKeyDictionary[PagedAttentionCache, dict[int, _Plan]] = WeakKeyDictionary()


def attend_per_reply(module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor,
                     attention_mask: torch.Tensor | None, dropout: float = 0.0, scaling: float | None = None,
                     cache: PagedAttentionCache | None = None, **kwargs: Any) -> tuple[torch.Tensor, None]:
    """The attention interface of transformers. query: (1, heads, queries, dim); returns (1, queries, heads, dim).

    Without a paged cache this is SDPA attention of transformers.
    """
    if not isinstance(cache, PagedAttentionCache):
        plain: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
        return plain
    for name in ("softcap", "position_bias", "s_aux"):
        if kwargs.get(name) is not None:
            raise ValueError(f"paged attention with `{name}` is not supported")
    layer = PagedLayer(cache, module, kwargs)
    plan = _plan(cache, layer)
    key, value = layer.update(key, value, plan.read_index)
    queries, keys, values = (x.squeeze(0).transpose(0, 1) for x in (query, key, value))     # (tokens, heads, dim)
    result = queries.new_empty(*queries.shape[:2], values.shape[-1])
    for group in plan.groups:
        result[group.queries] = _attend(queries[group.queries], keys[group.keys], values[group.keys], group, scaling)
    return result.unsqueeze(0), None


def _attend(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, group: _Group, scaling: float | None) -> torch.Tensor:
    """queries: (replies, queries, heads, dim); keys, values: (replies x keys, key-value heads, dim). Returns the shape of queries."""
    replies, num_queries, heads, dim = queries.shape
    kv_heads = keys.shape[1]
    keys, values = (x.view(replies, group.num_keys, kv_heads, -1).transpose(1, 2) for x in (keys, values))
    if num_queries == 1:        # the query heads of a key-value head become its queries, so keys are not copied
        packed = queries.reshape(replies, kv_heads, heads // kv_heads, dim)
        attended = scaled_dot_product_attention(packed, keys, values, attn_mask=group.mask, scale=scaling)
        return attended.reshape(replies, 1, heads, -1)
    attended = scaled_dot_product_attention(
        queries.transpose(1, 2), keys, values, attn_mask=group.mask, scale=scaling, is_causal=group.mask is None,
        enable_gqa=heads != kv_heads)
    return attended.transpose(1, 2)


def _plan(cache: PagedAttentionCache, layer: PagedLayer) -> _Plan:
    """The plan of this step for this kind of layer; its first layer makes it."""
    plans = _plans.setdefault(cache, {})
    plan = plans.get(layer.kind)
    step = layer.query_bounds
    if plan is None or plan.step is not step:
        plan = plans[layer.kind] = make_plan(step, layer.key_bounds.tolist(), layer.read_index, layer.window)
    return plan


def make_plan(step: torch.Tensor, key_bounds: list[int], read_index: torch.Tensor, window: int | None) -> _Plan:
    """step: (replies + 1,), where the queries of each reply begin; key_bounds: the same for keys; read_index: (keys,) or empty.

    Layers with a sliding window get the new keys beside the cached ones, in order, so their replies are never padded.
    """
    query_bounds = step.tolist()
    replies = [(query_bounds[i], query_bounds[i + 1], key_bounds[i], key_bounds[i + 1]) for i in range(len(query_bounds) - 1)]
    is_cached = read_index.numel() > 0
    writing = [reply for reply in replies if reply[1] - reply[0] == 1] if is_cached and window is None else []
    groups, indices, offset = [], [], 0
    for together in _buckets(writing):
        num_keys = max(end - begin for _, _, begin, end in together)
        rows = [read_index[begin:end] for _, _, begin, end in together]
        # Padding repeats the reply's own first key: an unwritten place of the cache could hold NaN.
        indices.append(torch.stack([torch.cat([row, row[:1].expand(num_keys - len(row))]) for row in rows]).view(-1))
        lengths = torch.tensor([len(row) for row in rows])
        mask = torch.arange(num_keys)[None] < lengths[:, None]
        groups.append(_Group(torch.tensor([[reply[0]] for reply in together]), slice(offset, offset + num_keys * len(rows)), num_keys,
                             None if bool(mask.all()) else mask[:, None, None]))
        offset += num_keys * len(rows)
    for first, last, begin, end in replies:
        if last == first or (first, last, begin, end) in writing:
            continue
        groups.append(_Group(torch.arange(first, last)[None], slice(offset, offset + end - begin), end - begin,
                             _causal(last - first, end - begin, window)))
        if is_cached:
            indices.append(read_index[begin:end])
        offset += end - begin
    return _Plan(step, torch.cat(indices) if indices else read_index, tuple(groups))


def _buckets(replies: list[tuple[int, int, int, int]]) -> list[list[tuple[int, int, int, int]]]:
    """Group replies of similar length."""
    buckets: list[list[tuple[int, int, int, int]]] = []
    for reply in sorted(replies, key=lambda reply: reply[3] - reply[2]):
        shortest = buckets[-1][0] if buckets else None
        if shortest and reply[3] - reply[2] <= PADDING_RATIO * (shortest[3] - shortest[2]):
            buckets[-1].append(reply)
        else:
            buckets.append([reply])
    return buckets


def _causal(num_queries: int, num_keys: int, window: int | None) -> torch.Tensor | None:
    """(1, 1, queries, keys): the last query sees the last key. None where a plain causal mask, or none, is equivalent."""
    if num_queries in (1, num_keys) and num_keys <= (window or num_keys):
        return None
    distance = torch.arange(num_keys - num_queries, num_keys)[:, None] - torch.arange(num_keys)[None]
    mask = distance >= 0 if window is None else (distance >= 0) & (distance < window)
    return mask[None, None]


def use_per_reply(model: PreTrainedModel) -> bool:
    """Switch the model to attention per reply where that is faster: SDPA on a CPU. Returns whether it was switched."""
    if model.device.type != "cpu" or attention_kernel(model) not in ("sdpa", NAME):
        return False
    AttentionInterface.register(NAME, attend_per_reply)
    AttentionMaskInterface.register(NAME, sdpa_mask)        # for generate(), which has no paged cache
    model.set_attn_implementation(NAME)
    return True
