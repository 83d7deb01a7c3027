"""Weights that are stored quantized: loaded as what they stand for, or with their codes, in the memory that was estimated."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, MixtralConfig, MixtralForCausalLM

from engine import Engine, GenerationOptions, ModelSpec, Quantization, Settings
from engine.checkpoint.stored_quantization import StoredQuantization, packed_weights, stored_quantization
from engine.errors import UnsupportedModel
from engine.hardware import Hardware, detect
from engine.models.estimate import estimate_fit, estimate_shape, find_shape
from engine.models.loaded import LoadedModel
from engine.models.loader import examine, load
from engine.models.stored_weight import Stacked
from engine.models.stored_weights import Mxfp4, Nf4, stored_weight
from engine.models.weight_files import read_unexpanded
from tests import stored_models, tiny_models, vision_models

CPU = detect("cpu")
GPU = Hardware("cuda", "test", 1, "bfloat16", "", 2**40, True)
IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12]])
Scales = tuple[torch.Tensor, torch.Tensor | None]


def of_groups(size: int, most: int) -> Callable[[torch.Tensor], Scales]:
    return lambda weight: (weight.unflatten(1, (-1, size)).abs().amax(-1) / most, None)


def asymmetric(weight: torch.Tensor) -> Scales:
    groups = weight.unflatten(1, (-1, 32))
    low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)
    scale = (high - low) / 15
    return scale, (-8 - low / scale).round().clamp(-8, 7).to(torch.int8)


MAKERS: dict[str, Callable[[Path, Path], Path]] = {
    "GPTQ": stored_models.gptq,
    "GPTQ by activation": lambda source, folder: stored_models.gptq(source, folder, by_activation=True),
    "GPTQ, 8 bits": lambda source, folder: stored_models.gptq(source, folder, bits=8, group=16, version="gptq_v2"),
    "AWQ": lambda source, folder: stored_models.awq(source, folder, group=64),
    "compressed-tensors": lambda source, folder: stored_models.compressed(
        source, folder, "pack-quantized", {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}, of_groups(32, 7)),
    "compressed-tensors with zeros": lambda source, folder: stored_models.compressed(
        source, folder, "pack-quantized", {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32, "symmetric": False},
        asymmetric),
    "compressed-tensors, whole numbers": lambda source, folder: stored_models.compressed(
        source, folder, "int-quantized", {"num_bits": 8, "type": "int", "strategy": "channel"},
        lambda weight: (weight.abs().amax(1, keepdim=True) / 127, None)),
    "compressed-tensors, FP8": lambda source, folder: stored_models.compressed(
        source, folder, "float-quantized", {"num_bits": 8, "type": "float", "strategy": "tensor"},
        lambda weight: ((weight.abs().max() / 448).reshape(1), None)),
    "FP8": stored_models.fp8,
    "FP8 of a family that transformers renames": lambda source, folder: stored_models.fp8(
        next(each for each in vision_models.FAMILIES if each.kind == "mistral3").write(
            folder.with_name("mistral3")), folder, block=0),
    "MXFP4": lambda source, folder: stored_models.mxfp4(folder, source)}
KEPT = ("GPTQ", "AWQ", "compressed-tensors", "compressed-tensors with zeros")       # their codes suit the kernel for 4 bits


@pytest.fixture(scope="module")
def made(llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a model by its method, written once. `-expanded` beside it holds what its weights stand for."""
    root = tmp_path_factory.mktemp("stored")

    def folder(name: str) -> Path:
        place = root / name.replace(" ", "-")
        if not place.exists():
            MAKERS[name](llama_folder, place)
        return place
    return folder


def loaded(folder: Path, quantization: Quantization = Quantization.NONE) -> LoadedModel:
    settings = Settings(device="cpu", data_dir=folder.parent / "data")
    candidate = examine(ModelSpec(str(folder), quantization=quantization), CPU, settings, 10**12, lambda event: None)
    return load(candidate, CPU, lambda event: None)


def logits(model: LoadedModel) -> torch.Tensor:
    with torch.no_grad():
        return model.model(input_ids=IDS).logits.float()


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("name", MAKERS)
def test_a_stored_model_computes_what_its_weights_stand_for(name: str, made: Callable[[str], Path]) -> None:
    folder = made(name)
    model, expected = loaded(folder), logits(loaded(folder.with_name(f"{folder.name}-expanded")))
    is_kept = name in KEPT and CPU.is_x86_64
    assert model.candidate.held is (Quantization.INT4 if is_kept else Quantization.NONE)
    # Of kept codes the scales are rounded to bfloat16, and the head to 8 bits; INT4 by rounding is away by 0.1 to 0.2.
    assert distance(logits(model), expected) < (0.03 if is_kept else 0.01)
    assert ("its codes are used as they are" if is_kept else "expanded to") in model.candidate.quantization_note


@pytest.mark.parametrize("name", ["GPTQ by activation", "compressed-tensors, whole numbers", "FP8", "MXFP4"])
def test_expanded_weights_can_be_rounded_here(name: str, made: Callable[[str], Path]) -> None:
    folder = made(name)
    plain = folder.with_name(f"{folder.name}-expanded")
    exact = logits(loaded(plain))
    for quantization in (Quantization.INT8, Quantization.INT4):
        error, usual = (distance(logits(loaded(each, quantization)), exact) for each in (folder, plain))
        assert error < 1.3 * usual      # expanded weights differ by their rounding to bfloat16, and so may some of the codes


@pytest.mark.parametrize(("bits", "storage"), [(4, torch.uint8), (4, torch.bfloat16), (8, torch.uint8)])
def test_weights_of_bitsandbytes_are_loaded_as_they_are_stored(
        bits: int, storage: torch.dtype, llama_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = stored_models.bitsandbytes(llama_folder, tmp_path / "model", bits, dtype=torch.float16, storage=storage)
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(folder, device_map={"": "cpu"})(input_ids=IDS).logits.float()
    model = loaded(folder)
    assert model.candidate.held is (Quantization.NF4 if bits == 4 else Quantization.INT8)
    assert model.model.get_input_embeddings().weight.dtype == getattr(torch, model.candidate.dtype)
    assert distance(logits(model), expected) < 0.03
    assert distance(logits(loaded(folder, Quantization.INT8)), expected) < 0.05        # expanded, or its own codes


def test_nf4_is_expanded_as_bitsandbytes_expands_it() -> None:
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    weight = torch.randn(24, 80)
    for nested in (False, True):
        packed, state = quantize_4bit(weight, blocksize=64, compress_statistics=nested, quant_type="nf4")
        parts = {".weight": packed} | {f".weight.{name}": part for name, part in state.as_dict(packed=True).items()}
        assert torch.allclose(Nf4(parts, torch.float32)[...], dequantize_4bit(packed, state), atol=1e-6)
        assert torch.equal(Nf4(parts, torch.float32)[8:24], Nf4(parts, torch.float32)[...][8:])


@pytest.mark.parametrize(("changes", "why"), [
    ({"shape": [2**20, 2**20]}, "no weight of the shape"), ({"blocksize": 0}, "in blocks of 0"),
    ({"nested_blocksize": -1}, "blocks of -1")])
def test_a_weight_in_four_bits_whose_facts_make_no_sense_is_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Nf4(four_bits(changes), torch.float32)


def test_blocks_of_scales_that_are_larger_than_the_weight_need_no_memory() -> None:
    assert torch.equal(Nf4(four_bits({"nested_blocksize": 2**60}), torch.float32)[...], torch.full((64, 64), 2.0))


def four_bits(changes: dict[str, object]) -> dict[str, torch.Tensor]:
    """The tensors of a weight of 64 x 64, all of whose values are 2."""
    facts = {"shape": [64, 64], "blocksize": 64, "nested_blocksize": 256, "nested_offset": 0.0, **changes}
    return {".weight": torch.zeros(2048, 1, dtype=torch.uint8), ".weight.absmax": torch.zeros(64, dtype=torch.uint8),
            ".weight.quant_map": torch.ones(16), ".weight.nested_absmax": torch.full((1,), 2.0),
            ".weight.nested_quant_map": torch.ones(256),
            ".weight.quant_state.bitsandbytes__nf4": torch.tensor(list(json.dumps(facts).encode()), dtype=torch.uint8)}


@pytest.mark.parametrize(("out", "into"), [(576, 256), (130, 8320)])       # of the second, there are as many scales as rows
def test_blocks_of_fp8_have_the_size_that_the_configuration_says(out: int, into: int) -> None:
    stored = stored_quantization({"quantization_config": {"quant_method": "fp8"}})      # by default 128 x 128, as in transformers
    assert stored is not None
    scales = torch.rand(-(-out // 128), -(-into // 128))
    weight = stored_weight({".weight": torch.ones(out, into).to(torch.float8_e4m3fn), ".weight_scale_inv": scales}, stored, torch.float32)
    assert torch.equal(weight[...], scales.repeat_interleave(128, 0)[:out].repeat_interleave(128, 1)[:, :into])


@pytest.mark.parametrize(("bits", "symmetric"), [(4, True), (2, False)])
def test_columns_that_only_fill_the_last_word_of_a_row_are_left_out(bits: int, symmetric: bool, tmp_path: Path) -> None:
    """Rows of 132 columns, of which a word holds 8 or 16; a row has one scale, so that only `weight_shape` tells where it ends."""
    source, middle = tmp_path / "source", 1 << (bits - 1)
    tiny_models.write(source, LlamaConfig(
        vocab_size=400, hidden_size=64, intermediate_size=132, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=512, bos_token_id=None, eos_token_id=1, pad_token_id=0), None, torch.float32)

    def scales(weight: torch.Tensor) -> Scales:
        zeros = None if symmetric else torch.ones(len(weight), 1, dtype=torch.int8)
        return weight.abs().amax(1, keepdim=True) / (middle - 1), zeros

    folder = stored_models.compressed(source, tmp_path / "model", "pack-quantized", {
        "num_bits": bits, "type": "int", "strategy": "channel", "symmetric": symmetric}, scales)
    assert distance(logits(loaded(folder)), logits(loaded(folder.with_name("model-expanded")))) < 0.03
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.0.mlp.down_proj.weight_shape"
    save_file({**tensors, name: torch.tensor([64, 200])}, folder / "model.safetensors")
    with pytest.raises(UnsupportedModel, match=r"have shapes that do not fit.*weight_shape \[64, 200\]"):
        loaded(folder)


def test_mxfp4_is_expanded_as_transformers_expands_it() -> None:
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    blocks = torch.randint(0, 256, (3, 8, 2, 16), dtype=torch.uint8)
    scales = torch.randint(115, 135, (3, 8, 2), dtype=torch.uint8)
    expected = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
    assert torch.equal(Mxfp4({"_blocks": blocks, "_scales": scales}, torch.float32)[...], expected)


@pytest.mark.parametrize("name", ["GPTQ", "FP8 of a family that transformers renames"])
def test_no_linear_layer_is_expanded_before_it_is_rounded(name: str, made: Callable[[str], Path]) -> None:
    """The whole model in 16 bits need not fit."""
    settings = Settings(device="cpu", data_dir=made(name).parent / "data")
    candidate = examine(ModelSpec(str(made(name)), quantization=Quantization.INT4), CPU, settings, 10**12, lambda event: None)
    model, stored = read_unexpanded(candidate, torch.bfloat16)
    layers = [layer for layer in model.get_decoder().modules() if type(layer) is torch.nn.Linear]
    assert layers
    assert set(layers) <= set(stored)
    assert all(layer.weight.untyped_storage().nbytes() == 2 for layer in layers)


@pytest.mark.parametrize("name", [*MAKERS, "NF4"])
def test_a_stored_weight_holds_no_memory_beside_the_mapped_files(name: str, made: Callable[[str], Path], llama_folder: Path,
                                                                 tmp_path: Path) -> None:
    """All exist until the last is read: a zero point in 32 bits for each group of 32 would be 0.125 bytes for a weight."""
    folder = stored_models.bitsandbytes(llama_folder, tmp_path / "nf4", 4) if name == "NF4" else made(name)
    stored = stored_quantization(json.loads((folder / "config.json").read_text()))
    assert stored is not None
    tensors = load_file(folder / "model.safetensors")
    found = packed_weights(tensors, stored)
    assert found
    for parts in found.values():
        mapped = {suffix: tensors[part] for suffix, part in parts.items()}
        weight = stored_weight(mapped, stored, torch.bfloat16)
        assert weight[0:8].isfinite().all()
        files = {part.untyped_storage().data_ptr() for part in mapped.values()}
        own = [each for each in vars(weight).values()
               if isinstance(each, torch.Tensor) and each.untyped_storage().data_ptr() not in files]
        assert sum(each.untyped_storage().nbytes() for each in own) == (8 * weight.shape[1] if name == "GPTQ by activation" else 0)


def test_rows_of_siblings_follow_each_other() -> None:
    stored = StoredQuantization("gptq", "gptq", 4, "int4", 32, zero_less=1)
    weights = []
    for rows in (24, 8, 40):
        codes, scales, zeros, _ = stored_models.grouped(torch.randn(rows, 64), 4, 32)
        weights.append(stored_weight({".qweight": stored_models.words(codes, 4).T, ".scales": scales.T,
                                      ".qzeros": stored_models.words(zeros.T - 1, 4)}, stored, torch.float32))
    stacked, whole = Stacked(weights), torch.cat([weight[...] for weight in weights])
    assert stacked.shape == (72, 64)
    assert torch.equal(stacked[...], whole)
    assert torch.equal(stacked[16:56], whole[16:56])
    codes, pairs = stacked.int4(16, 56)
    values = (codes.view(40, 2, 32) - 8.0) * pairs[..., :1].transpose(0, 1).float() + pairs[..., 1:].transpose(0, 1).float()
    assert distance(values.flatten(1), whole[16:56]) < 0.01     # scales and zeros in bfloat16


@pytest.mark.parametrize("name", ["GPTQ", "FP8", "MXFP4"])
def test_the_estimate_is_what_the_model_takes(name: str, made: Callable[[str], Path]) -> None:
    folder = made(name)
    fit = estimate_fit(str(folder), settings=Settings(device="cpu", data_dir=folder.parent / "data"), hardware=CPU)
    for choice in fit.choices[:3]:
        assert loaded(folder, choice.quantization).weight_bytes == pytest.approx(choice.fit.weight_bytes, rel=0.02)


def test_a_gpu_expands_what_it_has_no_kernel_for(made: Callable[[str], Path]) -> None:
    folder = made("GPTQ")
    shape = find_shape(str(folder), Settings(device="cpu"))
    held = {hardware: [choice.fit.weight_bytes for choice in estimate_shape(
        shape, hardware, context_tokens=128, visitors=1, free_bytes=10**9, bandwidth=1e10).choices] for hardware in (CPU, GPU)}
    assert held[GPU][0] == 2 * shape.parameters
    assert (held[CPU][0] == held[CPU][2]) is CPU.is_x86_64       # those of INT4


def test_a_model_with_kept_codes_replies_and_tells_how_it_is_stored(made: Callable[[str], Path]) -> None:
    folder = made("GPTQ")
    engine = Engine(Settings(device="cpu", data_dir=folder.parent / "data", context_tokens=128))
    list(engine.load(ModelSpec(str(folder))))
    status = engine.status()
    assert any("Stored in GPTQ, 4 bits" in note for note in status.notes)
    assert status.lane == "batched"
    assert engine.ask("hello", GenerationOptions(max_new_tokens=4, temperature=0.0)) is not None
    engine.close()


def test_experts_are_expanded_where_other_codes_are_kept(llama_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    MixtralForCausalLM(MixtralConfig(
        vocab_size=400, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
        num_local_experts=8)).save_pretrained(source)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(llama_folder / name, source)
    model = loaded(stored_models.gptq(source, tmp_path / "model"))
    experts = [weight for name, weight in model.model.named_parameters() if ".experts." in name]
    assert experts
    assert {str(weight.dtype) for weight in experts} == {f"torch.{model.candidate.dtype}"}
    if CPU.is_x86_64:
        kept = "its codes are used as they are, except those of its experts, which are held in"
        assert f"{kept} {model.candidate.dtype}." in model.candidate.quantization_note


@pytest.mark.parametrize(("settings", "why"), [
    ({"quant_method": "aqlm"}, "AQLM.*The original model can be loaded"),
    ({"quant_method": "gptq", "bits": 4, "group_size": 32}, "GPTQ, 4 bits, but its files hold no such weights")])
def test_what_cannot_be_read_is_refused_before_the_current_model_is_unloaded(
        settings: dict[str, object], why: str, made: Callable[[str], Path]) -> None:
    folder = made("GPTQ")
    plain = folder.with_name(f"{folder.name}-expanded")
    config = json.loads((plain / "config.json").read_text())
    (plain / "config.json").write_text(json.dumps({**config, "quantization_config": settings}))
    try:
        with pytest.raises(UnsupportedModel, match=why):
            examine(ModelSpec(str(plain)), CPU, Settings(device="cpu", data_dir=folder.parent / "data"), 10**12, lambda event: None)
    finally:
        (plain / "config.json").write_text(json.dumps(config))
