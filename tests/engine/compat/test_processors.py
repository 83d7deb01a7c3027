"""The classes of engine/compat/processors.py write a picture's tokens as the classes of transformers that they stand for."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, Gemma3Model, Idefics3Processor, Qwen2_5_VLModel, Qwen3_5Model, Qwen3VLModel

from engine.compat.processors import open_processor
from tests.vision_models import FAMILIES, VisionFamily

SIZES = ((8, 8), (48, 64), (64, 16))       # pixels


def family(name: str) -> VisionFamily:
    return next(each for each in FAMILIES if each.name == name)


def processor(name: str, folder: Path) -> Any:
    family(name).write(folder)
    return open_processor(folder, family(name).kind, AutoTokenizer.from_pretrained(folder))


@pytest.mark.parametrize("size", SIZES)
def test_pixtrals_tokens_equal_those_of_transformers(size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixtral = "transformers.models.pixtral."
    with_pillow = importlib.import_module(f"{pixtral}image_processing_pil_pixtral")     # the other needs torchvision, and only to count
    monkeypatch.setitem(sys.modules, f"{pixtral}image_processing_pixtral", with_pillow)
    monkeypatch.delitem(sys.modules, f"{pixtral}processing_pixtral", raising=False)
    kind = importlib.import_module(f"{pixtral}processing_pixtral").PixtralProcessor
    theirs = kind.__new__(kind)
    monkeypatch.delitem(sys.modules, f"{pixtral}processing_pixtral")
    theirs.patch_size, theirs.spatial_merge_size = 4, 2
    theirs.image_token, theirs.image_break_token, theirs.image_end_token = "[IMG]", "[IMG_BREAK]", "[IMG_END]"
    ours = processor("Mistral 3", tmp_path)
    ours.side = 8
    sizes = {"image_sizes": [(32, 32), size]}
    assert ours.replace_image_token(sizes, 1) == theirs.replace_image_token(sizes, 1)


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (1, 2), (3, 2)])
def test_idefics_writes_the_tokens_of_smolvlm(rows: int, columns: int, tmp_path: Path) -> None:
    ours = processor("SmolVLM", tmp_path)
    assert isinstance(ours, Idefics3Processor)
    expected = importlib.import_module("transformers.models.smolvlm.processing_smolvlm").get_image_prompt_string(
        rows, columns, ours.image_seq_len, fake_token_around_image="<fake_token_around_image>", image_token="<image>",
        global_image_token="<global-img>")
    assert ours.replace_image_token({"rows": [[rows]], "cols": [[columns]]}, 0) == expected


@pytest.mark.parametrize("name", ["Qwen3-VL", "Mistral 3", "LFM2-VL"])
def test_the_settings_of_pictures_may_be_among_those_of_the_processor(name: str, tmp_path: Path) -> None:
    """As transformers writes them since version 5."""
    kind = {"Qwen3-VL": "Qwen2VLImageProcessor", "Mistral 3": "PixtralImageProcessor", "LFM2-VL": "Lfm2VlImageProcessor"}[name]
    family(name).write(tmp_path)
    images, whole = tmp_path / "preprocessor_config.json", tmp_path / "processor_config.json"
    inner = {**json.loads(images.read_text()), "image_processor_type": kind}
    whole.write_text(json.dumps({**json.loads(whole.read_text()), "image_processor": inner}))
    images.unlink()
    read = open_processor(tmp_path, family(name).kind, AutoTokenizer.from_pretrained(tmp_path))
    assert read.image_processor.to_dict().items() >= family(name).image_options.items()


def test_only_models_with_several_axes_count_on_them() -> None:
    assert all(hasattr(model, "get_rope_index") for model in (Qwen2_5_VLModel, Qwen3VLModel, Qwen3_5Model))
    assert not hasattr(Gemma3Model, "get_rope_index")
