"""What a trainer process is given: a folder with the job, the examples, and later everything that the run writes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidRequest
from ..settings import Settings
from ..storage import strict
from .examples import Answered, ClassifiedText, Dialogue, Example, PlainText, Prepared, TaggedWords
from .plan import FineTunePlan, Task

JOB, TRAIN, VALIDATION, LOG = "plan.json", "train.jsonl", "validation.jsonl", "log.txt"
STOP_S = 15.0           # after that, a second stop ends the process at once
CHECKPOINTS, RESULT, BOARD, STOP, MERGED = "checkpoints", "result", "tensorboard", "stop", "merged"
KINDS: dict[Task, type[Example]] = {"text-classification": ClassifiedText, "question-answering": Answered,
                                    "token-classification": TaggedWords, "chat": Dialogue, "text": PlainText}


def downloads_folder(settings: Settings) -> Path:
    """The only folder of fine-tuning whose files the page's server gives away: to whoever has the random part of their address."""
    return settings.data_dir / "finetune" / "downloads"


def used_results_folder(settings: Settings) -> Path:
    """With a folder for each run whose result the chat has loaded."""
    return settings.data_dir / "finetune" / "results"


def asked_to_stop_s(folder: Path) -> float:
    """Seconds since the first stop of a run was asked for; below 0 if none was."""
    try:
        return max(0.0, time.time() - (folder / STOP).stat().st_mtime)
    except OSError:
        return -1.0


@dataclass(frozen=True, slots=True)
class TrainJob:
    """`plan`: with every option filled in. `base_folder`: the model's files. `device`: cpu, cuda or mps.

    `micro_batch`, `has_checkpointing`: as in the estimate. `limit_s`: longest time of training; 0: none.
    """

    plan: FineTunePlan
    base_folder: str
    device: str
    labels: tuple[str, ...] = ()
    digest: str = ""
    base_revision: str = ""
    micro_batch: int = 1
    has_checkpointing: bool = False
    limit_s: float = 0.0
    num_train: int = 0
    num_validation: int = 0


def write_job(folder: Path, job: TrainJob, prepared: Prepared | None = None) -> None:
    """The job comes last and complete, since a folder that has it can be trained. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    if prepared is not None:
        for name, examples in ((TRAIN, prepared.train), (VALIDATION, prepared.validation)):
            with (folder / name).open("w", encoding="utf-8", errors="replace") as file:
                file.writelines(json.dumps(_plain(example), ensure_ascii=False) + "\n" for example in examples)
    part = folder / f"{JOB}.part"
    part.write_text(json.dumps(asdict(job), ensure_ascii=False, indent=1), "utf-8")
    part.replace(folder / JOB)


def read_job(folder: Path) -> TrainJob:
    """Raises InvalidRequest for a folder that is not a run's."""
    try:
        return strict.read(TrainJob, json.loads((folder / JOB).read_text("utf-8")), "the run")
    except (OSError, ValueError) as error:
        raise InvalidRequest("run", folder.name, f"a folder with {JOB}") from error


def read_examples(folder: Path, task: Task) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Those to train with, and those held back."""
    kind = KINDS[task]
    train, validation = (tuple(_read(kind, folder / name)) for name in (TRAIN, VALIDATION))
    return train, validation


def _read(kind: type[Example], path: Path) -> Iterator[Example]:
    with path.open(encoding="utf-8", newline="\n") as file:
        for at, line in enumerate(file, 1):
            yield strict.read(kind, json.loads(line), f"line {at} of {path.name}")


def _plain(example: Example) -> dict[str, Any]:
    if isinstance(example, Dialogue):
        return {"row": example.row, "messages": [{"role": each.role, "content": each.content, "reasoning": each.reasoning}
                                                 for each in example.messages]}
    return asdict(example)
