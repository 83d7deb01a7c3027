"""Undocumented parts of transformers and gguf by which the weights of a GGUF file are read one by one, each with the reason.

from_pretrained() expands all weights of most architectures at once, in 32 bits each, before it loads the first one.
tests/engine/compat/test_gguf.py compares what is read here with what it reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy
    import torch
    from transformers import PreTrainedModel

NAMES = {"qwen2moe": "qwen2_moe", "qwen3moe": "qwen3_moe", "gpt-oss": "gpt_oss", "minimax-m2": "minimax_m2"}
NO_ARCHITECTURES = ("general", "tokenizer")     # stand in the same table
NOT_BY_ROWS = ("gpt2", "bloom", "mamba")        # their matrices are transposed, reordered, or no linear layers


def is_gguf_architecture(name: str) -> bool:
    """Whether transformers reads GGUF files of this architecture, as they name it. Only the loading itself tells otherwise."""
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    other = NAMES.get(name, name)
    return _has_own_reader(name) or (other in GGUF_SUPPORTED_ARCHITECTURES and other not in NO_ARCHITECTURES)


def reads_by_rows(architecture: str) -> bool:
    """Whether `read_values` leaves the linear layers of this architecture in the file."""
    return not _has_own_reader(architecture) and architecture not in NOT_BY_ROWS


def _has_own_reader(architecture: str) -> bool:
    """Newer architectures are read by another part of transformers, which has no table of names to use here."""
    from transformers.integrations.gguf.utils import is_gguf_arch_supported

    return bool(is_gguf_arch_supported(architecture))


def missing_weights(architecture: str, names: Collection[str], skeleton: PreTrainedModel) -> list[str]:
    """Parameters of the model that a file with tensors of these names does not fill, as far as transformers' tables tell.

    The tables give names in the file for those in the model. A parameter that they do not know is not listed: loading it tells.
    """
    parameters = dict(skeleton.named_parameters())      # a head that is tied to the table counts as the table
    needed = _renamed(architecture, names, skeleton) if _has_own_reader(architecture) else _in_table(architecture, names, skeleton)
    optional = [re.compile(pattern) for pattern in skeleton._keys_to_ignore_on_load_missing or ()]
    return sorted(name for name, is_filled in needed.items()
                  if name in parameters and not is_filled and not any(pattern.search(name) for pattern in optional))


def _in_table(architecture: str, names: Collection[str], skeleton: PreTrainedModel) -> dict[str, bool]:
    """Whether each parameter of the table of names is filled. Names of merged experts stand there without their ending."""
    from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor, get_gguf_hf_weights_map

    processor = TENSOR_PROCESSORS.get(architecture, TensorProcessor)(config=skeleton.config.to_dict())
    try:
        table = get_gguf_hf_weights_map(skeleton, processor)
    except NotImplementedError:         # gguf names this family in another way
        return {}
    there = {*names, *(name.removesuffix(".weight") for name in names)}
    filled: dict[str, bool] = {}
    for name, place in table.items():
        filled[place] = filled.get(place, True) and name in there
    return filled


def _renamed(architecture: str, names: Collection[str], skeleton: PreTrainedModel) -> dict[str, bool]:
    """The same for newer architectures, whose names are changed by rules: every parameter that no tensor becomes is missing."""
    from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key
    from transformers.integrations.gguf.utils import get_gguf_conversion_mapping

    rules, weights = get_gguf_conversion_mapping(architecture, skeleton.config), skeleton.state_dict()
    renamings = [rule for rule in rules if isinstance(rule, WeightRenaming)]
    converters = [rule for rule in rules if isinstance(rule, WeightConverter)]
    patterns: dict[str, set[str | None]] = {}
    for name in names:
        place, pattern = rename_source_key(name, renamings, converters, skeleton.base_model_prefix, weights)
        patterns.setdefault(place, set()).add(pattern)
    merged = {pattern: set(rule.source_patterns) for rule in converters for pattern in rule.source_patterns}
    return {name: bool(found := patterns.get(name, set())) and all(found >= merged[each] for each in found if each is not None)
            for name, _ in skeleton.named_parameters()}


@dataclass(frozen=True, slots=True)
class StoredRows:
    """A matrix as it stands in the file: rows of blocks. `order`: the row of the file for each row of the model."""

    data: numpy.ndarray[Any, Any]
    kind: Any
    order: numpy.ndarray[Any, Any]
    columns: int

    def rows(self, start: int, stop: int) -> numpy.ndarray[Any, Any]:
        """Rows of the model in float32."""
        from gguf import dequantize

        result: numpy.ndarray[Any, Any] = dequantize(self.data[self.order[start:stop]], self.kind)
        return result


def read_values(path: Path, skeleton: PreTrainedModel, linear: Collection[str], dtype: torch.dtype) -> dict[str, torch.Tensor | StoredRows]:
    """The weights of a file by their names in the model: those of `linear` as rows, the others in `dtype`.

    transformers' own table of names and its changes to each tensor (heads in another order, merged experts) are used.
    """
    import torch
    from gguf import GGUFReader, dequantize
    from transformers.modeling_gguf_pytorch_utils import (
        TENSOR_PROCESSORS,
        TensorProcessor,
        get_gguf_hf_weights_map,
        load_gguf_checkpoint,
        read_field,
    )

    parsed, reader = load_gguf_checkpoint(str(path)), GGUFReader(path)
    architecture = read_field(reader, "general.architecture")[0]
    processor = TENSOR_PROCESSORS.get(architecture, TensorProcessor)(config=parsed["config"])
    names, found = get_gguf_hf_weights_map(skeleton, processor), {}
    made: dict[str, torch.Tensor] = {}
    parsed["tensors"] = made        # where experts are merged
    for tensor in reader.tensors:
        place = names.get(tensor.name)
        if place in linear and (order := _row_order(processor.process, tensor)) is not None:
            found[place] = StoredRows(tensor.data, tensor.tensor_type, order, int(tensor.shape[0]))
            continue
        result = processor.process(weights=dequantize(tensor.data, tensor.tensor_type), name=tensor.name, tensor_key_mapping=names,
                                   parsed_parameters=parsed)
        if result.name in names:
            made[names[result.name]] = torch.from_numpy(result.weights.copy())
        made.update({name: value.to(dtype) for name, value in made.items() if value.dtype != dtype})
    return {**made, **found}


def _row_order(process: Callable[..., Any], tensor: Any) -> numpy.ndarray[Any, Any] | None:
    """The order into which `process` brings the rows of a matrix, found by letting it order their numbers; None if it does more."""
    import numpy

    numbers = numpy.arange(int(tensor.shape[1]), dtype=numpy.int64)[:, None]
    try:
        result = process(weights=numbers, name=tensor.name)
    except (ValueError, IndexError, KeyError):
        return None
    order: numpy.ndarray[Any, Any] = result.weights
    is_order = result.name == tensor.name and order.shape == numbers.shape and numpy.array_equal(numpy.sort(order[:, 0]), numbers[:, 0])
    return order[:, 0] if is_order else None
