"""The internals of transformers' cache and attention that engine/compat/kv_cache.py uses still exist."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from transformers import AttentionInterface, AutoModelForCausalLM, DynamicCache
from transformers.cache_utils import DummyLayer, LinearAttentionLayer
from transformers.masking_utils import AttentionMaskInterface

from engine.compat.kv_cache import attention_by, cache_layers, register_attention, states_after, writing_cache
from tests.engine.checkpoint.test_cache_shape import tiny_config


def tiny(family: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(tiny_config(family, changes), dtype=torch.float32).eval()


def test_layers_tell_what_they_cache() -> None:
    full, = {(layer.window, layer.chunk, layer.num_states) for layer in cache_layers(tiny("llama"))}
    assert full == (None, None, 0)
    assert {layer.window for layer in cache_layers(tiny("mistral", sliding_window=16))} == {16}
    assert {layer.num_states for layer in cache_layers(tiny("lfm2", layer_types=["conv", "full_attention"]))} == {0, 1}
    chunked = tiny("llama4_text", attention_chunk_size=8, layer_types=["chunked_attention", "full_attention"])
    assert [layer.chunk for layer in cache_layers(chunked)] == [8, None]


def test_a_model_with_another_kind_of_cache_is_refused() -> None:
    with pytest.raises(TypeError):
        cache_layers(tiny("mamba"))


def test_new_keys_are_passed_on_and_no_mask_is_made_for_an_attention_function_without_one() -> None:
    model, masks, written = tiny("llama"), [], []

    def attend(module: object, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: object, **_: Any) -> Any:
        masks.append(mask)
        return query.transpose(1, 2), None

    def keep(keys: torch.Tensor, values: torch.Tensor) -> Any:
        written.append(keys.shape)
        return keys, values

    register_attention("a name of the tests", attend)
    layers = cache_layers(model)
    cache = writing_cache(layers, [keep] * len(layers), [None] * len(layers), None)
    before = model.config._attn_implementation
    with attention_by(model, "a name of the tests"), torch.no_grad():
        model(input_ids=torch.tensor([[5], [6]]), past_key_values=cache, use_cache=True, position_ids=torch.tensor([[3], [9]]))
    assert model.config._attn_implementation == before
    assert set(masks) == {None}
    assert written == [(2, 2, 1, 16)] * len(layers)
    assert "a name of the tests" not in AttentionMaskInterface()
    assert "a name of the tests" in AttentionInterface()


def test_a_layer_with_a_state_goes_on_from_a_given_one() -> None:
    model = tiny("qwen3_next", layer_types=["linear_attention", "full_attention"])
    with torch.no_grad():
        half = model(input_ids=torch.tensor([[5, 6, 7]]), use_cache=True).past_key_values
    layers = cache_layers(model)
    cache = writing_cache(layers, [None] * len(layers), states_after(half), None)
    assert cache.has_previous_state(0)
    assert torch.equal(cache.get_conv_state(0), half.get_conv_state(0))
    assert torch.equal(cache.get_recurrent_state(0), half.get_recurrent_state(0))


def test_classes_of_layers_have_what_is_read_and_set() -> None:
    layer = LinearAttentionLayer(number_of_states=2)
    for name in ("conv_states", "recurrent_states", "is_conv_states_initialized", "is_recurrent_states_initialized", "conv_kernel_size",
                 "has_previous_state"):
        assert set(getattr(layer, name)) == {0, 1}
    assert DummyLayer().keys is None
    sliding = DynamicCache(config=tiny_config("mistral", {"sliding_window": 16})).layers[0]
    assert "sliding_window" in inspect.signature(type(sliding)).parameters
