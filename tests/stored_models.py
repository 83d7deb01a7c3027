"""Small models whose weights are stored quantized, written as the methods' own packages write them, beside the weights they stand for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]
AWQ_POSITIONS = (0, 2, 4, 6, 1, 3, 5, 7)     # the column in each place of a word (AutoAWQ, WQLinear_GEMM.from_linear)
E2M1 = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])


def write(source: Path, folder: Path, pack: Callable[[torch.Tensor], tuple[Tensors, torch.Tensor]], settings: dict[str, Any]) -> Path:
    """`folder`: the model of `source` with the matrices of its layers packed. `folder`-expanded: what they are expanded to, in 16 bits.

    `pack`: a weight (out, in) in float32 -> its tensors by what follows the base of their names, and its value when it is expanded.
    """
    plain = folder.with_name(f"{folder.name}-expanded")
    for made in (folder, plain):
        shutil.copytree(source, made)
    stored, expanded = {}, {}
    for name, weight in load_file(source / "model.safetensors").items():
        if "layers." not in name or weight.ndim != 2:
            stored[name] = expanded[name] = weight.bfloat16()
            continue
        parts, value = pack(weight.float())
        stored |= {name.removesuffix(".weight") + suffix: part.contiguous() for suffix, part in parts.items()}
        expanded[name] = value.bfloat16()
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    save_file(expanded, plain / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": settings}))
    return folder


def grouped(weight: torch.Tensor, bits: int, group: int, group_of: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
    """Codes (out, in), scales and zero points (out, groups), and the values they stand for. Scales have 16 bits, as they are stored."""
    out, into = weight.shape
    group_of = torch.arange(into) // group if group_of is None else group_of
    scales, zeros = torch.zeros(out, into // group, dtype=torch.float16), torch.zeros(out, into // group, dtype=torch.int32)
    for index in range(into // group):
        part = weight[:, group_of == index]
        low, high = part.amin(1).clamp(max=0), part.amax(1).clamp(min=0)
        scales[:, index] = ((high - low) / (2**bits - 1)).clamp(min=1e-4)
        zeros[:, index] = (-low / scales[:, index].float()).round().clamp(1, 2**bits - 1)
    scale, zero = scales.float()[:, group_of], zeros[:, group_of]
    codes = ((weight / scale).round() + zero).clamp(0, 2**bits - 1).to(torch.int32)
    return codes, scales, zeros, (codes - zero) * scale


def words(codes: torch.Tensor, bits: int) -> torch.Tensor:
    """(rows, n) codes -> (rows, n x bits / 32) words, the first code in the lowest bits."""
    parts = codes.to(torch.int64).view(len(codes), -1, 32 // bits) << torch.arange(0, 32, bits)
    total = parts.sum(-1)
    return torch.where(total >= 2**31, total - 2**32, total).to(torch.int32)


def gptq(source: Path, folder: Path, *, bits: int = 4, group: int = 32, by_activation: bool = False, version: str = "gptq") -> Path:
    def pack(weight: torch.Tensor) -> tuple[Tensors, torch.Tensor]:
        into = weight.shape[1]
        group_of = torch.arange(into) // group
        if by_activation:
            group_of = group_of[torch.randperm(into, generator=torch.Generator().manual_seed(into))]
        codes, scales, zeros, value = grouped(weight, bits, group, group_of)
        return {".qweight": words(codes, bits).T, ".qzeros": words(zeros.T - int(version == "gptq"), bits), ".scales": scales.T,
                ".g_idx": group_of.to(torch.int32)}, value

    return write(source, folder, pack, {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": by_activation,
                                        "checkpoint_format": version})




def awq(source: Path, folder: Path, *, group: int = 32) -> Path:
    def in_places(codes: torch.Tensor) -> torch.Tensor:
        return words(codes.view(len(codes), -1, 8)[..., AWQ_POSITIONS].flatten(1), 4)

    def pack(weight: torch.Tensor) -> tuple[Tensors, torch.Tensor]:
        codes, scales, zeros, value = grouped(weight, 4, group)
        return {".qweight": in_places(codes.T), ".qzeros": in_places(zeros.T), ".scales": scales.T}, value

    return write(source, folder, pack, {"quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True, "version": "gemm"})


def compressed(source: Path, folder: Path, form: str, weights: dict[str, Any], scale_shape: Callable[[torch.Tensor], Any]) -> Path:
    """By the compressed-tensors package itself. `weights`: its QuantizationArgs. `scale_shape`: of a weight, where the scales go."""
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**weights))
    compressor = BaseCompressor.get_value_from_registry(form)

    def pack(weight: torch.Tensor) -> tuple[Tensors, torch.Tensor]:
        scale, zero = scale_shape(weight)
        state = {"weight": weight, "weight_scale": scale} | ({} if zero is None else {"weight_zero_point": zero})
        made = compressor.compress(state, scheme)
        value = compressor.decompress(dict(made), scheme)["weight"]
        return {f".{name}": part for name, part in made.items()}, value

    return write(source, folder, pack, {"quant_method": "compressed-tensors", "format": form, "config_groups": {
        "group_0": {"targets": ["Linear"], "weights": weights}}, "ignore": ["lm_head"], "quantization_status": "compressed"})


def fp8(source: Path, folder: Path, *, block: int = 48) -> Path:
    """Blocks of rows and columns that do not divide the weight evenly, as in DeepSeek's models; 0: one scale, as in Ministral's."""
    def pack(weight: torch.Tensor) -> tuple[Tensors, torch.Tensor]:
        out, into = weight.shape
        if not block:
            scale = weight.abs().max() / 448
            codes = (weight / scale).to(torch.float8_e4m3fn)
            return {".weight": codes, ".weight_scale_inv": scale, ".activation_scale": torch.ones(())}, codes.float() * scale
        scales = torch.zeros(-(-out // block), -(-into // block))
        value = torch.zeros_like(weight)
        codes = torch.zeros(out, into, dtype=torch.float8_e4m3fn)
        for row, column in spans(scales):
            part = (slice(row * block, (row + 1) * block), slice(column * block, (column + 1) * block))
            scales[row, column] = weight[part].abs().max() / 448
            codes[part] = (weight[part] / scales[row, column]).to(torch.float8_e4m3fn)
            value[part] = codes[part].float() * scales[row, column]
        return {".weight": codes, ".weight_scale_inv": scales}, value

    return write(source, folder, pack, {"quant_method": "fp8", "weight_block_size": [block, block] if block else None})


def spans(grid: torch.Tensor) -> Iterator[tuple[int, int]]:
    for row in range(grid.shape[0]):
        for column in range(grid.shape[1]):
            yield row, column


def mxfp4(folder: Path, words: Path) -> Path:
    """A small gpt-oss whose experts are stored in MXFP4. `words`: a folder with a tokenizer."""
    from transformers import GptOssConfig, GptOssForCausalLM

    torch.manual_seed(1)
    config = GptOssConfig(vocab_size=400, hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, head_dim=16,
                          num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2, max_position_embeddings=512,
                          layer_types=["sliding_attention", "full_attention"], eos_token_id=1, pad_token_id=0, rope_parameters={
                              "rope_type": "default", "rope_theta": 10_000.0})
    source = folder.with_name(f"{folder.name}-source")
    GptOssForCausalLM(config).save_pretrained(source)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(words / name, source)
    plain = folder.with_name(f"{folder.name}-expanded")
    for made in (folder, plain):
        shutil.copytree(source, made)
    stored, expanded = {}, {}
    for name, weight in load_file(source / "model.safetensors").items():
        expanded[name] = stored[name] = weight.bfloat16()
        if weight.ndim == 3:
            blocks = weight.float().transpose(1, 2).unflatten(-1, (-1, 32)) * 50
            exponents = (blocks.abs().amax(-1).log2().ceil() - 2).clamp(-20, 20)
            scaled = blocks / exponents.exp2()[..., None]
            codes = (scaled.abs()[..., None] - E2M1).abs().argmin(-1).to(torch.uint8)
            value = E2M1[codes.long()] * scaled.sign() * exponents.exp2()[..., None]
            codes += (scaled < 0).to(torch.uint8) * 8
            stored |= {f"{name}_blocks": codes[..., ::2] | codes[..., 1::2] << 4, f"{name}_scales": (exponents + 127).to(torch.uint8)}
            del stored[name]
            expanded[name] = value.flatten(2).transpose(1, 2).bfloat16().contiguous()
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    save_file(expanded, plain / "model.safetensors", metadata={"format": "pt"})
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "quantization_config": {"quant_method": "mxfp4"}}))
    return folder


def bitsandbytes(source: Path, folder: Path, bits: int, *, dtype: torch.dtype = torch.bfloat16, nested: bool = True,
                 storage: torch.dtype = torch.uint8) -> Path:
    """As transformers saves a model that it loaded in 8 or 4 bits. `storage`: the dtype of the numbers that hold codes of 4 bits."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    asked = BitsAndBytesConfig(load_in_8bit=True) if bits == 8 else BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=nested, bnb_4bit_compute_dtype=dtype,
        bnb_4bit_quant_storage=storage)
    model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, device_map={"": "cpu"}, quantization_config=asked)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    model.save_pretrained(folder)
    return folder
