"""Tells the app what happens, and ends training when it should: asked to, out of time, or without improvement."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..checkpoints import newest
from ..events import EventWriter, InPhase, Progress, Saved
from ..job import TrainJob
from ..run import Point
from .memory import peak_bytes
from .training import FineTuneTrainer, ranks_of

PROGRESS_S = 0.5        # between two events of progress


class Reporter(TrainerCallback):      # type: ignore[misc]
    """`asked`: whether the run was asked to stop. `stop_kind`: why training ended, as in `Run`."""

    def __init__(self, folder: Path, job: TrainJob, writer: EventWriter, asked: Callable[[], bool]) -> None:
        self._folder, self._job, self._writer, self._asked = folder, job, writer, asked
        self.trainer: FineTuneTrainer | None = None
        self.stop_kind = "finished"
        self.training_s = 0.0       # without measurements and checkpoints
        self._began = self._step_began = self._told = time.monotonic()
        self._first_step = 0
        self._logged = (0, 0.0)     # tokens and seconds at the last point
        self._last_step_s = 0.0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._began, self._first_step = time.monotonic(), state.global_step
        self._writer.write(InPhase("train"))

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        assert self.trainer is not None
        self.trainer.order.epoch = int(state.epoch or 0)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._step_began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        now = time.monotonic()
        self.training_s += now - self._step_began
        is_last = state.global_step >= state.max_steps
        if is_last:
            control.should_evaluate = self.trainer is not None and self.trainer.measure is not None
            control.should_save = control.should_log = True
        elif kind := "person" if self._asked() else "time" if self._is_late(now) else "":
            self.stop_kind = kind
            control.should_save = control.should_log = control.should_training_stop = True
        if is_last or control.should_training_stop or now - self._told >= PROGRESS_S:
            self._told = now
            each = (now - self._began) / max(1, state.global_step - self._first_step)
            self._writer.write(Progress(state.global_step, state.max_steps, float(state.epoch or 0),
                                        each * (state.max_steps - state.global_step)))
        if control.should_evaluate:     # set above, or by the Trainer's own callback, which comes before this one
            self._writer.write(InPhase("evaluate"))

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """End training after `patience` measurements without improvement. Counted in the history, which a checkpoint holds."""
        self._writer.write(InPhase("train"))
        patience, ranks = self._job.plan.options.patience, ranks_of(state.log_history, str(args.metric_for_best_model))
        best = max(range(len(ranks)), key=lambda at: (ranks[at], -at)) if ranks else 0
        if patience and len(ranks) - 1 - best >= patience and not control.should_training_stop:
            self.stop_kind, control.should_training_stop, control.should_save = "early", True, True

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float] | None = None,
               **kwargs: Any) -> None:
        if not logs or self.trainer is None or not ("loss" in logs or "eval_loss" in logs):
            return
        seconds = time.monotonic() - self._began
        if "eval_loss" in logs:
            self._writer.write(Point(state.global_step, seconds, eval_loss=logs["eval_loss"],
                                     metric=logs.get(f"eval_{self.trainer.main}"), memory_bytes=peak_bytes(self._job.device)))
            return
        tokens, spent = self.trainer.tokens_seen - self._logged[0], self.training_s - self._logged[1]
        self._logged = (self.trainer.tokens_seen, self.training_s)
        self._writer.write(Point(
            state.global_step, seconds, loss=logs["loss"], learning_rate=logs.get("learning_rate"), gradient_norm=logs.get("grad_norm"),
            tokens_per_second=tokens / spent if spent > 0 else None, memory_bytes=peak_bytes(self._job.device)))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._writer.write(Saved(newest(self._folder) or state.global_step, state.best_global_step))

    def _is_late(self, now: float) -> bool:
        return bool(self._job.limit_s) and now - self._began > self._job.limit_s
