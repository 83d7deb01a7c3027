"""Loads a model by its name, and frees its memory.

Safetensors only, never code from a repository. Everything here blocks; progress goes to `report`.
"""

from __future__ import annotations

import ctypes
import gc
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..checkpoint.config import read_config, read_gguf_config
from ..checkpoint.files import gguf_in, gguf_named
from ..checkpoint.gguf import read_gguf
from ..checkpoint.stored_quantization import stored_quantization
from ..compat.transformers import weights_progress
from ..errors import EngineError, LoadError
from ..hardware import Hardware
from ..settings import Settings
from .examination import checked_gguf, checked_shape, choose_dtype, load_tokenizer, plan
from .fetch import find
from .loaded import Candidate, LoadedModel
from .model_class import vision_parts
from .quantization import Quantization, bitsandbytes_config, held_as, reads_stored, require_supported, stored_note
from .saved import find_saved, is_current
from .skeleton import build_skeleton, require_kernels
from .spec import LoadEvent, ModelSpec, Report

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Below this size of weights, synchronizing with a second thread costs as much as it saves, and far more when another program
# uses that thread's core (4.3 M parameters beside a program that keeps 2 cores busy: 3 tok/s with two threads, 29 with one).
ONE_THREAD_BYTES = 64 * 2**20
HEAD = "lm_head"        # of models that read pictures


def examine(spec: ModelSpec, hardware: Hardware, settings: Settings, free_bytes: int, report: Report) -> Candidate:
    """Make every check that can refuse a load, before the current model is unloaded.

    Raises every kind of LoadError, and InvalidRequest.
    """
    require_supported(spec.quantization, hardware, spec.model)
    require_kernels(spec.quantization, hardware, spec.model)
    saved = find_saved(spec, settings, hardware) if spec.quantization is not Quantization.NONE else None
    if saved is not None and not is_current(saved, settings):
        saved = None
    folder, sha = (saved.folder, saved.source) if saved else find(spec, settings, report)
    gguf = "" if saved else gguf_named(spec.model) or gguf_in(folder)
    report(LoadEvent("config", note="Reading the configuration"))
    header = read_gguf(folder / gguf, spec.model) if gguf else None
    config = read_gguf_config(folder, gguf, spec.model) if gguf else read_config(folder, spec.model)
    stored = None if saved else stored_quantization(config.to_dict())
    held = held_as(spec.quantization, stored.codes if stored else "", hardware)
    require_kernels(held, hardware, spec.model)
    parts: tuple[str, ...] = ()
    if saved is not None:
        shape, note = saved.shape, saved.note
        parts = vision_parts(build_skeleton(config, spec.model)) if shape.vision_weights else ()
    elif header is not None:
        shape, note = checked_gguf(header, config, spec.model, held, hardware)
    else:
        shape, note, parts = checked_shape(folder, config, spec.model, held, stored, hardware)
    dtype, reason = choose_dtype(spec, held, shape, hardware)
    budget, text_only = plan(shape, spec.model, held, hardware, dtype, settings, free_bytes, can_leave_out=bool(parts))
    shape = shape.text_part if text_only else shape
    report(LoadEvent("tokenizer", note="Loading the tokenizer"))
    tokenizer = load_tokenizer(folder, config, spec.model, gguf)
    return Candidate(
        spec, folder, sha, config, tokenizer, shape, dtype, reason, budget, is_saved=saved is not None, held=held, stored=stored,
        is_as_stored=stored is not None and reads_stored(held, stored.codes, hardware), gguf=gguf, vision_parts=parts, text_only=text_only,
        quantization_note=" ".join(filter(None, (
            stored_note(stored, gguf, held, dtype, has_experts=shape.expert_weights > 0), note))))


def load(candidate: Candidate, hardware: Hardware, report: Report) -> LoadedModel:
    """Load the weights of an examined model. Raises LoadError, and then leaves nothing in memory."""
    spec = candidate.spec
    model: PreTrainedModel | None = None
    try:
        is_integer = candidate.held.kernel(hardware) == "pytorch"
        with weights_progress(lambda items: reported(items, report)):
            model, packed_bytes = _load_integers(candidate, report) if is_integer else (_load_weights(candidate, hardware), 0)
        packed_bytes += 0 if hardware.is_lent else _pack(model, candidate)
        choose_threads(int(model.get_memory_footprint()) + packed_bytes, hardware)
    except EngineError:
        raise
    except Exception as error:      # damaged files can raise anything: one typed error for all
        model = None
        drop_frames(error)
        collect()
        if _is_shortage(error):
            raise LoadError(spec.model, "memory ran out while its weights were loaded.",
                            "Choose a smaller model or a stronger quantization.") from error
        detail, remedy = f"{type(error).__name__}: {str(error)[:300]}", "Its files may be damaged: download it again."
        if candidate.is_saved and isinstance(error, _damages()):
            shutil.rmtree(candidate.folder, ignore_errors=True)
            remedy = "The saved quantized copy was damaged and is deleted now: load it again from its source."
        raise LoadError(spec.model, detail, remedy) from error
    return LoadedModel(candidate, model, int(model.get_memory_footprint()) + packed_bytes)


def _is_shortage(error: Exception) -> bool:
    """Whether memory ran out. PyTorch says so in a RuntimeError: in other words for a CPU ("can't allocate memory") than for a GPU."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text


def _damages() -> tuple[type[Exception], ...]:
    """What a damaged file raises. Other errors, of a device for example, say nothing about it."""
    from safetensors import SafetensorError

    return ValueError, KeyError, SafetensorError


def _load_integers(candidate: Candidate, report: Report) -> tuple[PreTrainedModel, int]:
    """The model in integers, and their bytes. Weights are mapped from their files, and rounded one layer after the other."""
    import torch

    from . import integer_files, weight_files
    from .integer_model import round_model

    dtype = getattr(torch, candidate.dtype)
    if candidate.is_saved:
        return integer_files.read(candidate, dtype)
    bits, original = candidate.held.bits, getattr(torch, candidate.shape.stored_dtype, dtype)
    original = original if original in (torch.bfloat16, torch.float16) else dtype
    model, stored = weight_files.read_unexpanded(candidate, original) if candidate.stored or candidate.gguf else \
        (weight_files.read(candidate, dtype=original), {})
    report_rounded = _at_intervals(lambda done, total: report(LoadEvent("weights", done, total, f"Rounding weights to {bits} bits")))
    return model, round_model(model, candidate.held, dtype, report_rounded, stored)


def _load_weights(candidate: Candidate, hardware: Hardware) -> PreTrainedModel:
    import torch

    skipped = [*candidate.vision_parts, HEAD] if candidate.vision_parts else ()
    config, is_ready = bitsandbytes_config(candidate.held, hardware, skipped), candidate.is_saved or candidate.is_as_stored
    asked = {} if config is None or is_ready else {"quantization_config": config}      # None would override the saved one
    device_map: str | dict[str, Any] | None = None
    if hardware.kind == "cuda":
        device_map = "auto" if hardware.count > 1 else {"": 0}
    elif candidate.held is not Quantization.NONE or hardware.kind == "mps":
        device_map = {"": hardware.kind}
    return _reader(candidate)(candidate, dtype=getattr(torch, candidate.dtype), device_map=device_map, **asked)


def _reader(candidate: Candidate) -> Callable[..., PreTrainedModel]:
    from . import weight_files

    if candidate.is_as_stored:
        return weight_files.read_as_stored
    return weight_files.read_expanded if candidate.stored or candidate.gguf else weight_files.read


def _pack(model: PreTrainedModel, candidate: Candidate) -> int:
    from .packing import can_pack, pack

    return pack(model) if candidate.held is Quantization.NONE and can_pack(model) else 0


def choose_threads(weight_bytes: int, hardware: Hardware) -> None:
    """Set how many threads PyTorch uses in threads created from now on, which includes those of the lanes."""
    import torch

    if hardware.kind == "cpu":
        torch.set_num_threads(1 if weight_bytes < ONE_THREAD_BYTES else hardware.cores)


def reported(items: list[Any], report: Report) -> Iterator[Any]:
    follow = _at_intervals(lambda done, total: report(LoadEvent("weights", done, total, "Loading weights")))
    for done, item in enumerate(items):
        follow(done, len(items))
        yield item
    follow(len(items), len(items))


def _at_intervals(report: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """`report` for the first, the last, and at most every 0.05 s of the calls between them."""
    last = 0.0

    def follow(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > 0.05:
            last = time.monotonic()
            report(done, total)

    return follow


def drop_frames(error: BaseException) -> None:
    """Clear the frames of an error, so that its traceback does not keep the failed model in memory."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen.__traceback__ = None
        seen = seen.__cause__ or seen.__context__


def collect() -> None:
    """Return freed memory to the device and, on Linux, to the system."""
    gc.collect()
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (OSError, AttributeError):
            return      # musl returns memory by itself
