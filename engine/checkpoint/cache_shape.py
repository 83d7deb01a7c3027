"""How large the key-value cache of one token is, from config.json: each family names and shares its heads in its own way.

tests/engine/checkpoint/test_cache_shape.py compares it with the caches that real forward passes make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers")
HIDDEN = ("hidden_size", "n_embd", "d_model")
HEADS = ("num_attention_heads", "n_head", "n_heads", "attention_heads", "decoder_attention_heads")
KEY_VALUE_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
WITHOUT_CACHE = ("linear", "mamba", "conv", "recurrent", "rwkv", "gated_delta", "moe", "mlp")      # in the name of a layer's type


@dataclass(frozen=True, slots=True)
class CacheShape:
    """`values`: keys and values of one token in all layers. `kv_heads` is 0 for a model without attention."""

    kv_heads: int
    head_dim: int
    values: int


def first_number(config: Mapping[str, Any], *names: str) -> int:
    """The first of these fields that holds a whole number other than 0; 0 if none does."""
    return next((config[name] for name in names if isinstance(config.get(name), int) and config[name]), 0)


def cache_shape(config: Mapping[str, Any]) -> CacheShape:
    """The cache of an architecture with this config.json. Sliding windows are counted in full: an upper bound."""
    heads = first_number(config, *HEADS)
    hidden = first_number(config, *HIDDEN) or 1
    head_dim = first_number(config, "head_dim") or hidden // (heads or 1)
    kv_heads = _kv_heads(config, heads)
    kinds = _attention_layers(config)
    if first_number(config, "kv_lora_rank") and first_number(config, "qk_rope_head_dim"):     # latent attention: kept expanded
        key = first_number(config, "qk_nope_head_dim") + first_number(config, "qk_rope_head_dim")
        return CacheShape(heads, key, len(kinds) * heads * (key + (first_number(config, "v_head_dim") or key)))
    wide = first_number(config, "global_head_dim") or head_dim          # Gemma 4: layers with full attention have other heads
    wide_heads = first_number(config, "num_global_key_value_heads") or kv_heads
    full = sum(kind == "full_attention" for kind in kinds) if wide != head_dim or wide_heads != kv_heads else 0
    values = 2 * ((len(kinds) - full) * kv_heads * head_dim + full * wide_heads * wide)
    return CacheShape(kv_heads, head_dim, values)


def _kv_heads(config: Mapping[str, Any], heads: int) -> int:
    """Key-value heads of a layer; as many as query heads where no field says otherwise."""
    if config.get("model_type") == "falcon" and not config.get("new_decoder_architecture"):
        return 1 if config.get("multi_query") else heads
    if config.get("model_type") == "gpt_bigcode" and config.get("multi_query", True):
        return 1
    inner = config.get("attn_config")       # DBRX, MPT
    return first_number(config, *KEY_VALUE_HEADS) or (first_number(inner, "kv_n_heads") if isinstance(inner, dict) else 0) or heads


def _attention_layers(config: Mapping[str, Any]) -> Sequence[str]:
    """The type of each layer that keeps keys and values."""
    layers = first_number(config, *LAYERS) or 1
    kinds = config.get("layer_types") or config.get("layers_block_type")
    if isinstance(kinds, list) and len(kinds) == layers:
        return [str(kind) for kind in kinds if not any(part in str(kind) for part in WITHOUT_CACHE)]
    indices = config.get("attn_layer_indices") or config.get("full_attn_idxs")
    if isinstance(indices, list) and indices:
        return ["full_attention"] * len(indices)
    period = first_number(config, "attn_layer_period")
    if period:
        offset = first_number(config, "attn_layer_offset")
        return ["full_attention"] * sum(layer % period == offset for layer in range(layers))
    return ["full_attention"] * layers
