import json
from pathlib import Path

import pytest

from engine.checkpoint.shape import read_shape, shape_of
from engine.errors import UnsupportedModel
from engine.hardware import Hardware
from engine.models.quantization import Quantization, bitsandbytes_config
from tests import tiny_models

CPU = Hardware("cpu", "test", 1, "bfloat16", "", 64 * 2**30, True)


def test_the_shape_is_read_from_the_files(llama_folder: Path) -> None:
    shape = read_shape(llama_folder, json.loads((llama_folder / "config.json").read_text()), "tiny")
    assert (shape.layers, shape.kv_heads, shape.head_dim, shape.stored_dtype, shape.max_window) == (2, 2, 16, "float32", 512)
    assert shape.linear_weights == 2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 128)
    assert (shape.table_weights, shape.head_weights, shape.largest_matrix) == (400 * 64, 400 * 64, 64 * 128)


@pytest.mark.parametrize("family", ["llama", "gpt2", "mixtral"])
def test_the_matrices_counted_as_packed_are_those_that_bitsandbytes_packs(family: str, tmp_path: Path) -> None:
    import bitsandbytes
    import torch
    from transformers import AutoModelForCausalLM

    folder = {"llama": tiny_models.llama, "gpt2": tiny_models.gpt2, "mixtral": mixtral}[family](tmp_path / family)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, device_map={"": "cpu"}, quantization_config=bitsandbytes_config(Quantization.NF4, CPU))
    packed = sum(layer.in_features * layer.out_features for layer in model.modules() if isinstance(layer, bitsandbytes.nn.Linear4bit))
    wide = sum(parameter.numel() for parameter in model.parameters() if parameter.is_floating_point())
    shape = read_shape(folder, json.loads((folder / "config.json").read_text()), family)
    assert shape.linear_weights == packed
    assert shape.other_weights == wide


def mixtral(folder: Path) -> Path:
    from transformers import MixtralConfig, MixtralForCausalLM

    MixtralForCausalLM(MixtralConfig(
        vocab_size=400, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        num_local_experts=4, num_experts_per_tok=2)).save_pretrained(folder)
    return folder


def test_a_stored_copy_of_a_tied_head_counts_once() -> None:
    tensors = [("model.embed_tokens.weight", [1000, 64], "BF16"), ("lm_head.weight", [1000, 64], "BF16")]
    assert shape_of({"hidden_size": 64, "tie_word_embeddings": True}, tensors).parameters == 64_000
    assert shape_of({"hidden_size": 64, "tie_word_embeddings": False}, tensors).parameters == 128_000


@pytest.mark.parametrize("content", [b"", b"\x10\x00\x00\x00\x00\x00\x00\x00{}", b"\x02\x00\x00\x00\x00\x00\x00\x00[]", b"\xff" * 9,
                                     b"\x20\x00\x00\x00\x00\x00\x00\x00" + b'{"a":{"dtype":"F32","shape":3}} '],
                         ids=["empty", "truncated", "a list", "too long", "no shape"])
def test_a_damaged_weight_file_is_refused_by_its_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UnsupportedModel, match=r"model\.safetensors is not a complete safetensors file"):
        read_shape(tmp_path, {}, "me/tiny")


def test_experts_in_four_bits_are_counted_as_values_and_by_their_size() -> None:
    experts, rows, columns = 4, 64, 96
    tensors = [("model.layers.0.mlp.experts.gate_up_proj_blocks", [experts, rows, columns // 32, 16], "U8"),
               ("model.layers.0.mlp.experts.gate_up_proj_scales", [experts, rows, columns // 32], "U8"),
               ("model.layers.0.self_attn.q_proj.weight", [96, 96], "BF16")]
    config = {"hidden_size": 96, "num_local_experts": 4, "num_experts_per_tok": 1, "quantization_config": {"quant_method": "mxfp4"}}
    shape = shape_of(config, tensors)
    assert (shape.expert_weights, shape.linear_weights) == (experts * rows * columns, 96 * 96)
    assert (shape.stored_dtype, shape.expert_share) == ("bfloat16", 0.25)
    assert shape.stored_bytes == experts * rows * columns * 17 // 32 + 2 * 96 * 96     # 16 bytes and a scale for 32 values


@pytest.mark.parametrize(("used", "total"), [("num_experts_per_tok", "n_routed_experts"), ("top_k_experts", "num_experts"),
                                             ("moe_k", "moe_num_experts")])
def test_the_share_of_experts_is_read_by_the_names_of_each_family(used: str, total: str) -> None:
    assert shape_of({used: 2, total: 64}, []).expert_share == 2 / 64


def test_of_the_tables_of_single_layers_a_token_reads_a_row() -> None:
    tensors = [("model.embed_tokens.weight", [1000, 64], "BF16"), ("model.embed_tokens_per_layer.weight", [1000, 320], "BF16"),
               ("model.layers.0.mlp.up_proj.weight", [64, 64], "BF16")]
    shape = shape_of({"hidden_size": 64, "vocab_size": 1000}, tensors)
    assert shape.active_parameters == 1000 * 64 + 64 * 64
    untied = shape_of({"hidden_size": 64, "vocab_size": 1000}, [*tensors, ("lm_head.weight", [1000, 64], "BF16")])
    assert untied.active_parameters == shape.active_parameters
