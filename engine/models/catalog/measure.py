"""The shape of a catalog entry from its `config`, counted on a model that transformers builds without memory for its weights."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from ...checkpoint.config import parse_config
from ...checkpoint.shape import ModelShape, shape_of
from ..skeleton import build_skeleton
from .edit import number, shape_line, with_field, with_line


def measured_shape(config: Mapping[str, Any], repo: str) -> ModelShape:
    """Count the weights and the cache of the model that these fields of config.json describe. Imports torch. Raises UnsupportedModel."""
    full = parse_config(config, repo)
    skeleton = build_skeleton(full, repo)
    return shape_of(full.to_dict(), [(name, list(weight.shape), "BF16") for name, weight in skeleton.named_parameters()])


def with_measured_shapes(text: str) -> str:
    """catalog.toml with the `shape` and the number of parameters of every entry that has a `config`. Raises UnsupportedModel."""
    for repo, table in tomllib.loads(text).items():
        if "config" in table:
            shape = measured_shape(table["config"], repo)
            text = with_line(with_field(text, repo, "parameters", number(shape.parameters)), repo, "shape", shape_line(shape))
    return text
