"""The part of a model that reads pictures: counted, never quantized, and left out where memory is short."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText

from engine import Finished, GenerationOptions, Message, ModelSpec, Quantization, Settings, TextDelta
from engine.checkpoint.shape import read_shape
from engine.errors import InvalidRequest, NotEnoughMemory
from engine.hardware import detect
from engine.models.linear import PackedLinear, Part
from engine.models.loaded import Candidate
from engine.models.loader import examine, load
from engine.models.memory import Verdict, judge
from engine.models.model_class import vision_parts
from engine.models.saved import save
from engine.pictures import picture_of
from engine.runtime.active_model import ActiveModel
from tests.vision_models import FAMILIES, VisionFamily

HARDWARE = detect("cpu")
FAMILY = next(family for family in FAMILIES if family.name == "Qwen3-VL")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FAMILY.write(tmp_path_factory.mktemp("vision"))


def examined(folder: Path, data_dir: Path, quantization: Quantization, free_bytes: int = 2**40) -> Candidate:
    settings = Settings(data_dir=data_dir, context_tokens=512)
    return examine(ModelSpec(str(folder), quantization=quantization), HARDWARE, settings, free_bytes, lambda event: None)


def modules_of_pictures(model: nn.Module, parts: tuple[str, ...]) -> list[nn.Module]:
    return [module for part in parts for module in model.get_submodule(part).modules()]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_weights_that_read_pictures_are_counted_by_their_names(family: VisionFamily, tmp_path: Path) -> None:
    family.write(tmp_path)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path)
    expected = sum(weight.numel() for part in vision_parts(model) for weight in model.get_submodule(part).parameters())
    shape = read_shape(tmp_path, AutoConfig.from_pretrained(tmp_path).to_dict(), family.name)
    assert shape.vision_weights == expected > 0
    assert shape.text_part.parameters == shape.parameters - expected
    assert shape.picture_values > 0


@pytest.mark.parametrize("quantization", [Quantization.INT8, Quantization.INT4, Quantization.NF4])
def test_quantization_leaves_the_part_that_reads_pictures_as_it_is(quantization: Quantization, folder: Path, tmp_path: Path) -> None:
    candidate = examined(folder, tmp_path, quantization)
    model = load(candidate, HARDWARE, lambda event: None).model
    plain = [module for module in modules_of_pictures(model, candidate.vision_parts) if isinstance(module, nn.Linear)]
    assert plain
    assert all(type(module) is nn.Linear and module.weight.is_floating_point() for module in plain)
    layer = model.get_decoder().layers[0].mlp
    assert isinstance(layer.down_proj, PackedLinear | Part) or not layer.down_proj.weight.is_floating_point()


def test_short_memory_leaves_out_the_part_that_reads_pictures_and_says_so(folder: Path, tmp_path: Path) -> None:
    whole = examined(folder, tmp_path, Quantization.INT8)
    needed = judge(whole.shape, Quantization.INT8, HARDWARE, dtype=whole.dtype, context_tokens=512, concurrent=1, free_bytes=0).needed_bytes
    candidate = examined(folder, tmp_path, Quantization.INT8, needed - 1)
    assert "The part that reads pictures is left out" in candidate.text_only
    assert candidate.shape == whole.shape.text_part
    settings = Settings(data_dir=tmp_path, context_tokens=512)
    active, complete = (ActiveModel.load(each, HARDWARE, settings, lambda event: None) for each in (candidate, whole))
    try:
        assert {name for name, _ in active.loaded.model.base_model.named_children()} == {"language_model"}
        assert candidate.text_only in active.notes
        assert answer(active) == answer(complete)
        with pytest.raises(InvalidRequest, match="memory is short"):
            answer(active, Message("user", "hello", pictures=(picture_of(torch.zeros(40, 40, 3, dtype=torch.uint8).numpy()),)))
        with pytest.raises(InvalidRequest, match="the part that reads pictures"):
            save(active.loaded, settings)
    finally:
        for each in (active, complete):
            each.stop_lanes()
            each.release()


def test_without_a_processor_only_text_is_read_and_the_reason_is_told(tmp_path: Path) -> None:
    FAMILY.write(tmp_path / "model")
    (tmp_path / "model" / "preprocessor_config.json").unlink()
    candidate, settings = examined(tmp_path / "model", tmp_path, Quantization.NONE), Settings(data_dir=tmp_path, context_tokens=512)
    active = ActiveModel.load(candidate, HARDWARE, settings, lambda event: None)
    try:
        assert answer(active)
        assert any(note.startswith("Pictures are not read: its processor cannot be used here") for note in active.notes)
        with pytest.raises(InvalidRequest, match="cannot read pictures, because its processor cannot be used here"):
            answer(active, Message("user", "hello", pictures=(picture_of(torch.zeros(40, 40, 3, dtype=torch.uint8).numpy()),)))
    finally:
        active.stop_lanes()
        active.release()


@pytest.mark.parametrize("quantization", [Quantization.INT8, Quantization.NF4])
def test_a_saved_quantized_copy_reads_pictures(quantization: Quantization, folder: Path, tmp_path: Path) -> None:
    settings, shown = Settings(data_dir=tmp_path, context_tokens=512), picture_of(torch.full((40, 40, 3), 90, dtype=torch.uint8).numpy())
    answers = []
    for is_saved in (False, True):
        candidate = examined(folder, tmp_path, quantization)
        assert candidate.is_saved is is_saved
        active = ActiveModel.load(candidate, HARDWARE, settings, lambda event: None)
        answers.append(answer(active, Message("user", "hello", pictures=(shown,))))
        if not is_saved:
            save(active.loaded, settings)
        active.stop_lanes()
        active.release()
    assert answers[0] == answers[1]


@pytest.mark.parametrize("quantization", [Quantization.INT8, Quantization.NF4])
def test_short_memory_leaves_that_part_of_a_saved_copy_out_as_well(quantization: Quantization, folder: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, context_tokens=512)
    save(load(examined(folder, tmp_path, quantization), HARDWARE, lambda event: None), settings)
    whole = examined(folder, tmp_path, quantization)
    fit = judge(whole.shape, quantization, HARDWARE, dtype=whole.dtype, context_tokens=512, concurrent=1, free_bytes=0)
    free = fit.needed_bytes - 1
    assert replace(fit, free_bytes=free).verdict is Verdict.TEXT_ONLY
    candidate = examined(folder, tmp_path, quantization, free)
    assert candidate.is_saved
    assert candidate.shape == whole.shape.text_part
    active, complete = (ActiveModel.load(each, HARDWARE, settings, lambda event: None) for each in (candidate, whole))
    try:
        assert {name for name, _ in active.loaded.model.base_model.named_children()} == {"language_model"}
        assert active.weight_bytes < complete.weight_bytes
        assert candidate.text_only in active.notes
        assert answer(active) == answer(complete)
    finally:
        for each in (active, complete):
            each.stop_lanes()
            each.release()


def test_a_text_part_that_does_not_fit_either_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotEnoughMemory):
        examined(folder, tmp_path, Quantization.NONE, 1000)


def test_the_verdict_says_that_only_the_text_part_fits(folder: Path, tmp_path: Path) -> None:
    shape = examined(folder, tmp_path, Quantization.NONE).shape
    fits = [judge(shape, Quantization.NONE, HARDWARE, dtype="float32", context_tokens=512, concurrent=1, free_bytes=free)
            for free in (0, 2**40)]
    needed, beside = fits[0].needed_bytes, fits[0].vision_bytes
    verdicts = [judge(shape, Quantization.NONE, HARDWARE, dtype="float32", context_tokens=512, concurrent=1, free_bytes=free).verdict
                for free in (needed - beside - 1, needed - beside, math.ceil(needed / 0.8))]
    assert verdicts == [Verdict.TOO_LARGE, Verdict.TEXT_ONLY, Verdict.FITS]


def answer(model: ActiveModel, message: Message | None = None) -> str:
    events = list(model.chat((message or Message("user", "hello world"),), GenerationOptions(max_new_tokens=8, temperature=0)))
    assert isinstance(events[-1], Finished)
    return "".join(event.text for event in events if isinstance(event, TextDelta))
