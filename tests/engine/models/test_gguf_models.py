"""Models from GGUF files: the same replies as from the weights they were made of, in the memory that was estimated."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine import Engine, ModelSpec, Quantization, Settings
from engine.checkpoint.shape import GGUF_DTYPE, ModelShape
from engine.errors import LoadError, ModelNotFound, UnsupportedModel
from engine.hardware import detect
from engine.models.estimate import estimate_fit, estimate_shape
from engine.models.loaded import LoadedModel
from engine.models.loader import examine, load
from engine.models.resolve import HubRepo, LocalModel, resolve
from engine.models.saved import save
from tests import gguf_models
from tests.conftest import ask, exhaust

CPU = detect("cpu")
IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12]])


@pytest.fixture(scope="module")
def folder(llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gguf") / "tiny-GGUF"
    gguf_models.llama(llama_folder, root / "tiny-F32.gguf")
    gguf_models.llama(llama_folder, root / "tiny-Q8_0.gguf", "Q8_0")
    return root


def loaded(model: Path, quantization: Quantization = Quantization.NONE) -> LoadedModel:
    candidate = examine(ModelSpec(str(model), quantization=quantization), CPU, Settings(device="cpu", data_dir=model.parent / "data"),
                        10**12, lambda event: None)
    return load(candidate, CPU, lambda event: None)


def logits(model: LoadedModel) -> torch.Tensor:
    with torch.no_grad():
        return model.model(input_ids=IDS).logits.float()


def distance(one: Path, other: Path, quantization: Quantization = Quantization.NONE) -> float:
    first, second = (logits(loaded(each, quantization)) for each in (one, other))
    return float((first - second).norm() / second.norm())


def test_a_file_computes_what_its_weights_do(folder: Path, llama_folder: Path) -> None:
    assert distance(folder / "tiny-F32.gguf", llama_folder) < 1e-5
    assert distance(folder / "tiny-Q8_0.gguf", llama_folder) < 0.03
    assert distance(folder / "tiny-F32.gguf", llama_folder, Quantization.INT4) < 0.02
    assert distance(folder / "tiny-F32.gguf", llama_folder, Quantization.NF4) < 0.02


def test_architectures_that_are_expanded_at_once_compute_the_same(folder: Path, llama_folder: Path) -> None:
    """No small file of one is at hand: a Llama's is read in their way."""
    settings = Settings(device="cpu", data_dir=folder.parent / "data")
    expected = logits(loaded(llama_folder))
    for quantization, most in ((Quantization.NONE, 1e-5), (Quantization.INT8, 0.03)):
        spec = ModelSpec(str(folder / "tiny-F32.gguf"), quantization=quantization)
        candidate = examine(spec, CPU, settings, 10**12, lambda event: None)
        candidate = replace(candidate, shape=replace(candidate.shape, stored_dtype=GGUF_DTYPE))
        assert float((logits(load(candidate, CPU, lambda event: None)) - expected).norm() / expected.norm()) < most


def test_all_at_once_needs_memory_for_the_expanded_weights() -> None:
    shape = ModelShape(linear_weights=10**9, other_weights=10**8, layers=10, kv_heads=2, head_dim=64, stored_dtype="bfloat16",
                       max_window=1024, hidden_size=64, vocab_size=100, largest_matrix=10**7, file_bytes=10**9)
    needed = [estimate_shape(each, CPU, context_tokens=512, visitors=1, free_bytes=10**10, bandwidth=1e10).choices[2].fit.needed_bytes
              for each in (shape, replace(shape, stored_dtype=GGUF_DTYPE))]
    assert needed[0] < 2 * shape.parameters < needed[1]


def test_a_head_that_is_tied_to_the_table_is_not_missing(llama_folder: Path, tmp_path: Path) -> None:
    path = gguf_models.llama(llama_folder, tmp_path / "tied.gguf", without="output.weight")
    for quantization in (Quantization.NONE, Quantization.INT4):
        model = loaded(path, quantization)
        head, table = model.model.get_output_embeddings(), model.model.get_input_embeddings()
        assert torch.allclose(head.weight.float(), table.weight.float(), atol=0.02)


def test_the_memory_is_that_of_the_expanded_weights(folder: Path) -> None:
    fit = estimate_fit(str(folder / "tiny-Q8_0.gguf"), settings=Settings(device="cpu", data_dir=folder.parent / "data"), hardware=CPU)
    for choice in fit.choices[:3]:
        assert loaded(folder / "tiny-Q8_0.gguf", choice.quantization).weight_bytes == pytest.approx(choice.fit.weight_bytes, rel=0.02)


def test_a_folder_or_a_file_in_it_replies_as_the_same_weights_elsewhere(folder: Path, llama_folder: Path) -> None:
    engine = Engine(Settings(device="cpu", data_dir=folder.parent / "data", context_tokens=128))
    replies = []
    for model in (llama_folder, folder / "tiny-F32.gguf"):
        exhaust(engine.load(str(model)))
        replies.append(ask(engine, "hello", max_new_tokens=12)[0])
    assert replies[0] == replies[1]
    assert engine.status().stored == "GGUF"
    exhaust(engine.load(str(folder)))
    assert any("Stored in GGUF (tiny-Q8_0.gguf)" in note for note in engine.status().notes)
    engine.close()


def test_names_lead_to_the_file(folder: Path) -> None:
    settings = Settings(device="cpu")
    assert resolve(str(folder), settings) == LocalModel(str(folder), folder, "tiny-Q8_0.gguf")
    path = folder / "tiny-F32.gguf"
    assert resolve(str(path), settings) == LocalModel(str(path), folder, "tiny-F32.gguf")
    for typed in ("me/tiny/a-Q4.gguf", "https://huggingface.co/me/tiny/blob/main/a-Q4.gguf", "hf.co/me/tiny/resolve/main/a-Q4.gguf"):
        assert resolve(typed, settings) == HubRepo("me/tiny/a-Q4.gguf")
    with pytest.raises(ModelNotFound):
        resolve(str(folder / "missing.gguf"), settings)


def test_a_file_without_a_weight_is_refused_before_it_is_loaded(llama_folder: Path, tmp_path: Path) -> None:
    path = gguf_models.llama(llama_folder, tmp_path / "a.gguf", without="blk.1.ffn_up.weight")
    with pytest.raises(UnsupportedModel, match="holds 117,056 of the model's 125,248 weights"):
        loaded(path)


def test_a_weight_that_stands_twice_does_not_replace_another(llama_folder: Path, tmp_path: Path) -> None:
    path = gguf_models.llama(llama_folder, tmp_path / "a.gguf")
    path.write_bytes(path.read_bytes().replace(b"blk.1.ffn_up.weight", b"blk.1.ffn_ux.weight"))
    with pytest.raises(UnsupportedModel, match=r"file lacks 1 of the model's weights, for example model\.layers\.1\.mlp\.up_proj\.weight"):
        loaded(path)


@pytest.mark.parametrize("quantization", [Quantization.NONE, Quantization.INT4])
def test_a_weight_that_is_missing_where_all_are_expanded_at_once_is_not_random(quantization: Quantization, tmp_path: Path) -> None:
    path = gguf_models.gpt2(tmp_path / "whole.gguf")
    assert all(bool((weight == 0.5).all()) for weight in loaded(path).model.parameters())
    damaged = gguf_models.gpt2(tmp_path / "damaged.gguf", without="blk.0.ffn_down")
    with pytest.raises(UnsupportedModel, match=r"file lacks 2 of the model's weights, for example .*c_proj"):
        loaded(damaged, quantization)
    candidate = examine(ModelSpec(str(path), quantization=quantization), CPU, Settings(device="cpu", data_dir=tmp_path / "data"),
                        10**12, lambda event: None)
    damaged.rename(path)        # after it was examined
    with pytest.raises(LoadError, match=r"files lack 2 of the model's weights, for example .*c_proj"):
        load(candidate, CPU, lambda event: None)


def test_its_rounded_weights_can_be_saved(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    settings = Settings(device="cpu", data_dir=tmp_path / "data")
    spec = ModelSpec(str(copy / "tiny-Q8_0.gguf"), quantization=Quantization.INT4)
    save(load(examine(spec, CPU, settings, 10**12, lambda event: None), CPU, lambda event: None), settings)
    again = examine(spec, CPU, settings, 10**12, lambda event: None)
    assert again.is_saved
    assert load(again, CPU, lambda event: None).weight_bytes > 0
