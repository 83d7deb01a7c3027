"""Quantized weights on disk: the same model, loaded faster; a stale or damaged copy is never used."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, ModelSpec, Quantization, Settings
from engine.errors import InvalidRequest, LoadError
from engine.models.saved import all_saved
from tests import tiny_models
from tests.conftest import ask, exhaust


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    return replace(settings, data_dir=tmp_path / "data")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tiny_models.llama(tmp_path / "source")


@pytest.mark.parametrize("quantization", [Quantization.INT8, Quantization.INT4, Quantization.NF4])
def test_a_saved_model_replies_the_same(new_engine: Callable[..., Engine], own: Settings, source: Path, quantization: Quantization) -> None:
    spec = ModelSpec(str(source), quantization=quantization)
    first = new_engine(spec, own)
    before, held = ask(first, "hello")[0], first.status().quantization
    first.save_quantized()
    second = new_engine(spec, own)
    assert second._model is not None
    assert second._model.candidate.is_saved
    assert second._model.weight_bytes == first._model.weight_bytes     # type: ignore[union-attr]
    assert (ask(second, "hello")[0], second.status().quantization) == (before, held)
    assert second.default_options() == first.default_options()


def test_a_saved_model_loads_after_its_source_is_deleted(new_engine: Callable[..., Engine], own: Settings, source: Path) -> None:
    spec = ModelSpec(str(source), quantization=Quantization.NF4)
    engine = new_engine(spec, own)
    before = ask(engine, "hello")[0]
    engine.save_quantized()
    shutil.rmtree(source)
    assert ask(new_engine(spec, own), "hello")[0] == before


def test_a_changed_source_is_loaded_instead_of_its_copy(new_engine: Callable[..., Engine], own: Settings, source: Path) -> None:
    spec = ModelSpec(str(source), quantization=Quantization.NF4)
    new_engine(spec, own).save_quantized()
    shutil.rmtree(source)
    tiny_models.llama(source, window=256)
    again = new_engine(spec, own)
    assert again._model is not None
    assert not again._model.candidate.is_saved


def test_a_damaged_copy_is_reported_and_removed(new_engine: Callable[..., Engine], own: Settings, source: Path) -> None:
    spec = ModelSpec(str(source), quantization=Quantization.NF4)
    saved = new_engine(spec, own).save_quantized()
    weights = saved.folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    engine = new_engine(made_with=own)
    with pytest.raises(LoadError, match="saved quantized copy"):
        exhaust(engine.load(spec))
    exhaust(engine.load(spec))
    assert engine.status().state == "ready"


def test_a_copy_is_kept_if_memory_runs_out(
        new_engine: Callable[..., Engine], own: Settings, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch itself is asked for more memory than there is while the copy is read."""
    import safetensors.torch
    import torch

    spec = ModelSpec(str(source), quantization=Quantization.INT8)
    saved = new_engine(spec, own).save_quantized()
    engine = new_engine(made_with=own)
    with monkeypatch.context() as change:
        change.setattr(safetensors.torch, "load_file", lambda path: torch.empty(10**15))
        with pytest.raises(LoadError, match="memory ran out"):
            exhaust(engine.load(spec))
    assert list(saved.folder.glob("model-*.safetensors"))


def test_an_unquantized_model_is_not_saved(new_engine: Callable[..., Engine], own: Settings, source: Path) -> None:
    with pytest.raises(InvalidRequest, match="int4 or nf4"):
        new_engine(source, own).save_quantized()


def test_a_copy_that_another_kernel_wrote_is_not_used(new_engine: Callable[..., Engine], own: Settings, source: Path) -> None:
    """An 8-bit copy of a GPU, or of an older version, on a CPU."""
    spec = ModelSpec(str(source), quantization=Quantization.INT8)
    marker = new_engine(spec, own).save_quantized().folder / "mindcubes.json"
    facts = json.loads(marker.read_text())
    assert facts.pop("kernel") == "pytorch"
    marker.write_text(json.dumps(facts))
    again = new_engine(spec, own)
    assert again._model is not None
    assert not again._model.candidate.is_saved


def test_saved_weights_are_listed_with_their_size(new_engine: Callable[..., Engine], own: Settings, source: Path) -> None:
    new_engine(ModelSpec(str(source), quantization=Quantization.INT8), own).save_quantized()
    listed = all_saved(own)
    assert [(each.model, each.quantization) for each in listed] == [(str(source), Quantization.INT8)]
    assert listed[0].size_bytes > 100_000
