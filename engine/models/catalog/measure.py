"""The shape of a catalog entry from its `config`, counted on a model that transformers builds without memory for its weights."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ...checkpoint.config import parse_config
from ...checkpoint.shape import ModelShape, shape_of
from ..skeleton import build_skeleton

TAKEN_FROM_ENTRY = ("stored_dtype", "max_window")       # a `shape` in catalog.toml leaves them out


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


def shape_line(shape: ModelShape) -> str:
    """The inline table of catalog.toml for this shape, without zeros."""
    values = {each.name: getattr(shape, each.name) for each in fields(ModelShape) if each.name not in TAKEN_FROM_ENTRY}
    shown = {name: value for name, value in values.items() if value and (name, value) != ("expert_share", 1.0)}
    return "{" + ", ".join(f"{name} = {number(value)}" for name, value in shown.items()) + "}"


def number(value: float) -> str:
    """As TOML writes it: whole numbers of five digits and more in groups."""
    return str(value) if isinstance(value, float) else f"{value:_}" if abs(value) >= 10_000 else str(value)


def section(text: str, repo: str) -> tuple[int, int]:
    """Where the table of this model begins and ends in catalog.toml. Raises KeyError."""
    start = text.find(f'["{repo}"]\n')
    if start < 0:
        raise KeyError(repo)
    end = re.compile(r"^(?:\[|# |\s*\Z)", re.MULTILINE).search(text, start + 1)
    return start, end.start() if end else len(text)


def with_line(text: str, repo: str, name: str, value: str) -> str:
    """The text with `name = value` in the table of this model: in the place of the old line, or at its end."""
    start, end = section(text, repo)
    lines = text[start:end].rstrip("\n").split("\n")
    found = [index for index, line in enumerate(lines) if line.startswith(f"{name} = ")]
    lines[found[0] if found else len(lines):(found[0] + 1) if found else len(lines)] = [f"{name} = {value}"]
    return text[:start] + "\n".join(lines) + "\n" + ("\n" if text[end:].strip() else "") + text[end:]


def with_field(text: str, repo: str, name: str, value: str) -> str:
    """The text with another value of a field in the inline tables of this model. Raises KeyError if it has none."""
    start, end = section(text, repo)
    changed, count = re.subn(rf'(?<=[{{ ]){name} = (?:"[^"]*"|\[[^\]]*\]|[^,}}]*)(?=[,}}])', lambda _: f"{name} = {value}",
                             text[start:end], count=1)
    if not count:
        raise KeyError(f"{repo}: {name}")
    return text[:start] + changed + text[end:]
