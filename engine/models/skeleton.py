"""The model without its weights, on PyTorch's meta device: checks its files before the current model is unloaded."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..checkpoint.cache_shape import num_layers
from ..checkpoint.config import unquantized
from ..checkpoint.stored_quantization import Tensor
from ..compat.bitsandbytes import packs_rows_on_cpu
from ..compat.transformers import places_of, weights_progress
from ..errors import UnsupportedModel, UnsupportedQuantization
from ..hardware import Hardware
from .model_class import auto_class, vision_parts
from .quantization import Quantization

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel

# Its blocks read the weights of their layers themselves, and expect plain matrices there.
NEVER_QUANTIZED = ("mamba",)
# Of tables that a model computes for its positions, which no file holds and no estimate counts. Those of GPT-Neo 2.7B take 128 MiB.
MOST_COMPUTED_BYTES = 192 * 2**20


def require_layers(config: PretrainedConfig, num_tensors: int, model: str) -> None:
    """Check that the configuration asks for no more layers than there are tensors, since building them takes time and memory.

    Raises UnsupportedModel.
    """
    raw = config.to_dict()
    asked = max(num_layers(part) for part in (raw, *(part for part in raw.values() if isinstance(part, dict))))
    if asked > num_tensors:
        raise UnsupportedModel(model, f"its config.json asks for {asked:,} layers, and its files hold {num_tensors:,} tensors.")


def build_skeleton(config: PretrainedConfig, model: str) -> PreTrainedModel:
    """The model that `config` describes, without memory for its weights, and never quantized. Raises UnsupportedModel."""
    skeleton = build(auto_class(config), config, model)
    # gpt_neox has the setting too, and does not use it; the layers of BERT's relatives do.
    if getattr(config, "is_decoder", None) is False and any(getattr(layer, "is_decoder", None) is False for layer in skeleton.modules()):
        raise UnsupportedModel(model, f"it is an encoder: its config.json does not set is_decoder, without which {config.model_type} "
                               "models read each word with those after it, and cannot write text.")
    return skeleton


def build(kind: Any, config: PretrainedConfig, model: str) -> PreTrainedModel:
    """The same for another of transformers' automatic classes, or for the class of a model."""
    import torch
    try:
        with torch.device("meta"):
            # In float32, because transformers makes another dtype the default of all threads, and replies continue meanwhile.
            skeleton: PreTrainedModel = kind.from_config(unquantized(config), dtype=torch.float32, trust_remote_code=False) \
                if hasattr(kind, "from_config") else kind(unquantized(config))
    except Exception as error:      # any failure that a configuration can provoke
        raise UnsupportedModel(model, f"no model can be built from its config.json ({str(error)[:200]}).") from error
    computed = sum(buffer.nbytes for buffer in skeleton.buffers())
    if computed > MOST_COMPUTED_BYTES:
        raise UnsupportedModel(model, f"its config.json asks for tables of {computed / 2**20:,.0f} MiB beside its weights, for "
                               f"example of positions; at most {MOST_COMPUTED_BYTES // 2**20} MiB are computed.")
    return skeleton


def require_weights(skeleton: PreTrainedModel, config: PretrainedConfig, tensors: Iterable[Tensor], model: str) -> None:
    """Check that these tensors fill every weight of the model; transformers would set missing ones to random numbers.

    transformers itself matches the names, as it does while loading: many families rename, split or merge tensors.
    Raises UnsupportedModel, naming the first weight that has no value or another shape.
    """
    import torch

    weights, tensors = skeleton.state_dict(), list(tensors)
    try:
        places = places_of(skeleton, [name for name, sizes, _ in tensors if _is_flat(sizes)])
        values = {name: torch.empty(_sizes(sizes, weights.get(places.get(name, name))), device="meta") for name, sizes, _ in tensors}
        with weights_progress(iter):        # nothing is loaded: no progress bar
            _, found = type(skeleton).from_pretrained(
                None, config=unquantized(config), state_dict=values, device_map="meta", dtype=torch.float32, output_loading_info=True,
                ignore_mismatched_sizes=True)
    except Exception as error:      # tensors that cannot be renamed, split or merged
        raise UnsupportedModel(model, f"its weights do not match its config.json ({str(error)[:200]}).") from error
    missing = sorted(found["missing_keys"])
    if missing:
        raise UnsupportedModel(model, f"its files lack {len(missing)} of the model's {len(weights)} weights, for example {missing[0]}.")
    for name, stored, expected in sorted(found["mismatched_keys"], key=str):
        raise UnsupportedModel(
            model, f"{name} has the shape {list(stored)} in its files, where its config.json asks for {list(expected)}.")


def _is_flat(sizes: list[int]) -> bool:
    """Whether a tensor may be a weight that bitsandbytes stores in 4 bits, without its shape."""
    return len(sizes) == 2 and sizes[1] == 1


def _sizes(sizes: list[int], weight: torch.Tensor | None) -> list[int]:
    """The sizes of a tensor, for a flat one those of the weight that it fills."""
    return list(weight.shape) if weight is not None and _is_flat(sizes) and math.prod(sizes) == weight.numel() else sizes


def require_quantizable(skeleton: PreTrainedModel, quantization: Quantization, hardware: Hardware, model: str) -> str:
    """Check that the layers of this model can be quantized on this machine. Returns which cannot and stay as they are, or "".

    Raises UnsupportedQuantization.
    """
    kind = skeleton.config.model_type
    if quantization is Quantization.NONE:
        return ""
    if kind in NEVER_QUANTIZED:
        raise UnsupportedQuantization(model, quantization.upper(), f"the layers of {kind} models cannot be quantized.")
    if quantization.kernel(hardware) == "pytorch":
        return _require_integers(skeleton, quantization, model)
    if quantization is Quantization.NF4 and hardware.kind == "cpu":
        _require_rows(skeleton, model)
    return ""


def require_kernels(quantization: Quantization, hardware: Hardware, model: str) -> None:
    """Check that the kernels of this quantization run on this processor. Raises UnsupportedQuantization."""
    if quantization.kernel(hardware) == "pytorch":
        from .integer import has_kernels

        if not has_kernels():
            raise UnsupportedQuantization(model, quantization.upper(), "this version of PyTorch lacks its kernels for this processor.")


def _require_integers(skeleton: PreTrainedModel, quantization: Quantization, model: str) -> str:
    from .integer_model import SIZES, can_round, linear_layers

    layers = list(linear_layers(skeleton))
    left = [layer for layer in layers if not can_round(*layer[1:], quantization)]
    if not layers or len(left) == len(layers):
        raise UnsupportedQuantization(
            model, quantization.upper(), f"none of its layers can be rounded: the kernel needs {SIZES[quantization]}.")
    if not left:
        return ""
    name, rows, columns = left[0]
    return (f"{len(left)} of {len(layers)} linear layers are not quantized, for example {name} with {columns} columns and {rows} rows: "
            f"the kernel needs {SIZES[quantization]}.")


def _require_rows(skeleton: PreTrainedModel, model: str) -> None:
    """Check the sizes that bitsandbytes needs for NF4 on this processor."""
    import torch

    if not packs_rows_on_cpu():
        return
    kept = vision_parts(skeleton)
    for name, layer in skeleton.named_modules():
        if not name.startswith(kept) and isinstance(layer, torch.nn.Linear) and (layer.out_features % 32 or layer.in_features % 2) and \
                layer is not skeleton.get_output_embeddings():
            raise UnsupportedQuantization(
                model, Quantization.NF4.upper(), f"bitsandbytes needs an even number of columns and a multiple of 32 rows on this "
                f"processor, and {name} has {layer.in_features} columns and {layer.out_features} rows.")
