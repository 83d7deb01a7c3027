"""Undocumented parts of transformers' cache and attention that the generation core uses, each with the reason.

tests/engine/compat/test_kv_cache.py checks every use against the installed version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import AttentionInterface, Cache
from transformers.cache_utils import CacheLayerMixin, DummyLayer, LinearAttentionLayer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Pair = tuple[torch.Tensor, torch.Tensor]
Write = Callable[[torch.Tensor, torch.Tensor], Pair]        # stores new keys and values; returns what attention gets
State = tuple[dict[int, torch.Tensor], dict[int, torch.Tensor]]     # convolution and recurrent states of one layer, by their number


@dataclass(frozen=True, slots=True)
class LayerCache:
    """What one layer keeps for one token. Keys and values: (1, heads, 1, dim), or None for a layer with a state, or with nothing."""

    keys: torch.Tensor | None
    values: torch.Tensor | None
    window: int | None
    chunk: int | None
    num_states: int


def cache_layers(model: PreTrainedModel) -> list[LayerCache]:
    """Read from a forward pass of one token what each layer caches. Raises TypeError for a model with another kind of cache.

    The layers of a cache are public classes, but their attributes are not documented.
    """
    with torch.no_grad():
        cache = model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=model.device), use_cache=True).get("past_key_values")
    if not isinstance(cache, Cache):
        raise TypeError("it keeps no cache of the usual kind")
    kinds = getattr(model.config.get_text_config(), "layer_types", None) or []
    return [_layer_cache(layer, kinds[number] if number < len(kinds) else "") for number, layer in enumerate(cache.layers)]


def _layer_cache(layer: Any, kind: str) -> LayerCache:
    if isinstance(layer, DummyLayer):
        return LayerCache(None, None, None, None, 0)
    if type(layer) is LinearAttentionLayer:
        return LayerCache(None, None, None, None, layer.number_of_states)
    if not isinstance(layer, CacheLayerMixin) or isinstance(layer, LinearAttentionLayer) or hasattr(layer, "update_indexer"):
        raise TypeError(f"its layers cache in a way of their own ({type(layer).__name__})")
    width = getattr(layer, "sliding_window", None)
    is_chunked = kind == "chunked_attention"
    return LayerCache(layer.keys, layer.values, None if is_chunked else width, width if is_chunked else None, 0)


class _WritingLayer(CacheLayerMixin):       # type: ignore[misc]
    """Passes new keys and values on to `write`. length: how many are cached, or None if the layer serves texts of different lengths."""

    is_compileable = False
    is_sliding = False

    def __init__(self, write: Write, length: int | None) -> None:
        super().__init__()
        self._write, self._length = write, length

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        return

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Pair:
        if self._length is not None:
            self._length += key_states.shape[2]
        return self._write(key_states, value_states)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        """Models ask for it when they make a mask, or if they ignore the positions that they are given."""
        if self._length is None:
            raise NotImplementedError("it counts positions by the length of its cache")
        return self._length

    def get_max_length(self) -> int:
        return -1


def writing_cache(layers: list[LayerCache], writes: list[Write | None], states: list[State | None], length: int | None) -> Cache:
    """A cache for one call of the model: keys and values go to `writes`, layers with a state continue from `states` (None: begin).

    length: how many tokens are cached, if the call is about one text.
    """
    made: list[Any] = []
    for layer, write, state in zip(layers, writes, states, strict=True):
        made.append(_state_layer(layer.num_states, state) if layer.num_states else _WritingLayer(write, length) if write else DummyLayer())
    return Cache(layers=made)


def _state_layer(num_states: int, state: State | None) -> LinearAttentionLayer:
    """LinearAttentionLayer has no public way to start from a known state."""
    layer = LinearAttentionLayer(number_of_states=num_states)
    if state is None:
        return layer
    for number, tensor in state[0].items():
        layer.conv_states[number], layer.is_conv_states_initialized[number] = tensor, True
        layer.conv_kernel_size[number], layer.has_previous_state[number] = tensor.shape[-1], True
        layer.device, layer.dtype = tensor.device, tensor.dtype
    for number, tensor in state[1].items():
        layer.recurrent_states[number], layer.is_recurrent_states_initialized[number] = tensor, True
        layer.has_previous_state[number] = True
    return layer


def states_after(cache: Cache) -> list[State | None]:
    """The states of all layers after a call, for all replies of the call together; None for layers without one."""
    found: list[State | None] = []
    for layer in cache.layers:
        is_state = isinstance(layer, LinearAttentionLayer)
        found.append(tuple({number: tensor for number, tensor in kept.items() if tensor is not None}       # type: ignore[arg-type]
                           for kept in (layer.conv_states, layer.recurrent_states)) if is_state else None)
    return found


def register_attention(name: str, attend: Callable[..., tuple[torch.Tensor, None]]) -> None:
    """Make an attention function known to transformers. Without a mask function of the same name, models pass no mask to it."""
    AttentionInterface.register(name, attend)


@contextmanager
def attention_by(model: PreTrainedModel, name: str) -> Iterator[None]:
    """Use another attention function until the block ends, not in the part that reads pictures, which other threads use meanwhile.

    The public `set_attn_implementation` takes longer than a step.
    """
    config: Any = model.config.get_text_config()
    before = config._attn_implementation
    config._attn_implementation = name
    try:
        yield
    finally:
        config._attn_implementation = before
