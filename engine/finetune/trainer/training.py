"""Our use of transformers' Trainer: its loop, optimizer and checkpoints; the order of examples, the measurements and the checks are ours.

A step with a loss or a gradient that is not a number raises NotFinite before the weights change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import Trainer, TrainingArguments

from ..checkpoints import COMPLETE, PREFIX, write_metrics
from ..job import CHECKPOINTS, TrainJob
from ..run import Metrics
from .batches import ByLength, Collate, Examples
from .losses import class_loss, span_loss
from .measure import Measurement

POINTS = 200        # of the training loss, in a whole run
MAX_GRADIENT_NORM = 1.0
HIGHER_IS_BETTER = ("matthews", "f1", "accuracy", "exact_match")
LOSSES = {"text-classification": class_loss, "token-classification": class_loss, "question-answering": span_loss}


class NotFinite(Exception):
    """`what`: a noun, with the step."""


class SaveFailed(Exception):
    """A checkpoint could not be written."""


class FineTuneTrainer(Trainer):     # type: ignore[misc]
    """`measure`: None without held-back examples; the best checkpoint is that of its main value."""

    def __init__(self, model: Any, job: TrainJob, folder: Path, examples: Examples, collate: Collate,
                 measure: Measurement | None) -> None:
        self.measure, self.main, self.tokens_seen = measure, measure.main if measure else "", 0
        self._latest: tuple[int, Metrics] | None = None      # with its step
        options = job.plan.options
        self.order = ByLength([len(each.input_ids) for each in examples.encoded], options.batch_size, options.seed)
        super().__init__(model, arguments(job, folder, len(examples), self.main), data_collator=collate, train_dataset=examples,
                         eval_dataset=Examples(measure.encoded) if measure else None,
                         compute_loss_func=LOSSES.get(job.plan.task))

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return self.order

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        self.tokens_seen += int(args[1]["input_ids"].numel())
        loss: torch.Tensor = super().training_step(*args, **kwargs)
        if not torch.isfinite(loss):
            raise NotFinite(f"The loss of step {self.state.global_step + 1:,} is {float(loss)}")
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = float(super()._get_grad_norm(model, grad_norm))
        if not math.isfinite(norm):
            raise NotFinite(f"The norm of the gradient of step {self.state.global_step + 1:,} is {norm}")
        return norm

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Measure on the held-back examples, in place of the Trainer's own loop."""
        assert self.measure is not None
        metrics = self.measure()
        self._latest = (self.state.global_step, metrics)
        values = {f"eval_{each.name}": each.value for each in metrics.values}
        self.log(dict(values))
        ranks = ranks_of(self.state.log_history, self.main)
        if max(range(len(ranks)), key=lambda at: (ranks[at], -at)) == len(ranks) - 1:       # the Trainer compares main values alone
            self.state.best_metric, self.state.best_global_step = values[f"eval_{self.main}"], self.state.global_step
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, values)
        return values

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        try:
            super()._save_checkpoint(model, trial)
            folder = Path(str(self.args.output_dir)) / f"{PREFIX}{self.state.global_step}"
            if self._latest is not None and self._latest[0] == self.state.global_step:
                write_metrics(folder, self._latest[1])
            (folder / COMPLETE).touch()
        except Exception as error:      # of the disk; torch and safetensors raise errors of their own
            raise SaveFailed(f"{type(error).__name__}: {str(error)[:300]}") from error


def ranks_of(history: Sequence[Mapping[str, float]], main: str) -> list[tuple[float, float]]:
    """How good each measurement of a Trainer's history was, the better the higher: its main value, then its loss.

    A model whose F1 is still 0 improves when its loss falls.
    """
    sign = 1 if main in HIGHER_IS_BETTER else -1
    return [(sign * entry[f"eval_{main}"], -entry["eval_loss"]) for entry in history if f"eval_{main}" in entry]


def steps_per_epoch(job: TrainJob, examples: int) -> int:
    return max(1, math.ceil(examples / job.plan.options.batch_size))


def total_steps(job: TrainJob, examples: int) -> int:
    return max(1, math.ceil(job.plan.options.epochs * steps_per_epoch(job, examples)))


def arguments(job: TrainJob, folder: Path, examples: int, main: str) -> TrainingArguments:
    """`main`: of the measurements that are made during training; "": none are."""
    options, total = job.plan.options, total_steps(job, examples)
    every = max(1, min(total, steps_per_epoch(job, examples) // options.evaluations))
    assert options.learning_rate is not None
    return TrainingArguments(
        output_dir=str(folder / CHECKPOINTS), max_steps=total, learning_rate=options.learning_rate,
        per_device_train_batch_size=job.micro_batch, gradient_accumulation_steps=max(1, options.batch_size // job.micro_batch),
        weight_decay=options.weight_decay, warmup_steps=round(options.warmup_share * total), max_grad_norm=MAX_GRADIENT_NORM,
        lr_scheduler_type="linear", optim="adamw_torch", seed=options.seed, data_seed=options.seed,
        activation_checkpointing=job.has_checkpointing, activation_checkpointing_kwargs={"use_reentrant": False},
        bf16=job.device == "cuda" and torch.cuda.is_bf16_supported(), fp16=job.device == "cuda" and not torch.cuda.is_bf16_supported(),
        use_cpu=job.device == "cpu", logging_steps=max(1, total // POINTS), logging_nan_inf_filter=False,
        eval_strategy="steps" if main else "no", eval_steps=every if main else None, save_strategy="steps", save_steps=every,
        save_total_limit=2, load_best_model_at_end=bool(main), metric_for_best_model=main or None,
        greater_is_better=main in HIGHER_IS_BETTER if main else None, report_to=[], disable_tqdm=True, remove_unused_columns=False,
        dataloader_pin_memory=job.device == "cuda", average_tokens_across_devices=False)
