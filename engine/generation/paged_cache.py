"""The tensors of the paged KV cache: one pool of keys and one of values for each layer with attention, and the states of other layers.

Shapes are read from a forward pass of one token, so they are those of the model, whatever its configuration calls them. A reply has one
table of blocks for all layers: those with a sliding window hold its every token as well, and none is freed behind the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..compat.kv_cache import LayerCache, cache_layers
from .blocks import BLOCK_TOKENS, BlockPool

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class LayerPool:
    """keys: (slots, key-value heads, dim), values alike with a dim of their own. A slot is one token of one block.

    window: how many tokens a query sees, itself included; chunk: queries see the keys of their own chunk of so many tokens.
    """

    keys: torch.Tensor
    values: torch.Tensor
    window: int | None
    chunk: int | None

    def write(self, slots: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> None:
        """keys, values: (tokens, key-value heads, dim); slots: (tokens,)."""
        self.keys.index_copy_(0, slots, keys)
        self.values.index_copy_(0, slots, values)


class PagedCache:
    """`pools`: by the number of the layer; None for layers without keys. `blocks` says which of its slots are in use."""

    def __init__(self, model: PreTrainedModel, num_blocks: int) -> None:
        self.blocks = BlockPool(num_blocks)
        self.layers = cache_layers(model)
        self.has_states = any(layer.num_states for layer in self.layers)
        self.pools: list[LayerPool | None] = [_pool(layer, num_blocks * BLOCK_TOKENS) for layer in self.layers]

    @property
    def num_bytes(self) -> int:
        tensors = [tensor for pool in self.pools if pool is not None for tensor in (pool.keys, pool.values)]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _pool(layer: LayerCache, num_slots: int) -> LayerPool | None:
    if layer.keys is None or layer.values is None:
        return None
    # Zeros, because a slot that was never written could hold NaN, which padding must not bring into a sum.
    keys, values = (part.new_zeros(num_slots, part.shape[1], part.shape[3]) for part in (layer.keys, layer.values))
    return LayerPool(keys, values, layer.window, layer.chunk)
