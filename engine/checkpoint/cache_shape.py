"""Size of the key-value cache of one token, from config.json: each family names and shares its heads in its own way.

tests/engine/checkpoint/test_cache_shape.py compares it with the caches that real forward passes make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers")
HIDDEN = ("hidden_size", "n_embd", "d_model")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads", "decoder_attention_heads")
KEY_VALUE_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
WITHOUT_CACHE = ("linear", "mamba", "conv", "recurrent", "rwkv", "gated_delta", "moe", "mlp")      # in the name of a layer's type


@dataclass(frozen=True, slots=True)
class CacheShape:
    """`values`: keys and values of one token in all layers. `kv_heads` is 0 for a model without attention."""

    kv_heads: int
    head_dim: int
    values: int


def first_number(config: Mapping[str, Any], *names: str) -> int:
    """Return the first of these fields with a whole number other than 0; 0 if there is none."""
    return next((config[name] for name in names if isinstance(config.get(name), int) and config[name]), 0)


def cache_shape(config: Mapping[str, Any]) -> CacheShape:
    """The cache of an architecture with these values, defaults included. Sliding windows are counted in full: an upper bound."""
    heads = first_number(config, *HEADS)
    hidden = first_number(config, *HIDDEN) or 1
    head_dim = first_number(config, "head_dim") or hidden // (heads or 1)
    kv_heads, layers = _kv_heads(config, heads), _attention_layers(config)
    rope, latent = first_number(config, "qk_rope_head_dim"), first_number(config, "kv_lora_rank")
    if rope and latent:         # latent attention (DeepSeek V2, arXiv 2405.04434): one compressed vector and one rotated key
        return CacheShape(heads, first_number(config, "qk_nope_head_dim") + rope, len(layers) * (latent + rope))
    own = config.get("per_layer_config")        # Gemma 4: layers of full attention have larger heads
    values = 0
    for layer in layers:
        changed: Mapping[str, Any] = (own.get(str(layer)) or {}) if isinstance(own, dict) else {}
        values += 2 * (first_number(changed, "num_key_value_heads") or kv_heads) * (first_number(changed, "head_dim") or head_dim)
    return CacheShape(kv_heads, head_dim, values)


def _kv_heads(config: Mapping[str, Any], heads: int) -> int:
    """Key-value heads of a layer; as many as query heads where no field says otherwise."""
    if config.get("model_type") == "falcon":        # the newer decoder shares heads too, but caches them for each query head
        return 1 if config.get("multi_query") and not config.get("new_decoder_architecture") else heads
    if config.get("model_type") == "gpt_bigcode":
        return 1 if config.get("multi_query", True) else heads
    inner = config.get("attn_config")       # DBRX, MPT
    return first_number(config, *KEY_VALUE_HEADS) or (first_number(inner, "kv_n_heads") if isinstance(inner, dict) else 0) or heads


def _attention_layers(config: Mapping[str, Any]) -> Sequence[int]:
    """Return the positions of the layers that store their own keys and values."""
    layers = range((first_number(config, *LAYERS) or 1) - first_number(config, "num_kv_shared_layers"))
    kinds = config.get("layer_types") or config.get("layers_block_type")
    if isinstance(kinds, list) and len(kinds) >= len(layers):
        return [layer for layer in layers if not any(part in str(kinds[layer]) for part in WITHOUT_CACHE)]
    indices = config.get("attn_layer_indices") or config.get("full_attn_idxs")
    if isinstance(indices, list) and indices:
        return [layer for layer in layers if layer in indices]
    period = first_number(config, "attn_layer_period")
    return [layer for layer in layers if layer % period == first_number(config, "attn_layer_offset")] if period else layers
