"""The checks of a model's files before the current model is unloaded, each of which can refuse it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoint.gguf import GgufHeader
from ..checkpoint.shape import ModelShape, read_tensors, shape_of
from ..checkpoint.stored_quantization import NOTHING_STATED, StoredQuantization, expanded
from ..checkpoint.stored_tensors import stated_shapes, unreadable
from ..compat.gguf import missing_weights
from ..errors import NotEnoughMemory, UnsupportedModel, gib
from ..hardware import DType, Hardware
from ..settings import Settings
from .cache_budget import CacheBudget, plan_cache
from .model_class import vision_parts
from .quantization import Quantization
from .skeleton import build_skeleton, require_layers, require_quantizable, require_weights
from .spec import ModelSpec

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase


def plan(shape: ModelShape, model: str, held: Quantization, hardware: Hardware, dtype: DType, settings: Settings, free_bytes: int, *,
         can_leave_out: bool) -> tuple[CacheBudget, str]:
    """The cache, and why the part that reads pictures is left out, or "". Raises NotEnoughMemory."""
    def planned(part: ModelShape) -> CacheBudget:
        return plan_cache(part, held, hardware, dtype=dtype, context_tokens=settings.context_tokens,
                          concurrent=settings.concurrent_replies, free_bytes=free_bytes, model=model)

    try:
        return planned(shape), ""
    except NotEnoughMemory as error:
        if not can_leave_out or not shape.vision_weights:
            raise
        return planned(shape.text_part), (f"The part that reads pictures is left out: with it the model needs {gib(error.needed_bytes)}, "
                                          f"and {gib(free_bytes)} are free.")


def checked_shape(folder: Path, config: PretrainedConfig, model: str, held: Quantization, stored: StoredQuantization | None,
                  hardware: Hardware) -> tuple[ModelShape, str, tuple[str, ...]]:
    """The shape of a model whose files hold every weight that its configuration asks for, which of its layers cannot be quantized, and
    the modules that read pictures. Raises UnsupportedModel and UnsupportedQuantization.
    """
    tensors = read_tensors(folder, model)
    stated = stated_shapes(folder, tensors, stored) if stored is not None else NOTHING_STATED
    if stored is not None and (reason := unreadable(tensors, stored, stated)):
        raise UnsupportedModel(model, reason)
    require_layers(config, len(tensors), model)
    skeleton = build_skeleton(config, model)
    require_weights(skeleton, config, expanded(tensors, stored, stated) if stored else tensors, model)
    note = require_quantizable(skeleton, held, hardware, model)
    return shape_of(config.to_dict(), tensors), note, vision_parts(skeleton)


def checked_gguf(header: GgufHeader, config: PretrainedConfig, model: str, held: Quantization,
                 hardware: Hardware) -> tuple[ModelShape, str]:
    """The same for a GGUF file, whose tensors have other names: it must hold as many values as the model has, and none of its weights may
    be missing by transformers' tables of names.
    """
    require_layers(config, len(header.tensors), model)
    skeleton, shape = build_skeleton(config, model), header.shape(config.to_dict())
    total = sum(weight.numel() for weight in skeleton.parameters())
    if shape.parameters < total:
        raise UnsupportedModel(model, f"its file holds {shape.parameters:,} of the model's {total:,} weights.")
    if missing := missing_weights(header.architecture, header.names, skeleton):
        raise UnsupportedModel(model, f"its file lacks {len(missing)} of the model's weights, for example {missing[0]}.")
    return shape, require_quantizable(skeleton, held, hardware, model)


def choose_dtype(spec: ModelSpec, held: Quantization, shape: ModelShape, hardware: Hardware) -> tuple[DType, str]:
    """The data type to compute in, and why."""
    if spec.dtype != "auto":
        return spec.dtype, "requested"
    if held is Quantization.INT8 and held.kernel(hardware) == "bitsandbytes":
        return "float16", "bitsandbytes computes 8-bit matrix multiplications in float16"
    if held is Quantization.NONE and shape.stored_dtype == "float32" and hardware.kind == "cpu" and not hardware.is_lent:
        return "float32", "stored in float32, and kept exact on a CPU"
    return hardware.dtype, hardware.dtype_reason


def load_tokenizer(folder: Path, config: PretrainedConfig, model: str, gguf: str) -> PreTrainedTokenizerBase:
    """Raises UnsupportedModel."""
    from transformers import AutoTokenizer

    source = {"gguf_file": gguf} if gguf else {"config": config}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **source)
    except Exception as error:      # damaged files can raise anything
        raise UnsupportedModel(model, f"its tokenizer cannot be read ({str(error).strip()[:200]}).") from error
    if not tokenizer.is_fast:
        raise UnsupportedModel(model, "its tokenizer has no tokenizer.json.")
    return tokenizer
