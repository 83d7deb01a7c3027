"""One process of a run, from the job in its folder to its result: load, measure, train, measure again. Ends with one `Ended` event.

It holds no token and reaches no network. Everything that it says is in events.jsonl; log.txt has what the libraries print.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import set_seed

from ...errors import EngineError
from ...generation.threads import fastest_number
from ...storage.alive import this_process
from ..checkpoints import BESIDE, best, build_result, complete_checkpoints, metrics_of, newest, remove_incomplete, write_metrics
from ..encoding import Encoder, encode_all
from ..events import Ended, EventWriter, InPhase, Note, Progress, Scores, Started
from ..job import BOARD, CHECKPOINTS, RESULT, STOP, TrainJob, read_examples, read_job
from ..plan import HEADED
from ..run import Measured
from .base import Trainable, open_base
from .batches import Collate, Examples
from .measure import Measurement
from .memory import peak_bytes
from .reporting import Reporter
from .training import FineTuneTrainer, NotFinite, SaveFailed, total_steps

THREADS = "threads"
NICE = 5                # chats on the same machine come first
DISK_WORDS = ("no space", "file too large", "quota", "os error 28", "os error 27", "code 28", "code 27")
OK, FAILED, FULL = 0, 1, 28


class StoppedBeforeTraining(Exception):
    """A stop was asked for while there was nothing to save yet."""


class TrainerProcess:
    def __init__(self, folder: Path, writer: EventWriter | None = None) -> None:
        self.folder = folder
        self.writer = writer or EventWriter(folder)
        self.job: TrainJob = read_job(folder)
        self._asked = threading.Event()
        self._reporter = Reporter(folder, self.job, self.writer, self._is_stopped)

    def run(self) -> int:
        """Do the work, and return the exit code. Every failure ends with its reason; the newest checkpoint stays usable."""
        try:
            self._train()
        except StoppedBeforeTraining:
            (self.folder / STOP).unlink(missing_ok=True)
            self.writer.end(Ended("person", best=best(self.folder), has_result=(self.folder / RESULT).is_dir()))
        except NotFinite as error:
            return self._failed(f"{error}: training stopped before this step changed the weights. Try a lower learning rate, "
                                "and look for examples that are very long or empty.")
        except (SaveFailed, OSError) as error:
            is_full = any(word in str(error).lower() for word in DISK_WORDS) or getattr(error, "errno", 0) == FULL
            remedy = "The disk is full. Free some space, then resume." if is_full else "Check the disk, then resume."
            return self._failed(f"A file of this run could not be written ({error}). {remedy}", FULL)
        except EngineError as error:
            return self._failed(str(error))
        except MemoryError:
            return self._failed(_shortage(self.job))
        except RuntimeError as error:       # torch says so in words
            traceback.print_exc()
            is_shortage = "out of memory" in str(error).lower() or "allocate memory" in str(error).lower()
            return self._failed(_shortage(self.job) if is_shortage else f"Training failed ({str(error)[:300]}). The log has the details.")
        except Exception as error:      # any error of a library, on this model or these examples
            traceback.print_exc()
            return self._failed(f"Training failed ({type(error).__name__}: {str(error)[:300]}). The log has the details.")
        return OK

    def ask_to_stop(self, *_: Any) -> None:
        self._asked.set()

    def _is_stopped(self) -> bool:
        return self._asked.is_set() or (self.folder / STOP).exists()

    def _go_on(self) -> None:
        if self._is_stopped():
            raise StoppedBeforeTraining

    def _train(self) -> None:
        job, folder, writer = self.job, self.folder, self.writer
        set_threads(folder)
        remove_incomplete(folder)
        resumed = newest(folder)
        train, validation = read_examples(folder, job.plan.task)
        writer.write(Started(this_process(), 0, resumed or 0))
        writer.write(InPhase("load"))
        set_seed(job.plan.options.seed)
        self._go_on()
        base = open_base(job)
        self._go_on()
        Encoder(base.tokenizer, job.plan.task).tokenizer.save_pretrained(folder / BESIDE)     # with the chat template that was used
        if job.plan.task in HEADED and job.plan.method != "full":
            base.model.config.save_pretrained(folder / BESIDE)      # its labels, which an adapter's own files do not say
        for note in base.notes if resumed is None else ():
            writer.write(Note(note))
        collate = Collate(base.pad_id)
        encoded = encode_all(train, base.tokenizer, job.plan)
        self._go_on()
        trainer = self._trainer(base, collate, encoded, validation)
        if resumed is None and trainer.measure is not None:
            writer.write(InPhase("baseline"))
            if next(base.model.parameters()).device != trainer.args.device:
                base.model.to(trainer.args.device)
            writer.write(Scores("before", trainer.measure(self._go_on)))
        self._go_on()
        writer.write(Progress(resumed or 0, total_steps(job, len(encoded)), 0.0))
        trainer.train(resume_from_checkpoint=str(complete_checkpoints(folder)[resumed]) if resumed is not None else None)
        self._finish(trainer)

    def _trainer(self, base: Trainable, collate: Collate, encoded: list[Any], validation: tuple[Any, ...]) -> FineTuneTrainer:
        from tensorboardX import SummaryWriter
        from transformers.integrations import TensorBoardCallback

        job = self.job
        held = encode_all(validation, base.tokenizer, job.plan)
        measure = Measurement(base.model, job, validation, held, collate) if validation else None
        trainer = FineTuneTrainer(base.model, job, self.folder, Examples(encoded), collate, measure)
        self._reporter.trainer = trainer
        trainer.add_callback(self._reporter)
        trainer.add_callback(TensorBoardCallback(SummaryWriter(str(self.folder / BOARD))))
        return trainer

    def _finish(self, trainer: FineTuneTrainer) -> None:
        """Make the result, and measure it if its checkpoint was made between two measurements."""
        self.writer.write(InPhase("save"))
        step = build_result(self.folder)
        after = metrics_of(self.folder, step) if step is not None else None
        if after is None and step is not None and trainer.measure is not None:
            self.writer.write(InPhase("evaluate"))
            after = trainer.measure()
            with suppress(OSError):     # only needed if the run is resumed and then ends before its next measurement
                write_metrics(complete_checkpoints(self.folder)[step], after)
        if after is not None:
            self.writer.write(Scores("after", after))
        (self.folder / STOP).unlink(missing_ok=True)
        self.writer.write(Ended(self._reporter.stop_kind, "", self._measured(), step, step is not None))

    def _failed(self, reason: str, code: int = FAILED) -> int:
        print(reason, flush=True)
        step = None
        remove_incomplete(self.folder)      # on a full disk, what follows needs its space
        try:
            step = build_result(self.folder)
        except OSError as error:
            print(f"The result could not be written: {error}", flush=True)
        self.writer.end(Ended("", reason, self._measured(), step, step is not None))
        return code

    def _measured(self) -> Measured:
        size = sum(path.stat().st_size for path in (self.folder / CHECKPOINTS).rglob("*") if path.is_file())
        return Measured(peak_bytes(self.job.device), self._reporter.training_s, size, time.time() - psutil.Process().create_time())


def _shortage(job: TrainJob) -> str:
    return (f"Memory ran out on {job.device}. Train fewer examples at once (batch size {job.plan.options.batch_size}), shorten them "
            f"({job.plan.options.max_tokens} tokens), or choose a smaller model.")


def set_threads(folder: Path) -> None:
    """Choose the number of threads once: another one rounds differently, and a resumed run equals one that never stopped.

    On a machine whose cores are in use, threads wait for each other: a step with two took many times as long as with one.
    """
    path = folder / THREADS
    try:
        number = int(path.read_text("utf-8"))
    except (OSError, ValueError):
        number = fastest_number(torch.get_num_threads())
        path.write_text(str(number), "utf-8")
    torch.set_num_threads(max(1, number))


def main(folder: Path) -> int:
    if hasattr(os, "nice"):
        os.nice(NICE)
    process = TrainerProcess(folder)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, process.ask_to_stop)
    return process.run()
