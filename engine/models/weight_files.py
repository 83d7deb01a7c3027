"""A model from its weight files: as transformers reads them, or with weights that are stored quantized expanded on the way."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..checkpoint.config import unquantized
from ..checkpoint.files import weight_files
from ..checkpoint.shape import GGUF_DTYPE, ModelShape
from ..checkpoint.stored_quantization import packed_weights
from ..compat.gguf import StoredRows, read_values
from ..compat.transformers import places_of, without_parts
from .loaded import Candidate
from .skeleton import build_skeleton
from .stored_weight import StoredWeight
from .stored_weights import GgufWeight, stored_weight

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Values = dict[str, torch.Tensor | StoredWeight]


def read(candidate: Candidate, *, dtype: torch.dtype, **options: Any) -> PreTrainedModel:
    """The model as transformers reads it. `options`: of from_pretrained()."""
    model: PreTrainedModel = class_of(candidate).from_pretrained(
        candidate.folder, config=copy.deepcopy(candidate.config), use_safetensors=True, trust_remote_code=False, dtype=dtype, **options)
    return model.eval()


def read_as_stored(candidate: Candidate, *, dtype: torch.dtype, **options: Any) -> PreTrainedModel:
    """The model with weights that bitsandbytes reads as they are; everything else is converted to `dtype`, in which it computes.

    transformers leaves the other weights in the dtype of the machine that saved them. Those that it keeps in 32 bits on purpose stay.
    """
    stored = getattr(candidate.config, "quantization_config", None)
    config = copy.deepcopy(candidate.config)
    if isinstance(stored, dict):
        config.quantization_config = {**stored, "bnb_4bit_compute_dtype": str(dtype).removeprefix("torch.")}
    model = read(replace(candidate, config=config), dtype=dtype, **options)
    original = model.get_input_embeddings().weight.dtype
    for parameter in model.parameters():
        if type(parameter) is nn.Parameter and parameter.dtype == original:     # others hold codes, perhaps in a dtype for numbers
            parameter.data = parameter.data.to(dtype)
    return model


def read_expanded(candidate: Candidate, *, dtype: torch.dtype, **options: Any) -> PreTrainedModel:
    """The model with its stored weights expanded to `dtype`, each when transformers asks for it."""
    return _built(candidate, _values(candidate, dtype, build_skeleton(candidate.config, candidate.spec.model)), dtype=dtype, **options)


def read_unexpanded(candidate: Candidate, dtype: torch.dtype) -> tuple[PreTrainedModel, dict[nn.Module, StoredWeight]]:
    """The model, and the stored weights of those linear layers that are not expanded in it. Their place is held by one zero that is
    read again and again, which takes no memory.

    A family that transformers changes in a way that `places_of` does not foresee is expanded as a whole.
    """
    skeleton = build_skeleton(candidate.config, candidate.spec.model)
    values, waiting = _values(candidate, dtype, skeleton), {}
    layers, places = dict(skeleton.named_modules()), places_of(skeleton, values)
    if candidate.text_only:
        values = {name: value for name, value in values.items() if not places.get(name, "").startswith(candidate.vision_parts)}
    for name, value in values.items():
        if isinstance(value, StoredWeight) and type(layers.get(places.get(name, "").removesuffix(".weight"))) is nn.Linear:
            zero = torch.zeros((), dtype=dtype)
            waiting[zero.data_ptr()], values[name] = value, zero.expand(value.shape)
    model = _built(candidate, values, dtype=dtype)
    stored: dict[nn.Module, StoredWeight] = {}
    for layer in model.modules():
        if type(layer) is nn.Linear and layer.weight.data_ptr() in waiting:
            stored[layer] = waiting.pop(layer.weight.data_ptr())
    return (read_expanded(candidate, dtype=dtype), {}) if waiting else (model, stored)


def _values(candidate: Candidate, dtype: torch.dtype, skeleton: PreTrainedModel) -> Values:
    """The tensors of the files, which are mapped, not read; those of a stored weight as one value."""
    if candidate.gguf:
        return _gguf_values(candidate.folder / candidate.gguf, candidate.shape, dtype, skeleton)
    from safetensors.torch import load_file

    assert candidate.stored is not None
    stored = candidate.stored
    tensors = {name: tensor for path in weight_files(candidate.folder) for name, tensor in load_file(path).items()}
    found = packed_weights(tensors, stored)
    values: Values = {name: stored_weight({suffix: tensors[part] for suffix, part in parts.items()}, stored, dtype)
                      for name, parts in found.items()}
    used = {part for parts in found.values() for part in parts.values()}
    return values | {name: tensor for name, tensor in tensors.items() if name not in used}


def _gguf_values(path: Path, shape: ModelShape, dtype: torch.dtype, skeleton: PreTrainedModel) -> Values:
    """Those of a GGUF file. For some architectures transformers has to expand all of them at once."""
    from transformers import GgufConfig

    if shape.stored_dtype == GGUF_DTYPE:
        whole, found = type(skeleton).from_pretrained(
            path.parent, gguf_file=path.name, quantization_config=GgufConfig(dequantize=True), dtype=dtype, output_loading_info=True)
        _require_all(found["missing_keys"])
        return dict(whole.state_dict())
    linear = {f"{name}.weight" for name, layer in skeleton.named_modules() if type(layer) is nn.Linear}
    return {name: GgufWeight(value, dtype) if isinstance(value, StoredRows) else value
            for name, value in read_values(path, skeleton, linear, dtype).items()}


def class_of(candidate: Candidate) -> type[PreTrainedModel]:
    """The model's class, without the part that reads pictures if that is left out."""
    kind = type(build_skeleton(candidate.config, candidate.spec.model))
    return without_parts(kind, candidate.vision_parts) if candidate.text_only else kind


def _built(candidate: Candidate, values: Values, **options: Any) -> PreTrainedModel:
    from transformers import GenerationConfig

    model, found = class_of(candidate).from_pretrained(
        None, config=unquantized(candidate.config), state_dict=values, output_loading_info=True, **options)
    _require_all(found["missing_keys"])
    if (candidate.folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(candidate.folder)
    return model.eval()


def _require_all(missing: Collection[str]) -> None:
    """Raises ValueError if weights are missing, which transformers would set to random numbers."""
    if missing:
        raise ValueError(f"the files lack {len(missing)} of the model's weights, for example {min(missing)}")
