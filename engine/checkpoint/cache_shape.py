"""Size of the key-value cache of one token and of states, from config.json: each family names and shares them in its own way.

tests/engine/checkpoint/test_cache_shape.py compares it with the caches that real forward passes make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers")
HIDDEN = ("hidden_size", "n_embd", "d_model")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads", "decoder_attention_heads")
MAMBA_HEADS = ("mamba_n_heads", "mamba_num_heads")
KEY_VALUE_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
WITH_STATE = ("linear", "mamba", "gated_delta")      # in the name of a layer's type: a recurrent state and that of a convolution
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


def num_layers(config: Mapping[str, Any]) -> int:
    """Layers of the model; of families that only list them (Nemotron-H), the length of the list."""
    kinds = config.get("layer_types") or config.get("layers_block_type")
    return first_number(config, *LAYERS) or (len(kinds) if isinstance(kinds, list) else 0) or 1


def cache_shape(config: Mapping[str, Any]) -> CacheShape:
    """The cache of an architecture with these values, defaults included.

    Layers with a sliding window count like others, because the paged cache holds every token of a reply in all layers. In the single
    lane transformers keeps only the window: there it is an upper bound.
    """
    heads = first_number(config, *HEADS)
    hidden = first_number(config, *HIDDEN) or 1
    head_dim = first_number(config, "head_dim") or hidden // (heads or 1)
    kv_heads, layers = _kv_heads(config, heads), _attention_layers(config)
    rope, latent = first_number(config, "qk_rope_head_dim"), first_number(config, "kv_lora_rank")
    if rope and latent:         # latent attention (DeepSeek V2, arXiv 2405.04434): one compressed vector and one rotated key
        return CacheShape(heads, first_number(config, "qk_nope_head_dim") + rope, len(layers) * (latent + rope))
    own = config.get("per_layer_config")        # Gemma 4: layers of full attention have larger heads. Keys as in "05", "11"
    by_layer = {int(key): value for key, value in own.items()} if isinstance(own, dict) else {}
    values = 0
    for layer in layers:
        changed: Mapping[str, Any] = by_layer.get(layer) or {}
        values += 2 * (first_number(changed, "num_key_value_heads") or kv_heads) * (first_number(changed, "head_dim") or head_dim)
    return CacheShape(kv_heads, head_dim, values)


def state_values(config: Mapping[str, Any]) -> int:
    """Values of the states of one sequence in all layers that keep one; they do not grow with the text.

    0 for a model without such layers, and for families that name their sizes in another way.
    """
    kinds = config.get("layer_types") or config.get("layers_block_type")
    if not isinstance(kinds, list):
        kinds = ["mamba"] * (num_layers(config) - len(_attention_layers(config))) if first_number(config, *MAMBA_HEADS) else []
    recurrent = sum(any(part in str(kind) for part in WITH_STATE) for kind in kinds)
    convolutions = sum(str(kind) == "conv" for kind in kinds)
    return recurrent * _recurrent_values(config) + convolutions * first_number(config, *HIDDEN) * first_number(config, "conv_L_cache")


def _recurrent_values(config: Mapping[str, Any]) -> int:
    """Of one layer: a matrix for each head, and the latest inputs of the convolution before it.

    Gated DeltaNet (arXiv 2412.06464): keys x values. Mamba 2 (arXiv 2405.21060): head size x state size, of all heads.
    """
    value_heads, value_dim = first_number(config, "linear_num_value_heads"), first_number(config, "linear_value_head_dim")
    if value_heads:
        key_heads, key_dim = first_number(config, "linear_num_key_heads"), first_number(config, "linear_key_head_dim")
        width = 2 * key_heads * key_dim + value_heads * value_dim
        return value_heads * key_dim * value_dim + width * first_number(config, "linear_conv_kernel_dim")
    inner = first_number(config, *MAMBA_HEADS) * first_number(config, "mamba_d_head", "mamba_head_dim")
    state, groups = first_number(config, "mamba_d_state", "ssm_state_size"), first_number(config, "mamba_n_groups", "n_groups")
    return inner * state + (inner + 2 * groups * state) * first_number(config, "mamba_d_conv", "conv_kernel")


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
    layers = range(num_layers(config) - first_number(config, "num_kv_shared_layers"))
    kinds = config.get("layer_types") or config.get("layers_block_type")
    if isinstance(kinds, list) and len(kinds) >= len(layers):
        return [layer for layer in layers if not any(part in str(kinds[layer]) for part in WITHOUT_CACHE)]
    indices = config.get("attn_layer_indices") or config.get("full_attn_idxs")
    if isinstance(indices, list) and indices:
        return [layer for layer in layers if layer in indices]
    period = first_number(config, "attn_layer_period")
    return [layer for layer in layers if layer % period == first_number(config, "attn_layer_offset")] if period else layers
