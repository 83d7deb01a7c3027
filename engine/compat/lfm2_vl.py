"""LFM2-VL's image processor with Pillow: transformers 5.23 has one only for torchvision.

A picture is made as large as its number of tokens allows. One that is far larger is cut into tiles of equal size, and a small version
of the whole follows them. tests/engine/compat/test_lfm2_vl.py compares the sizes, the grid and the patches with transformers'.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

# transformers' defaults, for what preprocessor_config.json does not set.
DEFAULTS = {"downsample_factor": 2, "do_image_splitting": True, "min_tiles": 2, "max_tiles": 10, "use_thumbnail": True,
            "min_image_tokens": 64, "max_image_tokens": 256, "encoder_patch_size": 16, "tile_size": 512, "max_pixels_tolerance": 2.0,
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


def read_images(folder: Path) -> Any:
    """The image processor whose preprocessor_config.json is in `folder`. Raises OSError."""
    from transformers import BatchFeature, ImageProcessingMixin

    class Images(ImageProcessingMixin):     # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**{**DEFAULTS, **options})

        def __call__(self, images: Any, **_: Any) -> Any:
            import torch

            shown = [image for each in images for image in (each if isinstance(each, list) else [each])]
            read = [self.tiles(image) for image in shown]
            tiles = [self.patches(tile) for found, _, _ in read for tile in found]
            most = max(self.max_image_tokens * self.downsample_factor**2,
                       (self.tile_size // self.encoder_patch_size) ** 2 if self.do_image_splitting else 0)
            return BatchFeature({
                "pixel_values": torch.stack([torch.nn.functional.pad(each, (0, 0, 0, most - len(each))) for each, _ in tiles]),
                "pixel_attention_mask": torch.stack([(torch.arange(most) < len(each)).int() for each, _ in tiles]),
                "spatial_shapes": torch.tensor([grid for _, grid in tiles]),
                "image_rows": [rows for _, (rows, _), _ in read], "image_cols": [columns for _, (_, columns), _ in read],
                "image_sizes": [[height, width] for _, _, (height, width) in read]})

        def tiles(self, image: Image) -> tuple[list[Image], tuple[int, int], tuple[int, int]]:
            """The tiles of a picture, rows and columns of them, and height and width of the small version."""
            height, width = size_of(image.height, image.width, self)
            small = image.resize((width, height), resample=2)       # bilinear
            if not self.do_image_splitting or self.min_tiles == self.max_tiles == 1 or not is_large(image.height, image.width, self):
                return [small], (1, 1), (height, width)
            columns, rows = grid_of(image.height, image.width, self)
            side = self.tile_size
            large = image.resize((columns * side, rows * side), resample=2)
            cut = [large.crop((x * side, y * side, (x + 1) * side, (y + 1) * side)) for y in range(rows) for x in range(columns)]
            return [*cut, *([small] if self.use_thumbnail and len(cut) > 1 else [])], (rows, columns), (height, width)

        def patches(self, tile: Image) -> tuple[torch.Tensor, tuple[int, int]]:
            """(patches, values of one: its rows, columns and colours), and how many there are below and beside each other."""
            import numpy as np
            import torch

            side = self.encoder_patch_size
            pixels = torch.from_numpy(np.asarray(tile, dtype=np.float32)) / 255
            pixels = (pixels - torch.tensor(self.image_mean)) / torch.tensor(self.image_std)
            rows, columns = tile.height // side, tile.width // side
            return pixels.view(rows, side, columns, side, 3).transpose(1, 2).reshape(rows * columns, -1), (rows, columns)

    return Images.from_pretrained(folder)


def size_of(height: int, width: int, of: Any) -> tuple[int, int]:
    """Height and width in multiples of what becomes one token, so that the picture has as many tokens as it may have, and must."""
    step = of.encoder_patch_size * of.downsample_factor
    most, least = of.max_image_tokens * step**2, of.min_image_tokens * step**2
    near = max(step, round(height / step) * step), max(step, round(width / step) * step)
    if near[0] * near[1] > most:
        scale = math.sqrt(height * width / most)
        return max(step, math.floor(height / scale / step) * step), max(step, math.floor(width / scale / step) * step)
    if near[0] * near[1] < least:
        scale = math.sqrt(least / (height * width))
        return math.ceil(height * scale / step) * step, math.ceil(width * scale / step) * step
    return near


def is_large(height: int, width: int, of: Any) -> bool:
    """Whether a picture is cut into tiles."""
    step = of.encoder_patch_size * of.downsample_factor
    near = [max(of.encoder_patch_size, round(side / step) * step) for side in (height, width)]
    return bool(near[0] * near[1] > of.max_image_tokens * step**2 * of.max_pixels_tolerance)


def grid_of(height: int, width: int, of: Any) -> tuple[int, int]:
    """Columns and rows of the grid of tiles whose form is nearest to the picture's; of equal forms the finer one that it half fills."""
    grids = {(columns, rows) for count in range(of.min_tiles, of.max_tiles + 1) for columns in range(1, count + 1)
             for rows in range(1, count + 1) if of.min_tiles <= columns * rows <= of.max_tiles}
    best, nearest = (1, 1), math.inf
    for columns, rows in sorted(grids, key=math.prod):
        distance = abs(width / height - columns / rows)
        if distance < nearest or (distance == nearest and height * width > of.tile_size**2 * columns * rows / 2):
            best, nearest = (columns, rows), distance
    return best
