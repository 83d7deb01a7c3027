"""Jobs for the trainer in this process, on tiny models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.finetune.events import Ended, Event, EventWriter, Scores, read_events
from engine.finetune.examples import ClassifiedText, Dialogue, Example, Prepared
from engine.finetune.job import STOP, TrainJob, write_job
from engine.finetune.plan import FineTunePlan, Method, Task, TrainingOptions
from engine.finetune.run import Point
from engine.finetune.trainer.process import TrainerProcess
from engine.messages import Message
from engine.models.spec import ModelSpec

WORDS = ("fox", "dog", "cat", "owl", "hen", "bee", "ant", "elk")
OPTIONS = TrainingOptions(epochs=2, learning_rate=1e-3, batch_size=4, max_tokens=64, lora_rank=4, evaluations=1, patience=0)


def dialogues(count: int) -> tuple[Dialogue, ...]:
    return tuple(Dialogue(at + 1, (Message("user", f"Who is number {at}?"), Message("assistant", f"The {WORDS[at % 8]} {at}")))
                 for at in range(count))


def texts(count: int) -> tuple[ClassifiedText, ...]:
    """Two classes that one word tells apart."""
    return tuple(ClassifiedText(at + 1, f"the {'quick' if at % 2 else 'lazy'} {WORDS[at % 7]} {at}", at % 2) for at in range(count))


def write(folder: Path, base: Path, task: Task, train: tuple[Example, ...], held: tuple[Example, ...] = (), *, method: Method = "lora",
          labels: tuple[str, ...] = (), micro_batch: int = 4, limit_s: float = 0.0, **options: Any) -> Path:
    plan = FineTunePlan(task, "", {}, ModelSpec(str(base)), method, options=replace(OPTIONS, **options))
    write_job(folder, TrainJob(plan, str(base), "cpu", labels, micro_batch=micro_batch, limit_s=limit_s, num_train=len(train),
                               num_validation=len(held)), Prepared(train, held, labels))
    return folder


class StopAfter(EventWriter):
    """Asks to stop as the app does, by a file that is looked for after each step: so that this many steps are done."""

    def __init__(self, folder: Path, steps: int) -> None:
        super().__init__(folder)
        self._folder, self._steps = folder, steps

    def write(self, event: Event) -> None:
        super().write(event)
        if isinstance(event, Point) and event.loss is not None and event.step == self._steps - 1:
            (self._folder / STOP).touch()


def run(folder: Path, stop_after: int = 0) -> list[Event]:
    """Train in this process, and return every event of the folder so far."""
    TrainerProcess(folder, StopAfter(folder, stop_after) if stop_after else None).run()
    return read_events(folder)[0]


def ended(events: list[Event]) -> Ended:
    assert isinstance(events[-1], Ended)
    return events[-1]


def losses(events: list[Event]) -> list[tuple[int, float]]:
    return [(event.step, event.loss) for event in events if isinstance(event, Point) and event.loss is not None]


def scores(events: list[Event]) -> list[Scores]:
    return [event for event in events if isinstance(event, Scores)]
