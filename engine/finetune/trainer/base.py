"""The model that is trained: the base with its head, and with LoRA the adapter on it. Safetensors only, no code of a repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import AutoTokenizer, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ...checkpoint.config import parse_config, read_raw_config
from ...compat.heads import head_class
from ...errors import UnsupportedModel
from ...hardware import detect
from ...models.model_class import auto_class, vision_parts
from ...models.quantization import Quantization, bitsandbytes_config
from ..job import TrainJob
from ..plan import HEADED

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

TASK_TYPES = {"text-classification": "SEQ_CLS", "token-classification": "TOKEN_CLS", "question-answering": "QUESTION_ANS"}
# Read by their weights alone in these families, so an adapter beside them would change nothing (peft refuses them too).
UNREACHED = {"out_proj", "dt_proj", "conv1d"}
RECURRENT = ("mamba", "falcon_h1", "nemotron_h")
ROUTERS = ("router", "gate")


@dataclass(slots=True)
class Trainable:
    """`notes`: what was decided, each a sentence."""

    model: Any
    tokenizer: PreTrainedTokenizerBase
    pad_id: int
    notes: tuple[str, ...] = ()


def open_base(job: TrainJob) -> Trainable:
    """Load the base and prepare what is trained of it. Raises UnsupportedModel."""
    folder, plan = Path(job.base_folder), job.plan
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    config = parse_config(read_raw_config(folder, plan.base.name), plan.base.name)
    pad_id = _pad(config, tokenizer)
    model, missing = _load_headed(job, folder, config) if plan.task in HEADED else (_load_causal(job, folder, config), ())
    model.config.use_cache = False
    notes = [f"Weights in {next(model.parameters()).dtype}".replace("torch.", "") + "."]
    frozen = vision_parts(model)
    if plan.method == "full":
        for name in frozen:
            model.get_submodule(name).requires_grad_(False)
    else:
        model = _with_adapter(model, job, missing, frozen)
    trained, every = (sum(each.numel() for each in model.parameters() if each.requires_grad or not only) for only in (True, False))
    notes.append(f"{trained:,} of {every:,} stored values are trained.")
    return Trainable(model, tokenizer, pad_id, tuple(notes))


def head_modules(model: PreTrainedModel) -> tuple[str, ...]:
    """The modules of a headed model beside its base: those that the task brings, with random weights."""
    return tuple(name for name, part in model.named_children() if part is not model.base_model and next(part.parameters(), None) is not None)


def linear_modules(model: PreTrainedModel, skipped: tuple[str, ...]) -> list[str]:
    """The linear layers that an adapter is put on: all but the output head, routers, and modules in `skipped`.

    By the last part of their names where that names no other layer; the chat reads adapters of any such names.
    """
    output = model.get_output_embeddings()
    unreached = UNREACHED if str(model.config.model_type).startswith(RECURRENT) else set()
    chosen: dict[str, bool] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | Conv1D):
            last = name.rpartition(".")[2]
            is_skipped = any(name == part or name.startswith(f"{part}.") for part in skipped)
            chosen[name] = not (module is output or is_skipped or last in unreached or last in ROUTERS)
    others = {name.rpartition(".")[2] for name, is_target in chosen.items() if not is_target}
    targets = [name for name, is_target in chosen.items() if is_target]
    ends = {name.rpartition(".")[2] for name in targets}
    return targets if ends & others or any(end.isdigit() for end in ends) else sorted(ends)


def _pad(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that fills up short rows. Attention never sees it and no loss counts it, so any will do where the model has none."""
    text_config: Any = config.get_text_config()
    for value in (tokenizer.pad_token_id, text_config.pad_token_id, tokenizer.eos_token_id, 0):
        if isinstance(value, int) and 0 <= value < text_config.vocab_size:
            text_config.pad_token_id = value        # the general heads look for the last token that is none
            return value
    return 0


def _load_causal(job: TrainJob, folder: Path, config: PretrainedConfig) -> PreTrainedModel:
    hardware = detect(job.device)
    quantization = None
    if job.plan.method == "qlora":
        quantization = bitsandbytes_config(Quantization.NF4, hardware)
    # The master weights of full training are in 32 bits; on a GPU, frozen ones are read in 16. CPUs train fastest in 32 bits.
    dtype = torch.float32 if hardware.kind != "cuda" or job.plan.method == "full" else getattr(torch, hardware.dtype)
    if quantization is not None and hardware.kind == "cpu":
        quantization.bnb_4bit_compute_dtype = torch.float32
    model: PreTrainedModel = auto_class(config).from_pretrained(
        folder, config=config, dtype=dtype, quantization_config=quantization, use_safetensors=True, trust_remote_code=False,
        device_map={"": hardware.device} if quantization is not None else None)
    if quantization is not None:
        from peft import prepare_model_for_kbit_training

        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    return model


def _load_headed(job: TrainJob, folder: Path, config: PretrainedConfig) -> tuple[PreTrainedModel, tuple[str, ...]]:
    """The model, and the modules inside its base that the files do not hold, such as a pooler."""
    plan = job.plan
    kind = head_class(plan.task, config)       # type: ignore[arg-type]
    if kind is None:
        raise UnsupportedModel(plan.base.name, f"transformers has no head for {plan.task} on {config.model_type} models.")
    if job.labels:
        config.id2label = dict(enumerate(job.labels))
        config.label2id = {label: at for at, label in enumerate(job.labels)}
    if plan.task == "text-classification":
        config.problem_type = "single_label_classification"
    model, report = kind.from_pretrained(folder, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True,
                                         ignore_mismatched_sizes=True)
    heads = head_modules(model)
    inside = {name.rpartition(".")[0] for name in report["missing_keys"] if name.split(".")[0] not in heads}
    return model, tuple(sorted(inside))


def _with_adapter(model: PreTrainedModel, job: TrainJob, missing: tuple[str, ...], frozen: tuple[str, ...]) -> Any:
    from peft import LoraConfig, get_peft_model

    options, task = job.plan.options, job.plan.task
    heads = (*head_modules(model), *missing) if task in HEADED else ()
    config = LoraConfig(r=options.lora_rank, lora_alpha=options.lora_alpha, target_modules=linear_modules(model, (*heads, *frozen)),
                        modules_to_save=list(heads) or None, task_type=TASK_TYPES.get(task, "CAUSAL_LM"), revision=job.base_revision or None)
    tuned: Any = get_peft_model(model, config)
    tuned.peft_config["default"].base_model_name_or_path = job.plan.base.model
    return tuned


def adapters_of(model: Any) -> Iterator[tuple[str, nn.Module]]:
    """The layers that an adapter was put on."""
    return ((name, module) for name, module in model.named_modules() if hasattr(module, "lora_A"))
