"""How large a model is and how it is built, from its config.json and the headers of its safetensors files. No tensor is read."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..errors import UnsupportedModel

Tensor = tuple[str, list[int], str]                     # name, sizes, dtype as the header writes it
NOT_PACKED = ("embed", "lm_head", "wte", "wpe")         # matrices that quantization leaves as they are


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What decides a model's memory. Weights are counted in values, from the headers of its safetensors files."""

    linear_weights: int         # matrices that quantization packs
    other_weights: int          # embeddings, output head, norms: kept in 16 or 32 bits
    layers: int
    kv_heads: int
    head_dim: int
    stored_dtype: str
    max_window: int
    hidden_size: int = 0
    vocab_size: int = 0

    @property
    def parameters(self) -> int:
        return self.linear_weights + self.other_weights


def read_shape(folder: Path, config: Mapping[str, Any], model: str) -> ModelShape:
    """Read sizes from the safetensors headers and `config` (a model's config.json as a dict).

    Raises UnsupportedModel where there are no safetensors weights.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UnsupportedModel(model, "it has no safetensors weights (other formats can run code while loading).")
    return shape_of(config, (tensor for path in files for tensor in _tensors(path, model)))


def shape_of(config: Mapping[str, Any], tensors: Iterable[Tensor]) -> ModelShape:
    """The shape of a model from its config.json and what its safetensors headers list, read from wherever they are."""
    config = cast(Mapping[str, Any], config.get("text_config") or config)
    linear = other = 0
    dtypes: dict[str, int] = {}
    for name, sizes, dtype in tensors:
        count = math.prod(sizes)
        is_matrix = len(sizes) == 2 and not any(part in name for part in NOT_PACKED)
        linear, other = (linear + count, other) if is_matrix else (linear, other + count)
        dtypes[dtype] = dtypes.get(dtype, 0) + count
    heads = config.get("num_attention_heads") or config.get("n_head") or 1
    hidden = config.get("hidden_size") or config.get("n_embd") or 1
    stored = max(dtypes, key=lambda dtype: dtypes[dtype]) if dtypes else "F32"
    return ModelShape(
        linear_weights=linear, other_weights=other,
        layers=config.get("num_hidden_layers") or config.get("n_layer") or 1,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or hidden // heads,
        stored_dtype={"F32": "float32", "F16": "float16", "BF16": "bfloat16"}.get(stored, stored),
        max_window=_window(config), hidden_size=hidden, vocab_size=config.get("vocab_size") or 0)


def _window(config: Mapping[str, Any]) -> int:
    for name in ("max_position_embeddings", "n_positions", "max_sequence_length", "n_ctx"):
        if isinstance(config.get(name), int):
            return int(config[name])
    return 1_000_000        # recurrent models have no limit of their own


def _tensors(path: Path, model: str) -> list[Tensor]:
    """Name, shape and dtype of every tensor."""
    try:
        return [(name, [int(size) for size in entry["shape"]], str(entry["dtype"]))
                for name, entry in _safetensors_header(path, model).items()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnsupportedModel(model, f"{path.name} is not a safetensors file.") from error


def _safetensors_header(path: Path, model: str) -> dict[str, Any]:
    """The header of a safetensors file: 8 bytes of length, then JSON (format of github.com/huggingface/safetensors)."""
    with path.open("rb") as file:
        prefix = file.read(8)
        size = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 0 < size < 100_000_000:
            raise UnsupportedModel(model, f"{path.name} is not a complete safetensors file.")
        try:
            header = json.loads(file.read(size))
        except ValueError as error:
            raise UnsupportedModel(model, f"{path.name} is not a complete safetensors file.") from error
    header.pop("__metadata__", None)
    return cast(dict[str, Any], header)
