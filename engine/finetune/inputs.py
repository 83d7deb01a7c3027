"""From a plan to what its process is given: the base on this disk, the checked examples, every option filled in."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoint.config import parse_config, read_raw_config
from ..errors import DiskFull, DownloadStopped, InvalidRequest, LoadError, NotEnoughMemory, gib
from ..hub.hub import DownloadProgress, Hub
from ..models.examination import load_tokenizer
from ..public_mode import KEPT_DISK
from ..settings import Secret, Settings
from .bases import Base, find_base, require_folder
from .checks import prepare
from .estimate import Machine, disk_bytes, estimate, judge
from .events import EventWriter, InPhase
from .examples import Prepared
from .job import CHECKPOINTS, TrainJob, write_job
from .plan import FineTunePlan
from .recommended import complete, require_valid
from .run import Estimate
from .sizes import sizes_of
from .tables import Tables

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ..runtime.engine import Engine


USUAL_WIDTH, USUAL_WINDOW = 1024, 2048     # of a model whose shape is not known


@dataclass(frozen=True, slots=True)
class Inputs:
    """`plan`: with every option filled in."""

    plan: FineTunePlan
    base: Base
    prepared: Prepared


def read_inputs(plan: FineTunePlan, tables: Tables, owner: str, settings: Settings, token: Secret | None) -> Inputs:
    """Raises InvalidRequest (also with the row and column of an example), TableNotFound, and what `find_base` raises."""
    require_valid(plan)
    base = find_base(plan, settings, token)
    plan = complete(plan, base.shape.hidden_size, base.shape.max_window)
    validation = tables.get(plan.validation_table, owner) if plan.validation_table else None
    return Inputs(plan, base, prepare(tables.get(plan.table, owner), plan, tokenizer_of(base), validation))


def completed(plan: FineTunePlan, settings: Settings) -> FineTunePlan:
    """The plan with every option filled in, also for a model that cannot be reached. Raises InvalidRequest."""
    require_valid(plan)
    try:
        shape = find_base(plan, settings).shape
    except (LoadError, InvalidRequest):
        return complete(plan, USUAL_WIDTH, USUAL_WINDOW)
    return complete(plan, shape.hidden_size, shape.max_window)


def tokenizer_of(base: Base) -> PreTrainedTokenizerBase | None:
    """None for a model that must be downloaded first."""
    if base.folder is None:
        return None
    return load_tokenizer(base.folder, parse_config(read_raw_config(base.folder, base.name), base.name), base.name, "")


def estimate_of(inputs: Inputs, engine: Engine, *, is_operator: bool) -> Estimate:
    """`is_operator`: whether the memory of the loaded chat model counts as free, and the whole disk."""
    sizes = sizes_of(inputs.prepared, inputs.plan, tokenizer_of(inputs.base))
    return estimate(inputs.plan, inputs.base, sizes, machine_of(engine, is_operator=is_operator), len(inputs.prepared.labels))


def machine_of(engine: Engine, *, is_operator: bool) -> Machine:
    folder = engine.settings.data_dir
    folder.mkdir(parents=True, exist_ok=True)
    disk = shutil.disk_usage(folder)
    free_disk = disk.free if is_operator else max(0, round(disk.free - KEPT_DISK * disk.total))
    asleep, held = engine.admission.asleep_bytes, chat_bytes(engine)        # the next message takes its memory again
    return Machine(engine.hardware, max(0, engine.hardware.free_bytes() - asleep), held if is_operator else 0, free_disk)


def chat_bytes(engine: Engine) -> int:
    """Memory of the chat model, also of one that is unloaded until the next message."""
    return engine.held_bytes + engine.admission.asleep_bytes


def require_room(found: Estimate, model: str, remedy: str = "") -> None:
    """Raises NotEnoughMemory and DiskFull, each with what helps; `remedy`: in place of what the estimate found."""
    if found.disk_bytes > found.free_disk_bytes:
        raise DiskFull(found.disk_bytes, found.free_disk_bytes)
    if not found.can_start:
        raise NotEnoughMemory(model, found.needed_bytes, found.free_bytes,
                              remedy or REMEDIES.get(found.remedy, REMEDIES["smaller_model"]))


REMEDIES = {
    "lora": "Train an adapter (LoRA) instead of all weights.", "qlora": "Train with QLoRA: the frozen weights in 4 bits.",
    "shorter_examples": "Shorten the examples (max_tokens).", "smaller_model": "Choose a smaller model.",
}


def again(found: Estimate, engine: Engine, *, is_operator: bool) -> Estimate:
    """The same estimate for the memory and the disk that are free now; how much of its disk is needed still, `disk_left` says."""
    machine = machine_of(engine, is_operator=is_operator)
    must_unload, free, verdict = judge(found.needed_bytes, machine)
    return replace(found, free_bytes=free, must_unload=must_unload, verdict=verdict, free_disk_bytes=machine.free_disk_bytes)


def disk_left(found: Estimate, folder: Path, download_bytes: int) -> int:
    """What a resumed run still needs of the disk: without its own checkpoints, which take the place of each other. Bytes.

    `download_bytes`: of a base that is not on this disk.
    """
    own = sum(path.stat().st_size for path in (folder / CHECKPOINTS).rglob("*") if path.is_file())
    return max(0, disk_bytes(found.trained_parameters) + download_bytes - own)


@dataclass(frozen=True, slots=True)
class JobWriter:
    """What a run does before its process starts: download the base if it must, then write the job. `read`: the inputs as they are now."""

    inputs: Inputs
    estimate: Estimate
    folder: Path
    engine: Engine
    token: Secret | None
    limit_s: float
    read: Callable[[], Inputs]

    def __call__(self, writer: EventWriter, stop: threading.Event) -> None:
        """Raises EngineError and OSError."""
        inputs = self._downloaded(writer, stop) if self.inputs.base.folder is None else self.inputs
        if stop.is_set():
            return
        prepared, base = inputs.prepared, inputs.base
        write_job(self.folder, TrainJob(
            inputs.plan, str(require_folder(base)), self.engine.hardware.kind, prepared.labels, prepared.digest, base.revision,
            self.estimate.micro_batch, self.estimate.has_checkpointing, self.limit_s, len(prepared.train), len(prepared.validation)),
            prepared)

    def _downloaded(self, writer: EventWriter, stop: threading.Event) -> Inputs:
        def tell(progress: DownloadProgress) -> None:
            writer.write(InPhase("download", f"{gib(progress.done_bytes)} of {gib(progress.total_bytes)}"))

        revision = self.inputs.plan.base.revision       # `read` asks for it, too: the cache remembers which commit it was
        try:
            Hub(self.engine.settings).download(self.inputs.base.name, revision, tell, stop, self.token)
        except DownloadStopped:
            return self.inputs
        return self.read()
