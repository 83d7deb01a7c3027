"""What is done with the result of a run: its card and script, merging, exporting, uploading to the Hub."""

from __future__ import annotations

import json
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ..errors import DiskFull, InvalidRequest, LoadError, NotEnoughMemory
from ..hub.hub import Hub
from ..settings import BUILTIN, Secret
from .card import model_card, shown_base
from .checkpoints import ADAPTER, name_base
from .estimate import PROCESS_BYTES
from .job import MERGED, RESULT, TRAIN, VALIDATION, TrainJob, read_job
from .plan import FineTunePlan
from .process import TrainerProcess
from .run import Run
from .script import script_of

if TYPE_CHECKING:
    from ..hardware import Hardware

CARD, SCRIPT, EXPORT = "README.md", "train.py", "export"
MERGE = "--merge"       # of the trainer process
PRIVATE = {"training_args.bin"}


class Result:
    """The result of one run. `folder`: that of the run."""

    def __init__(self, run: Run, folder: Path, hardware: Hardware) -> None:
        """Raises InvalidRequest without a result."""
        if not run.has_result:
            raise InvalidRequest("run", run.name, "over, with a checkpoint that can be used")
        self.run, self._folder, self._hardware = run, folder, hardware

    def card(self, *, is_merged: bool = False) -> str:
        return model_card(self.run, self._hardware, is_merged=is_merged)

    def merge(self) -> Path:
        """Add a LoRA result to the unquantized weights of its base, in a process of its own; blocks until that has ended.

        Returns the folder of the merged model, or that of a full result. Raises NotEnoughMemory, DiskFull and LoadError.
        """
        if self.run.plan.method == "full":
            return self._folder / RESULT
        target, job = self._folder / MERGED, read_job(self._folder)
        if (target / "config.json").is_file():
            return target
        size = sum(path.stat().st_size for path in Path(job.base_folder).glob("*.safetensors"))
        needed, free = PROCESS_BYTES["cpu"] + 3 * size, self._hardware.free_bytes() if self._hardware.kind == "cpu" else 1 << 62
        if needed > free:
            raise NotEnoughMemory(job.plan.base.name, needed, free, "Unload the chat model first, or use the adapter without merging.")
        self._require_disk(2 * size)
        part = f"{MERGED}.{secrets.token_hex(4)}"       # someone else may merge it now, too
        merged = self._result_id()
        try:
            if TrainerProcess.start(self._folder, MERGE, part).wait():
                raise LoadError(self.run.name, "its adapter could not be merged.", "The log of the run has the details.")
            if self._result_id() != merged:
                raise LoadError(self.run.name, "its adapter was replaced while it was merged.", "Merge the new one.")
            (self._folder / part).rename(target)
        except OSError:
            if not target.is_dir():
                raise
        finally:
            shutil.rmtree(self._folder / part, ignore_errors=True)
        return target

    def _result_id(self) -> tuple[int, int]:
        """Another one for each result that takes this place."""
        try:
            found = (self._folder / RESULT).stat()
        except FileNotFoundError:       # just then
            return 0, 0
        return found.st_ino, found.st_mtime_ns

    @contextmanager
    def prepared(self, *, is_merged: bool = False, copies: int = 1) -> Iterator[Path]:
        """A folder with the files that leave this machine: weights, tokenizer, card, script. No path of this machine is in them.

        `copies`: how many of the weights will be written, this one included. What is beside the folder goes with it. Raises DiskFull,
        and what `merge` raises.
        """
        source = self.merge() if is_merged else self._folder / RESULT
        self._require_disk(copies * sum(path.stat().st_size for path in source.glob("*")))
        (self._folder / EXPORT).mkdir(exist_ok=True)
        with TemporaryDirectory(dir=self._folder / EXPORT) as folder:
            yield self._filled(Path(folder) / self._name(is_merged), source, is_merged)

    def _filled(self, target: Path, source: Path, is_merged: bool) -> Path:
        shutil.copytree(source, target, ignore=lambda _, names: PRIVATE & set(names))
        (target / CARD).write_text(self.card(is_merged=is_merged), "utf-8")
        (target / SCRIPT).write_text(script_for(self._folder, is_shared=True), "utf-8")
        if (target / ADAPTER).is_file():
            name_base(target, shown_base(self.run.plan.base.model))
        return target

    @contextmanager
    def exported(self, *, is_merged: bool = False) -> Iterator[Path]:
        """A zip file of `prepared`, which is deleted afterwards; weights are stored as they are, since they hardly become smaller.

        Raises what `prepared` raises.
        """
        with self.prepared(is_merged=is_merged, copies=2) as source:
            path = source.with_name(f"{source.name}.zip")
            with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
                for each in sorted(source.rglob("*")):
                    if each.is_file():
                        archive.write(each, f"{source.name}/{each.relative_to(source)}")
            yield path

    def push(self, repo: str, token: Secret, hub: Hub, *, is_private: bool = True, is_merged: bool = False) -> str:
        """Upload `prepared`, and return its address. Raises the errors of the hub."""
        with self.prepared(is_merged=is_merged) as source:
            return hub.upload(repo, source, token, is_private=is_private)

    def _name(self, is_merged: bool) -> str:
        plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in self.run.name).strip("-.")[:60]
        return (plain or "result") + ("-merged" if is_merged else "")

    def _require_disk(self, needed: int) -> None:
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise DiskFull(needed, free)


def script_for(folder: Path, *, is_shared: bool = False) -> str:
    """The script of a run. `is_shared`: a base in a folder of this machine is named without its path.

    Raises InvalidRequest before its examples were prepared.
    """
    job = read_job(folder)
    trained, held = _rows(folder / TRAIN), _rows(folder / VALIDATION)
    base = job.plan.base.model
    return script_of(job, folder, held, shown_base(base) if is_shared and base != BUILTIN else "", trained)


def _rows(examples: Path) -> list[int]:
    with examples.open(encoding="utf-8", newline="\n") as file:
        return [int(json.loads(line)["row"]) for line in file]


def script_before(plan: FineTunePlan) -> str:
    """The same for a plan with every option filled in, before there is a run."""
    return script_of(TrainJob(plan, "", "cpu", micro_batch=plan.options.batch_size))
