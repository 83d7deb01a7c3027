"""The cache size counted from config.json equals that of a forward pass, for every family that names its heads differently."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.checkpoint.cache_shape import cache_shape, state_values
from tests.families import FAMILIES as TINY
from tests.families import HEAD_DIM, LATENT, LAYERS, MAMBA, Family, tiny_config

FAMILIES: dict[str, dict[str, Any]] = {
    **{name: {} for name in (
        "llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "gpt2", "gpt_neox", "gptj", "gpt_bigcode", "bloom", "opt", "mpt", "xglm",
        "falcon", "phi", "phi3", "codegen", "persimmon", "biogpt", "cohere", "cohere2", "olmo2", "stablelm", "starcoder2", "granite",
        "ernie4_5", "llama4_text", "minimax", "olmo_hybrid")},
    **dict.fromkeys(("qwen3", "qwen3_moe", "qwen3_next", "qwen3_5_text", "gemma", "gemma2", "gemma3_text", "gemma4_text", "glm4",
                     "gpt_oss", "nemotron", "seed_oss", "smollm3"), HEAD_DIM),
    **dict.fromkeys(("deepseek_v2", "deepseek_v3", "minicpm3"), LATENT), "lfm2": {"layer_types": ["conv", "full_attention"] * 2},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2, "use_mamba_kernels": False},
    "bamba": {"attn_layer_indices": [1], **MAMBA},
    "granitemoehybrid": {"layer_types": ["mamba", "attention", "mamba", "mamba"], **MAMBA}}
SPECIAL = {"falcon with many key-value heads": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
           "falcon without shared heads": ("falcon", {"multi_query": False}),
           "gpt_bigcode without shared heads": ("gpt_bigcode", {"multi_query": False}),
           "mistral with a window": ("mistral", {"sliding_window": 16}),
           "gemma 4 with shared layers": ("gemma4_text", {
               **HEAD_DIM, "num_kv_shared_layers": 2, "layer_types": ["sliding_attention", "full_attention"] * 2})}


@pytest.mark.parametrize(("family", "changes"), [*FAMILIES.items(), *SPECIAL.values()], ids=[*FAMILIES, *SPECIAL])
def test_the_cache_size_of_every_family_matches_a_forward_pass(family: str, changes: dict[str, Any]) -> None:
    config = tiny_config(family, changes, layers=4)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        cache = model(torch.ones(1, 8, dtype=torch.long), use_cache=True).past_key_values
    kept = [part for layer in cache.layers for part in (getattr(layer, "keys", None), getattr(layer, "values", None)) if part is not None]
    assert cache_shape(config.to_dict()).values == sum(part.numel() // part.shape[2] for part in kept if part.ndim == 4)


STATEFUL = ("Qwen 3 Next", "Qwen 3.5", "Qwen 3.5 MoE", "LFM2", "LFM2 MoE", "LFM3", "Granite 4", "Nemotron-H", "Bamba")


@pytest.mark.parametrize("family", [family for family in TINY if family.name in STATEFUL], ids=lambda family: family.name)
def test_the_states_and_the_cache_of_a_hybrid_match_a_forward_pass(family: Family) -> None:
    config = tiny_config(family.kind, family.changes, len(family.changes.get("layer_types", ())) or LAYERS)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        cache = model(torch.ones(1, 8, dtype=torch.long), use_cache=True).past_key_values
    states = [state for layer in cache.layers for kind in ("conv_states", "recurrent_states")
              for state in getattr(layer, kind, {}).values() if state is not None]
    assert states
    assert state_values(config.to_dict()) == sum(state.numel() for state in states)
    assert cache_shape(config.to_dict()).values == sum(
        layer.keys[0, :, 0].numel() + layer.values[0, :, 0].numel() for layer in cache.layers if getattr(layer, "keys", None) is not None)


def test_larger_heads_of_single_layers_count_in_models_of_many_layers() -> None:
    config = tiny_config("gemma4_text", {**HEAD_DIM, "global_head_dim": 32, "num_kv_shared_layers": 0}, layers=12)
    assert set(config.to_dict()["per_layer_config"]) == {"05", "11"}
    assert cache_shape(config.to_dict()).values == 2 * 2 * (10 * 16 + 2 * 32)
