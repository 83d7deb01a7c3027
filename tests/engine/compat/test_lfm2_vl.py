"""engine/compat/lfm2_vl.py makes of a picture what transformers' processor makes of it, once both resize with Pillow."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from engine.compat.lfm2_vl import DEFAULTS, read_images

SMALL = {"tile_size": 32, "encoder_patch_size": 8, "min_image_tokens": 1, "max_image_tokens": 4}


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """transformers' class, whose file imports torchvision, with what it takes from there."""
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.v2"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(sys.modules["torchvision.transforms.v2"], "functional", ModuleType("functional"), raising=False)
    name = "transformers.models.lfm2_vl.image_processing_lfm2_vl"
    kind = importlib.import_module(name).Lfm2VlImageProcessor
    monkeypatch.delitem(sys.modules, name)

    def resize(self: Any, images: torch.Tensor, size: Any, **_: Any) -> torch.Tensor:
        pictures = [Image.fromarray(each.permute(1, 2, 0).numpy()).resize((size.width, size.height), resample=2) for each in images]
        return torch.stack([torch.from_numpy(np.array(each)).permute(2, 0, 1) for each in pictures])

    def normalize(self: Any, images: torch.Tensor, *_: Any) -> torch.Tensor:
        return (images.float() / 255 - 0.5) / 0.5

    backend = kind.__mro__[1]
    monkeypatch.setattr(backend, "resize", resize)
    monkeypatch.setattr(backend, "rescale_and_normalize", normalize)
    return kind


@pytest.mark.parametrize(("options", "sizes"), [
    (SMALL, [(8, 8), (33, 47), (40, 200), (300, 90), (64, 64), (20, 90)]),
    ({**SMALL, "do_image_splitting": False}, [(300, 90)]), ({**SMALL, "use_thumbnail": False, "max_tiles": 6}, [(300, 90), (90, 300)]),
    ({}, [(700, 1500), (100, 90)])], ids=["small", "whole", "without the small version", "defaults"])
def test_a_picture_becomes_what_transformers_makes_of_it(
        options: dict[str, Any], sizes: list[tuple[int, int]], theirs: Any, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(options))
    ours = read_images(tmp_path)
    draw = np.random.default_rng(0)
    for height, width in sizes:
        pixels = draw.integers(0, 256, (height, width, 3), dtype=np.uint8)
        found = ours([[Image.fromarray(pixels)]])
        values = {**DEFAULTS, **options}
        expected = theirs.__new__(theirs)._preprocess(
            [torch.from_numpy(pixels).permute(2, 0, 1)], do_resize=True, resample=2, do_rescale=True, rescale_factor=1 / 255,
            do_normalize=True, do_pad=True, return_row_col_info=True, return_tensors=None, disable_grouping=None, **values)
        assert set(found) == set(expected)
        for name in found:
            assert torch.equal(torch.as_tensor(found[name]), torch.as_tensor(expected[name])) if name != "pixel_values" else \
                torch.allclose(found[name], expected[name], atol=1e-6), (name, height, width)
