"""The checkpoints of a run, and the result: the best of them, without what only training needs."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from ..errors import InvalidRequest
from ..storage import strict
from .job import CHECKPOINTS, RESULT, read_job
from .run import Metrics

COMPLETE = "complete"       # a file in each checkpoint that was written to its end
METRICS = "metrics.json"
BESIDE = "beside"           # the folder with what a result has beside its weights: the tokenizer, the labels of an adapter
PREFIX, STATE = "checkpoint-", "trainer_state.json"
ADAPTER = "adapter_config.json"
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json", ADAPTER)


def complete_checkpoints(folder: Path) -> dict[int, Path]:
    """Those that were written to their end, by their step, in order."""
    found = {int(path.name.removeprefix(PREFIX)): path for path in (folder / CHECKPOINTS).glob(f"{PREFIX}*")
             if path.name.removeprefix(PREFIX).isdecimal() and (path / COMPLETE).is_file()}
    return dict(sorted(found.items()))


def newest(folder: Path) -> int | None:
    return max(complete_checkpoints(folder), default=None)


def best(folder: Path) -> int | None:
    """The step of the best checkpoint that there is: what the newest one names, else the newest."""
    every = complete_checkpoints(folder)
    if not every:
        return None
    last = max(every)
    try:
        named = json.loads((every[last] / STATE).read_text("utf-8")).get("best_global_step")
    except (OSError, ValueError, AttributeError):
        named = None
    return named if named in every else last


def remove_incomplete(folder: Path) -> None:
    """Delete checkpoints that were being written when a process ended."""
    kept = set(complete_checkpoints(folder).values())
    for path in (folder / CHECKPOINTS).glob(f"{PREFIX}*"):
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)


def write_metrics(checkpoint: Path, metrics: Metrics) -> None:
    (checkpoint / METRICS).write_text(json.dumps(asdict(metrics), ensure_ascii=False), "utf-8")


def metrics_of(folder: Path, step: int) -> Metrics | None:
    """What the model of a checkpoint reached; None if it was not measured."""
    try:
        text = (folder / CHECKPOINTS / f"{PREFIX}{step}" / METRICS).read_text("utf-8")
        return strict.read(Metrics, json.loads(text), METRICS)
    except (OSError, ValueError, InvalidRequest):
        return None


def build_result(folder: Path) -> int | None:
    """Make `result` the best checkpoint's model and the run's tokenizer; return its step, None without a checkpoint. Raises OSError.

    An earlier result stays until the new one is complete. Weights are linked, not copied, where the file system can: a checkpoint is
    never changed after it is written.
    """
    step = best(folder)
    if step is None:
        return None
    part = folder / f"{RESULT}.part"
    try:
        _fill(part, complete_checkpoints(folder)[step], folder)
        shutil.rmtree(folder / RESULT, ignore_errors=True)
        part.rename(folder / RESULT)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return step


def _fill(target: Path, source: Path, folder: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for path in sorted({path for pattern in WEIGHTS for path in source.glob(pattern)}):
        _link(path, target / path.name)
    for path in (folder / BESIDE).glob("*"):
        shutil.copyfile(path, target / path.name)
    if (target / ADAPTER).is_file():
        name_base(target, read_job(folder).plan.base.model)


def name_base(result: Path, base: str) -> None:
    """Write into an adapter's configuration which model it belongs to. While it is trained, that is a folder of this machine."""
    path = result / ADAPTER
    config = {**json.loads(path.read_text("utf-8")), "base_model_name_or_path": base}
    path.unlink()           # it may be a link to the checkpoint's
    path.write_text(json.dumps(config, indent=2), "utf-8")


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
