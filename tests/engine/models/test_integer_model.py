"""Models whose layers are rounded to integers: their replies, memory, and files."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PretrainedConfig

from engine.models.integer import Int4Product, Int8Product, has_kernels
from engine.models.integer_files import read, write
from engine.models.integer_model import can_round, linear_layers, round_model
from engine.models.linear import PackedLinear, Part, products
from engine.models.loaded import Candidate
from engine.models.quantization import Quantization
from engine.models.spec import ModelSpec
from tests import tiny_models

pytestmark = pytest.mark.skipif(not has_kernels(), reason="PyTorch has no kernels for integers on this processor")
BITS = pytest.mark.parametrize("quantization", [Quantization.INT8, Quantization.INT4])
IDS = torch.randint(3, 400, (1, 30), generator=torch.Generator().manual_seed(0))


def plain(folder: Path, dtype: torch.dtype = torch.bfloat16) -> LlamaForCausalLM:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()


def rounded(folder: Path, quantization: Quantization, dtype: torch.dtype = torch.float32) -> tuple[LlamaForCausalLM, int]:
    model = plain(folder)
    return model, round_model(model, quantization, dtype, lambda done, total: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_models.llama(tmp_path / "model", dtype=torch.bfloat16)


@BITS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_a_rounded_model_predicts_nearly_the_same(folder: Path, quantization: Quantization, dtype: torch.dtype) -> None:
    before = plain(folder)(IDS).logits.float()
    model, _ = rounded(folder, quantization, dtype)
    after = model(IDS).logits
    assert after.dtype == model.dtype == dtype
    assert torch.nn.functional.cosine_similarity(before, after.float(), dim=-1).min() > (0.99 if quantization is Quantization.INT8 else 0.9)


@BITS
def test_every_layer_is_rounded_siblings_together_and_the_head_to_8_bits(folder: Path, quantization: Quantization) -> None:
    model, num_bytes = rounded(folder, quantization)
    layer, kind = model.model.layers[0], Int8Product if quantization is Quantization.INT8 else Int4Product
    assert isinstance(layer.self_attn.q_proj, Part)
    assert isinstance(layer.self_attn.q_proj.shared.product, kind)
    assert isinstance(layer.mlp.up_proj, Part)
    assert isinstance(layer.mlp.down_proj, PackedLinear)
    assert isinstance(model.get_output_embeddings().product, Int8Product)
    assert num_bytes == sum(product.num_bytes for product in products(model))
    assert {name for name, _ in model.named_parameters()} == {"model.embed_tokens.weight", "model.norm.weight", *(
        f"model.layers.{number}.{name}_layernorm.weight" for number in (0, 1) for name in ("input", "post_attention"))}


def test_a_tied_head_becomes_a_copy_and_the_embedding_stays(tmp_path: Path) -> None:
    model = LlamaForCausalLM(LlamaConfig(vocab_size=400, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
                                         tie_word_embeddings=True)).eval()
    table = model.get_input_embeddings().weight.detach().clone()
    round_model(model, Quantization.INT4, torch.float32, lambda done, total: None)
    assert torch.equal(model.get_input_embeddings().weight, table)
    head = model.get_output_embeddings().product
    assert (head.dense() - table).norm() / table.norm() < 0.01


def test_old_weights_and_the_mapped_files_are_released(folder: Path) -> None:
    model = plain(folder)
    old = [weakref.ref(layer) for _, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)]
    storages = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    round_model(model, Quantization.INT4, torch.bfloat16, lambda done, total: None)
    gc.collect()
    assert not any(layer() is not None for layer in old)
    assert not storages & {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}


def test_progress_counts_weights(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    round_model(plain(folder), Quantization.INT8, torch.float32, lambda done, total: seen.append((done, total)))
    assert len(seen) == 2 * 4
    assert seen[-1][0] == seen[-1][1] == 2 * (64 * 128 + 64 * 64 + 3 * 64 * 128)


@pytest.mark.parametrize(("rows", "columns", "four", "eight"), [
    (64, 64, True, True), (64, 48, False, True), (24, 64, False, True), (64, 40, False, False),
    (8, 64, False, False), (1, 64, False, False)])
def test_sizes_that_the_kernels_compute(rows: int, columns: int, four: bool, eight: bool) -> None:
    assert can_round(rows, columns, Quantization.INT4) is four
    assert can_round(rows, columns, Quantization.INT8) is eight


@torch.no_grad()
def test_layers_that_the_kernel_cannot_compute_stay_in_the_compute_dtype() -> None:
    model = LlamaForCausalLM(LlamaConfig(vocab_size=400, hidden_size=64, intermediate_size=72, num_hidden_layers=1, num_attention_heads=2))
    model = model.bfloat16().eval()
    round_model(model, Quantization.INT4, torch.float32, lambda done, total: None)
    mlp = model.model.layers[0].mlp
    assert [type(layer) for layer in (mlp.gate_proj, mlp.up_proj, mlp.down_proj)] == [torch.nn.Linear] * 3
    assert isinstance(model.model.layers[0].self_attn.q_proj, Part)
    assert mlp.down_proj.weight.dtype == torch.float32
    assert model(IDS).logits.dtype == torch.float32


@BITS
@torch.no_grad()
def test_gpt2s_transposed_layers_are_rounded(gpt2_folder: Path, quantization: Quantization) -> None:
    before = plain(gpt2_folder, torch.float32)
    model = plain(gpt2_folder, torch.float32)
    assert len(list(linear_layers(model))) == 8
    round_model(model, quantization, torch.float32, lambda done, total: None)
    assert isinstance(model.transformer.h[0].attn.c_attn, PackedLinear)
    same = torch.nn.functional.cosine_similarity(before(IDS).logits, model(IDS).logits, dim=-1)
    assert same.min() > (0.99 if quantization is Quantization.INT8 else 0.9)


# --- files ---

def stored(folder: Path, config: PretrainedConfig) -> Candidate:
    """What reading a copy needs to know of its model."""
    return Candidate(ModelSpec(str(folder)), folder, None, config, None, None, "float32", "", None)     # type: ignore[arg-type]


@BITS
@torch.no_grad()
def test_a_written_model_reads_as_the_same(folder: Path, tmp_path: Path, quantization: Quantization) -> None:
    model, num_bytes = rounded(folder, quantization)
    write(model, tmp_path / "copy")
    copy, copied_bytes = read(stored(tmp_path / "copy", AutoConfig.from_pretrained(tmp_path / "copy")), torch.float32)
    assert torch.equal(copy(IDS).logits, model(IDS).logits)
    assert copied_bytes == num_bytes
    assert copy.get_memory_footprint() == model.get_memory_footprint()
    assert isinstance(copy.model.layers[0].self_attn.k_proj, Part)
    assert (tmp_path / "copy" / "model-00000.safetensors").stat().st_size < 1.2 * (num_bytes + model.get_memory_footprint())


@torch.no_grad()
def test_gpt2_reads_as_the_same(gpt2_folder: Path, tmp_path: Path) -> None:
    model = plain(gpt2_folder, torch.float32)
    round_model(model, Quantization.INT4, torch.float32, lambda done, total: None)
    write(model, tmp_path / "copy")
    copy, _ = read(stored(tmp_path / "copy", AutoConfig.from_pretrained(gpt2_folder)), torch.float32)
    assert torch.equal(copy(IDS).logits, model(IDS).logits)


@torch.no_grad()
def test_a_large_model_is_written_to_several_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.models.integer_files.FILE_BYTES", 20_000)
    model, _ = rounded(folder, Quantization.INT4)
    write(model, tmp_path / "copy")
    files = sorted((tmp_path / "copy").glob("*.safetensors"))
    assert len(files) > 3
    config = AutoConfig.from_pretrained(tmp_path / "copy")
    assert torch.equal(read(stored(tmp_path / "copy", config), torch.float32)[0](IDS).logits, model(IDS).logits)
    files[0].unlink()
    with pytest.raises(ValueError, match="lack"):
        read(stored(tmp_path / "copy", config), torch.float32)
