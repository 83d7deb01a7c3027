"""The internals by which GGUF files are read one weight at a time. If a test fails, read the new version's source."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GgufConfig,
    Lfm2Config,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3_5MoeTextConfig,
    Qwen3MoeConfig,
)

from engine.compat.gguf import StoredRows, is_gguf_architecture, missing_weights, read_values, reads_by_rows
from tests import gguf_models


def test_every_weight_is_read_as_transformers_reads_it(llama_folder: Path, tmp_path: Path) -> None:
    path = gguf_models.llama(llama_folder, tmp_path / "a.gguf", "Q8_0")
    model = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="a.gguf", dtype=torch.float32,
                                                 quantization_config=GgufConfig(dequantize=True))
    linear = {f"{name}.weight" for name, layer in model.named_modules() if type(layer) is torch.nn.Linear}
    values = read_values(path, model, linear, torch.float32)
    assert {name for name, value in values.items() if isinstance(value, StoredRows)} == linear
    for name, expected in model.state_dict().items():
        value = values[name]
        assert torch.equal(torch.from_numpy(value.rows(0, len(expected))) if isinstance(value, StoredRows) else value, expected), name


def test_architectures_are_known_by_the_names_of_the_format() -> None:
    assert all(map(is_gguf_architecture, ("llama", "qwen2", "qwen3", "qwen3moe", "gemma3", "phi3", "qwen35", "gpt-oss")))
    assert not any(map(is_gguf_architecture, ("mpt", "clip", "general", "tokenizer")))
    assert [reads_by_rows(name) for name in ("llama", "qwen3", "gpt2", "qwen35")] == [True, True, False, False]


def names_of(*layers: str) -> set[str]:
    """Names of tensors as llama.cpp writes them: the parts of each layer, and those outside of layers."""
    parts = {f"blk.{number}.{part}" for number, layer in enumerate(layers) for part in layer.split()}
    return {f"{name}.weight" if not name.endswith((".bias", "ssm_a")) else name for name in {*parts, "token_embd", "output"}}


MLP, NORMS = " ffn_gate ffn_up ffn_down", " attn_norm ffn_norm"
ATTENTION = "attn_q attn_k attn_v attn_output attn_q_norm attn_k_norm"
EXPERTS = " ffn_gate_inp ffn_gate_exps ffn_up_exps ffn_down_exps"
SHARED = " ffn_gate_inp_shexp ffn_gate_shexp ffn_up_shexp ffn_down_shexp attn_norm post_attention_norm"
SIZES = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
         "intermediate_size": 32, "head_dim": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
MODELS: dict[str, tuple[PreTrainedConfig, set[str]]] = {
    "lfm2": (Lfm2Config(**SIZES, layer_types=["conv", "full_attention"], tie_word_embeddings=False),
             {*names_of("shortconv.in_proj shortconv.conv shortconv.out_proj" + MLP + NORMS, ATTENTION + MLP + NORMS),
              "token_embd_norm.weight"}),
    "qwen35moe": (Qwen3_5MoeTextConfig(**SIZES, layer_types=["linear_attention", "full_attention"], num_experts=4, num_experts_per_tok=2,
                                       moe_intermediate_size=16, shared_expert_intermediate_size=16, linear_num_key_heads=2,
                                       linear_num_value_heads=2, linear_key_head_dim=8, linear_value_head_dim=8),
                  {*names_of("attn_qkv attn_gate ssm_alpha ssm_beta ssm_conv1d ssm_norm ssm_out ssm_a ssm_dt.bias" + EXPERTS + SHARED,
                             ATTENTION + EXPERTS + SHARED), "output_norm.weight"}),
    "qwen3moe": (Qwen3MoeConfig(**SIZES, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16),
                 {*names_of(*[ATTENTION + EXPERTS + NORMS] * 2), "output_norm.weight"})}


@pytest.mark.parametrize(("architecture", "left_out", "missing"), [
    ("lfm2", "blk.0.shortconv.conv.weight", "model.layers.0.conv.conv.weight"), ("lfm2", "output.weight", "lm_head.weight"),
    ("lfm2", "token_embd_norm.weight", "model.embedding_norm.weight"),
    ("qwen35moe", "blk.0.ssm_a", "model.layers.0.linear_attn.A_log"),
    ("qwen35moe", "blk.1.ffn_up_exps.weight", "model.layers.1.mlp.experts.gate_up_proj"),      # a half of it
    ("qwen3moe", "blk.1.attn_k.weight", "model.layers.1.self_attn.k_proj.weight"),
    ("qwen3moe", "blk.0.ffn_gate_exps.weight", "model.layers.0.mlp.experts.gate_up_proj")])
def test_a_weight_without_a_tensor_is_found_by_its_name(architecture: str, left_out: str, missing: str) -> None:
    config, names = MODELS[architecture]
    with torch.device("meta"):
        skeleton: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    assert missing_weights(architecture, names, skeleton) == []
    assert left_out in names
    assert missing_weights(architecture, names - {left_out}, skeleton) == [missing]
