"""Checks and loads a model with the head of a task: the same rules as for models that chat (safetensors, no code of a repository, room)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoint.adapter import read_whole
from ..checkpoint.config import parse_config, read_raw_config
from ..checkpoint.shape import ModelShape, read_tensors, shape_of
from ..checkpoint.stored_quantization import Tensor, obstacle
from ..checkpoint.tasks import HEADS, Task, tasks_of, tasks_of_adapter
from ..compat.transformers import head_class, is_known_architecture, weights_progress
from ..errors import EngineError, LoadError, NotEnoughMemory, UnsupportedModel, UnsupportedQuantization
from ..hardware import DType, Hardware
from ..models.adapters import Adapter, find_adapter
from ..models.examination import choose_dtype
from ..models.fetch import find
from ..models.loader import choose_threads, collect, drop_frames, reported
from ..models.memory import judge
from ..models.quantization import Quantization
from ..models.skeleton import build, require_layers, require_weights
from ..models.spec import LoadEvent, ModelSpec, Report
from ..settings import Settings
from .errors import NoTrainedHead
from .merging import merge, require_fitting

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

# Of an adapter's folder: what its training decided about the head, which peft's own files do not say.
HEAD_FIELDS = ("id2label", "label2id", "num_labels", "problem_type", "pad_token_id")
LABELLED = ("SEQ_CLS", "TOKEN_CLS")     # peft's names of tasks whose head has a row for each label
WINDOW, LONGEST_WINDOW = 512, 4096      # tokens read at once: where the model sets no limit, and at most


@dataclass(frozen=True, slots=True)
class TaskCandidate:
    """A model that passed every check."""

    spec: ModelSpec
    task: Task
    tasks: tuple[Task, ...]
    folder: Path
    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerBase
    shape: ModelShape
    dtype: DType
    dtype_reason: str
    adapter: Adapter | None = None


@dataclass(slots=True)
class LoadedTask:
    """`window_tokens`: of the model, with special tokens."""

    candidate: TaskCandidate
    model: PreTrainedModel
    weight_bytes: int
    window_tokens: int


def without_cache(shape: ModelShape) -> ModelShape:
    """The shape of a model that keeps nothing between two texts."""
    return replace(shape, kv_heads=0, cache_values=0, state_values=0)


def examine_task(spec: ModelSpec, hardware: Hardware, settings: Settings, free_bytes: int, report: Report) -> TaskCandidate:
    """Make every check that can refuse a load. Raises every kind of LoadError, and InvalidRequest."""
    if spec.quantization is not Quantization.NONE:
        raise UnsupportedQuantization(spec.model, spec.quantization.upper(), "models for tasks are loaded as they are stored.")
    adapter = find_adapter(spec.adapter, settings, report) if spec.adapter else None
    folder, _ = find(spec, settings, report)
    report(LoadEvent("config", note="Reading the configuration"))
    raw = read_raw_config(folder, spec.model)
    if adapter is not None:
        raw = {**raw, **_head_of(adapter, spec.model)}
    tasks = _tasks(raw, spec, adapter)
    task: Task = next((each for each in tasks if each == spec.task), tasks[0])
    config, tensors = parse_config(raw, spec.model), read_tensors(folder, spec.model)
    require_layers(config, len(tensors), spec.model)
    skeleton = build(_class_for(task, config), config, spec.model)
    if adapter is not None:
        require_fitting(skeleton, adapter)
    require_weights(skeleton, config, _with_head(tensors, adapter), spec.model)
    shape = without_cache(shape_of(config.to_dict(), tensors))
    dtype, reason = choose_dtype(spec, Quantization.NONE, shape, hardware)
    extra = adapter.size_bytes if adapter else 0
    fit = judge(shape, Quantization.NONE, hardware, dtype=dtype, context_tokens=WINDOW, concurrent=1, free_bytes=free_bytes - extra)
    if fit.needed_bytes > free_bytes - extra:
        raise NotEnoughMemory(spec.model, fit.needed_bytes + extra, free_bytes, "Choose a smaller model.")
    report(LoadEvent("tokenizer", note="Loading the tokenizer"))
    tokenizer = _tokenizer(folder, adapter, config, spec.model, needs_offsets=HEADS[task].needs_offsets)
    return TaskCandidate(replace(spec, task=task), task, tasks, folder, config, tokenizer, shape, dtype, reason, adapter)


def load_task(candidate: TaskCandidate, hardware: Hardware, report: Report) -> LoadedTask:
    """Raises LoadError, and then leaves nothing in memory."""
    import torch

    model: PreTrainedModel | None = None
    try:
        with weights_progress(lambda items: reported(items, report)):
            model = _class_for(candidate.task, candidate.config).from_pretrained(
                candidate.folder, config=copy.deepcopy(candidate.config), use_safetensors=True, trust_remote_code=False,
                dtype=getattr(torch, candidate.dtype), ignore_mismatched_sizes=candidate.adapter is not None)      # its head is replaced
        if candidate.adapter is not None:
            merge(model, candidate.adapter)
        model = model.to(hardware.device).eval()
        weight_bytes = int(model.get_memory_footprint())
        choose_threads(weight_bytes, hardware)
        return LoadedTask(candidate, model, weight_bytes, _window(model, candidate.tokenizer))
    except EngineError:
        raise
    except Exception as error:      # damaged files can raise anything: one typed error for all
        model = None
        drop_frames(error)
        collect()
        raise LoadError(candidate.spec.model, f"{type(error).__name__}: {str(error)[:300]}",
                        "Its files may be damaged: download it again.") from error


def _tasks(raw: Mapping[str, Any], spec: ModelSpec, adapter: Adapter | None) -> tuple[Task, ...]:
    """Those that the model can be used for. Raises UnsupportedModel."""
    kind = raw.get("model_type")
    if not is_known_architecture(kind):
        raise UnsupportedModel(spec.model, f"its architecture ({kind}) is unknown to transformers, or needs code from the repository, "
                               "which is never run.")
    if reason := obstacle(raw):
        raise UnsupportedModel(spec.model, reason)
    found = tasks_of_adapter(adapter.config.task, kind) if adapter else tasks_of(raw)
    if not found or (spec.task and spec.task not in found):
        classes = raw.get("architectures")
        raise NoTrainedHead(spec.model, spec.task, str(classes[0]) if isinstance(classes, list) and classes else "model without a head")
    return found


def _head_of(adapter: Adapter, model: str) -> dict[str, Any]:
    """What the adapter's config.json says of its head, or the number of labels that the head itself has: one for each of its rows."""
    if not (adapter.folder / "config.json").is_file():
        rows = [sizes[0] for sizes in read_whole(adapter.folder, adapter.name).values() if len(sizes) == 2]
        return {"num_labels": min(rows)} if rows and adapter.config.task in LABELLED else {}      # the last of several layers
    raw = read_raw_config(adapter.folder, model)
    return {name: raw[name] for name in HEAD_FIELDS if raw.get(name) is not None}


def _with_head(tensors: list[Tensor], adapter: Adapter | None) -> list[Tensor]:
    """The base's weights, with the head that an adapter brings in the place of the base's own, which may have other labels."""
    whole = read_whole(adapter.folder, adapter.name) if adapter else {}
    return [*(tensor for tensor in tensors if tensor[0] not in whole), *((name, sizes, "F32") for name, sizes in whole.items())]


def _class_for(task: Task, config: PretrainedConfig) -> Any:
    """transformers' automatic class, or the class of a family whose head is the general one of fine-tuning. Raises UnsupportedModel."""
    import transformers

    kind = getattr(transformers, HEADS[task].auto_class)
    if not head_class(HEADS[task].auto_class, config.model_type):
        from ..compat.heads import head_class as general

        kind = general(task, config)        # type: ignore[arg-type]
    if kind is None:
        raise UnsupportedModel(config.model_type, "transformers has no head for this task on such models.")
    return kind


def _tokenizer(folder: Path, adapter: Adapter | None, config: PretrainedConfig, model: str, *, needs_offsets: bool) -> Any:
    """That of the adapter, if it has one. Raises UnsupportedModel."""
    from transformers import AutoTokenizer

    own = adapter is not None and (adapter.folder / "tokenizer.json").is_file()
    source = adapter.folder if own and adapter else folder
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, config=config, trust_remote_code=False)
    except Exception as error:      # damaged files can raise anything
        raise UnsupportedModel(model, f"its tokenizer cannot be read ({str(error).strip()[:200]}).") from error
    if needs_offsets and not tokenizer.is_fast:
        raise UnsupportedModel(model, "its tokenizer has no tokenizer.json, which says where a token is in the text.")
    if tokenizer.pad_token is None:     # decoders have none: texts of one call are then filled with the end
        tokenizer.pad_token = tokenizer.eos_token
    if config.get_text_config().pad_token_id is None:
        config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return tokenizer


def _window(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens that the model reads at once. RoBERTa and its relatives count positions from the padding's id on."""
    config = model.config.get_text_config()
    limits = [getattr(config, name, None) for name in ("max_position_embeddings", "n_positions")]
    most = next((limit for limit in limits if isinstance(limit, int)), WINDOW)
    table = next((module for name, module in model.named_modules() if name.endswith("position_embeddings")), None)
    if getattr(table, "padding_idx", None) is not None:
        most -= int(table.padding_idx) + 1      # type: ignore[union-attr]
    return max(8, min(most, int(min(tokenizer.model_max_length, LONGEST_WINDOW)), LONGEST_WINDOW))
