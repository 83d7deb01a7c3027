"""The model that is trained: the base with its head, and with LoRA the adapter on it. Safetensors only, no code of a repository."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoTokenizer, PreTrainedModel

from ...checkpoint.config import parse_config, read_raw_config
from ...compat.heads import head_class
from ...errors import UnsupportedModel
from ...hardware import detect
from ...models.model_class import auto_class, vision_parts
from ...models.quantization import Quantization, bitsandbytes_config
from ..job import TrainJob
from ..layers import head_modules, linear_modules
from ..plan import HEADED

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

TASK_TYPES = {"text-classification": "SEQ_CLS", "token-classification": "TOKEN_CLS", "question-answering": "QUESTION_ANS"}


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
    pad_id = set_pad(config, tokenizer)
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


def set_pad(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """Set the id that fills up short rows, and return it. Attention never sees it and no loss counts it, so any will do where the model
    has none."""
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
    config = LoraConfig(
        r=options.lora_rank, lora_alpha=options.lora_alpha, target_modules=linear_modules(model, (*heads, *frozen)),
        modules_to_save=list(heads) or None, task_type=TASK_TYPES.get(task, "CAUSAL_LM"), revision=job.base_revision or None)
    return get_peft_model(model, config)
