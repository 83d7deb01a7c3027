"""Which stored weights can be read, from config.json and headers alone."""

from __future__ import annotations

from typing import Any

import pytest

from engine.checkpoint.shape import shape_of
from engine.checkpoint.stored_quantization import expanded, obstacle, stored_quantization
from engine.checkpoint.stored_tensors import unreadable

CT_4BITS = {"quant_method": "compressed-tensors", "format": "pack-quantized",
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4, "group_size": 128, "strategy": "group"}}}}


@pytest.mark.parametrize(("settings", "name", "codes"), [
    ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "GPTQ, 4 bits", "int4"),
    ({"quant_method": "gptq", "bits": 4, "group_size": -1}, "GPTQ, 4 bits", "int4"),
    ({"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": True}, "GPTQ, 4 bits", ""),
    ({"quant_method": "gptq", "bits": 8, "group_size": 128, "dynamic": {"-:.*head": {}}}, "GPTQ, 8 bits", ""),
    ({"quant_method": "awq", "bits": 4, "group_size": 64, "version": "GEMM"}, "AWQ, 4 bits", "int4"),
    (CT_4BITS, "compressed-tensors, 4 bits", "int4"),
    ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "FP8", ""), ({"quant_method": "mxfp4"}, "MXFP4", ""),
    ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes, 4 bits", "nf4"),
    ({"load_in_8bit": True}, "bitsandbytes, 8 bits", "int8")])
def test_a_method_that_can_be_read_is_named_with_its_bits(settings: dict[str, Any], name: str, codes: str) -> None:
    found = stored_quantization({"quantization_config": settings})
    assert found is not None
    assert (found.name, found.codes) == (name, codes)
    assert stored_quantization({"text_config": {"quantization_config": settings}}) == found
    assert obstacle({"quantization_config": settings}) == ""


@pytest.mark.parametrize(("settings", "named"), [
    ({"quant_method": "aqlm"}, "AQLM"), ({"quant_method": "a new one"}, "a new one"), ("nonsense", "an unknown format"),
    ({"quant_method": "gptq", "bits": 3, "group_size": 128}, "GPTQ in 3 bits"),
    ({"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"}, "GPTQ in the format marlin"),
    ({"quant_method": "gptq", "bits": 4, "dynamic": {"+:.*mlp": {"bits": 8}}}, "GPTQ with different bits"),
    ({"quant_method": "gptq"}, "GPTQ with settings that make no sense"),
    ({"quant_method": "awq", "bits": 4, "version": "gemv"}, "AWQ in the layout gemv"),
    ({**CT_4BITS, "format": "nvfp4-pack-quantized"}, "compressed-tensors in the format nvfp4-pack-quantized"),
    ({**CT_4BITS, "sparsity_config": {"format": "sparse-24-bitmask"}}, "in the format sparse-24-bitmask"),
    ({"quant_method": "compressed-tensors", "config_groups": {}}, "compressed-tensors in the format"),
    ({"quant_method": "bitsandbytes", "load_in_4bit": False}, "bitsandbytes in neither 4 nor 8 bits")])
def test_what_cannot_be_read_is_refused_by_its_name_and_with_what_to_do(settings: Any, named: str) -> None:
    config = {"quantization_config": settings}
    assert stored_quantization(config) is None
    assert named in obstacle(config)
    assert "The original model can be loaded, and quantized here" in obstacle(config)


def test_a_model_without_stored_weights_has_nothing_to_say() -> None:
    for config in ({}, {"quantization_config": None}, {"text_config": {}}):
        assert (stored_quantization(config), obstacle(config)) == (None, "")


def test_packed_tensors_are_counted_as_the_weights_they_expand_to() -> None:
    """7B models are published so: 4 bits in words of 32, along the columns (GPTQ) or the rows (AWQ)."""
    out, into, group = 512, 256, 128
    for method, codes in (("gptq", [into // 8, out]), ("awq", [into, out // 8])):
        config = {"hidden_size": into, "quantization_config": {"quant_method": method, "bits": 4, "group_size": group}}
        tensors = [("model.embed_tokens.weight", [100, into], "F16"), ("model.layers.0.mlp.up_proj.qweight", codes, "I32"),
                   ("model.layers.0.mlp.up_proj.qzeros", [into // group, out // 8], "I32"),
                   ("model.layers.0.mlp.up_proj.scales", [into // group, out], "F16"),
                   *([("model.layers.0.mlp.up_proj.g_idx", [into], "I32")] if method == "gptq" else [])]
        shape = shape_of(config, tensors)
        assert (shape.linear_weights, shape.largest_matrix, shape.other_weights) == (out * into, out * into, 100 * into)
        assert (shape.stored_dtype, shape.stored_codes) == ("bfloat16", "int4")
        assert shape.stored_bytes == 2 * 100 * into + out * into // 2 + 2 * out // 2 + 2 * 2 * out + (4 * into if method == "gptq" else 0)


def test_tensors_that_do_not_fit_the_method_are_refused() -> None:
    gptq = stored_quantization({"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 32}})
    awq = stored_quantization({"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 32}})
    assert gptq is not None
    assert awq is not None
    packed = [("a.qweight", [8, 64], "I32"), ("a.qzeros", [2, 8], "I32"), ("a.scales", [2, 64], "F16")]
    assert unreadable(packed, gptq) == ""
    assert [name for name, _, _ in expanded(packed, gptq)] == ["a.weight"]
    assert "hold no such weights" in unreadable([("a.weight", [64, 64], "F16")], gptq)
    assert "b.qweight is stored as I32 without the scales of GPTQ" in unreadable([*packed, ("b.qweight", [8, 64], "I32")], gptq)
    packed = [("a.qweight", [64, 8], "I32"), ("a.qzeros", [2, 8], "I32"), ("a.scales", [2, 64], "F16")]
    assert "scales an activation" in unreadable([*packed, ("mlp.act.scales", [64], "F16")], awq)


FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}


@pytest.mark.parametrize(("settings", "block"), [
    ({"quant_method": "fp8"}, (128, 128)), ({"quant_method": "fp8", "weight_block_size": None}, None), ({"quant_method": "mxfp8"}, None),
    ({"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {
        "group_0": {"weights": {"num_bits": 8, "strategy": "block", "block_structure": "128x64"}}}}, (128, 64))])
def test_the_block_that_shares_a_scale_is_read_as_the_method_writes_it(settings: dict[str, Any], block: tuple[int, int] | None) -> None:
    found = stored_quantization({"quantization_config": settings})
    assert found is not None
    assert found.block == block


@pytest.mark.parametrize("size", [0, -1, 2_000_000])
def test_blocks_of_a_size_that_no_matrix_has_are_refused(size: int) -> None:
    assert "make no sense" in obstacle({"quantization_config": {"quant_method": "fp8", "weight_block_size": [32, size]}})


@pytest.mark.parametrize(("settings", "parts", "is_right"), [
    (FP8, {"weight": [256, 300], "weight_scale_inv": [2, 3]}, True), (FP8, {"weight": [256, 300], "weight_scale_inv": []}, True),
    (FP8, {"weight": [256, 300], "weight_scale_inv": [256, 1]}, True), (FP8, {"weight": [256, 256], "weight_scale_inv": [1, 3]}, False),
    (FP8, {"weight": [130, 8320], "weight_scale_inv": [130]}, True), (FP8, {"weight": [130, 8320], "weight_scale_inv": [65, 2]}, False),
    ({"quant_method": "mxfp8"}, {"weight": [64, 64], "weight_scale": [64, 2]}, True),
    (CT_4BITS, {"weight_packed": [64, 32], "weight_scale": [64, 2], "weight_zero_point": [8, 2]}, True),
    (CT_4BITS, {"weight_packed": [64, 32], "weight_scale": [64, 2], "weight_zero_point": [64, 2]}, False),
    (CT_4BITS, {"weight_packed": [64, 32], "weight_scale": [64, 1]}, False),
    (CT_4BITS, {"weight_packed": [64, 32], "weight_scale": [1]}, False),
    ({"quant_method": "gptq", "bits": 4}, {"qweight": [8, 64], "qzeros": [2, 8], "scales": [2, 32]}, False),
    ({"quant_method": "gptq", "bits": 4}, {"qweight": [8, 64], "qzeros": [3, 8], "scales": [3, 64]}, False),
    ({"quant_method": "gptq", "bits": 4}, {"qweight": [8, 64], "qzeros": [2, 8], "scales": [2, 64], "g_idx": [32]}, False),
    ({"quant_method": "awq", "bits": 4}, {"qweight": [64, 8], "qzeros": [2, 8], "scales": [2, 64]}, True),
    ({"quant_method": "awq", "bits": 4}, {"qweight": [64, 8], "qzeros": [1, 8], "scales": [2, 64]}, False),
    ({"quant_method": "bitsandbytes", "load_in_8bit": True}, {"weight": [64, 32], "SCB": [32]}, False)])
def test_scales_of_a_shape_that_does_not_fit_are_refused_by_the_header(
        settings: dict[str, Any], parts: dict[str, list[int]], is_right: bool) -> None:
    stored = stored_quantization({"quantization_config": settings})
    assert stored is not None
    codes = next(iter(parts))
    reason = unreadable([(f"a.{name}", shape, "I32" if name == codes else "F16") for name, shape in parts.items()], stored)
    assert reason == "" if is_right else "the tensors of a.weight have shapes that do not fit each other" in reason
