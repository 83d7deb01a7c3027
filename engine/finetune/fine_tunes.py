"""Fine-tuning runs: estimate, start, follow, stop, resume, and what is done with a result. Each runs in a process of its own."""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..background import HEARTBEAT_S
from ..errors import EngineBusy, InvalidRequest, StorageError
from ..library.permissions import Visitor
from ..settings import Secret, Settings
from ..storage import strict
from ..storage.alive import is_alive
from ..storage.finetune_runs import FineTuneRow, FineTuneStore
from .inputs import Inputs, JobWriter, again, completed, estimate_of, read_inputs, require_room
from .job import RESULT, STOP, downloads_folder
from .plan import FineTunePlan
from .process import TrainerProcess
from .results import Result, script_before, script_for
from .run import Estimate, Run
from .running import Follower
from .snapshots import RunReader
from .tables import Tables

if TYPE_CHECKING:
    from ..library.library import Library
    from ..runtime.engine import Engine

log = logging.getLogger(__name__)
JOB_KIND = "finetune"
NO_PROCESS = "0:0"      # as the name of one
MAX_RUNS = 50           # kept of one owner; the oldest are deleted first
END_S = 30.0            # waited for a process that has said its last word
STOP_S = 15.0           # after that, a second stop ends the process at once


class FineTunes:
    """Safe to use from many threads. A run of another owner does not exist: FineTuneNotFound. Every method may raise StorageError.

    A process of the app has one.
    """

    def __init__(self, engine: Engine, library: Library, tables: Tables) -> None:
        """Runs of an earlier process of the app that still train are followed again."""
        self._engine, self._library, self._tables = engine, library, tables
        self._store = FineTuneStore(engine.database)
        self._folder = engine.settings.data_dir / "finetune" / "runs"
        self._lock = threading.Lock()
        self._readers: dict[str, RunReader] = {}
        self._followers: dict[str, Follower] = {}       # of each run in progress
        try:
            for row in self._store.active():
                if not is_alive(row.watcher):
                    self._attach(row)
        except StorageError as error:       # the next call reports it
            log.error("Fine-tuning runs could not be read: %s", error)

    @property
    def settings(self) -> Settings:
        return self._engine.settings

    @property
    def engine(self) -> Engine:
        return self._engine

    # --- before a run ---

    def refusal(self, visitor: Visitor) -> str:
        """Why this visitor cannot train here, said before anything is filled in; "" where training is possible."""
        return self._library.permissions.training_refusal(visitor)

    def estimate(self, plan: FineTunePlan, visitor: Visitor) -> Estimate:
        """Memory, time and disk of a run. Reads the table and the model's headers, loads nothing. Takes seconds.

        Raises InvalidRequest (also with the row and column of an example), TableNotFound, ModelNotFound and the errors of the hub,
        UnsupportedModel.
        """
        return estimate_of(self._inputs(plan, visitor), self._engine)

    def start(self, plan: FineTunePlan, visitor: Visitor) -> Run:
        """Start a run in the background, also one with the state "preparing".

        Raises NotPermitted (on a public page without a name, or for too many examples), NotOnZeroGpu, EngineBusy (another run is in
        progress), NotEnoughMemory, DiskFull, and what `estimate` raises.
        """
        permissions = self._library.permissions
        permissions.require_training(visitor)
        permissions.require_offered(plan.base.model, visitor)
        self._require_idle()
        inputs = self._inputs(plan, visitor)
        permissions.require_examples(len(inputs.prepared.train), visitor)
        found = estimate_of(inputs, self._engine)
        require_room(found, plan.base.name)
        with self._lock:
            self._require_idle()
            row = self._store.add(visitor.owner, json.dumps(asdict(plan)), json.dumps(asdict(found)))
        self._drop_oldest(visitor)
        writer = JobWriter(inputs, found, self._folder / row.id, self._engine, permissions.hub_token(visitor),
                           permissions.training_limit_s(visitor), lambda: self._inputs(plan, visitor))
        return self._follow_row(row, found, writer)

    def resume(self, run_id: str, visitor: Visitor) -> Run:
        """Go on from the newest checkpoint, as if it had not stopped; from the beginning without one. Raises what `start` raises."""
        permissions = self._library.permissions
        permissions.require_training(visitor)
        run, row = self.get(run_id, visitor), self._store.get(run_id, visitor.owner)
        if not run.can_resume:
            raise InvalidRequest("run", run.name, "stopped or failed before it is resumed")
        found = again(_estimate_of(row), self._engine)
        require_room(found, run.plan.base.name)
        with self._lock:
            self._require_idle()
            self._store.watch(run_id, json.dumps(asdict(found)))
        (self._folder / run_id / STOP).unlink(missing_ok=True)
        inputs = None if self._reader(row).has_job else self._inputs(run.plan, visitor)      # it failed before it had any
        writer = JobWriter(inputs, found, self._folder / run_id, self._engine, permissions.hub_token(visitor),
                           permissions.training_limit_s(visitor), lambda: self._inputs(run.plan, visitor)) if inputs else None
        return self._follow_row(row, found, writer)

    # --- runs ---

    def list(self, visitor: Visitor) -> tuple[Run, ...]:
        """Own runs, newest first, without points and log."""
        return tuple(self._reader(row).read(is_short=True) for row in self._store.list(visitor.owner))

    def get(self, run_id: str, visitor: Visitor) -> Run:
        return self._reader(self._store.get(run_id, visitor.owner)).read()

    def follow(self, run_id: str, visitor: Visitor) -> Generator[Run, None, None]:
        """Yield the run now, after every change and at least every 0.1 s, and when it is over and the chat model is loaded again.

        It goes on if the generator is closed.
        """
        while True:
            is_last = run_id not in self._followers
            yield self.get(run_id, visitor)
            if is_last:
                return
            time.sleep(HEARTBEAT_S)

    def stop(self, run_id: str, visitor: Visitor) -> None:
        """Ask it to save a checkpoint and stop. A second call after STOP_S seconds ends its process at once: what it had not saved is lost.

        A run that is over stays as it is.
        """
        row = self._store.get(run_id, visitor.owner)
        found = self._followers.get(row.id)
        if found is None:
            return
        path = self._folder / row.id / STOP
        if path.exists() and time.time() - path.stat().st_mtime > STOP_S:
            found.kill()
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch()

    def delete(self, run_id: str, visitor: Visitor) -> None:
        """Delete a run and its files. Raises EngineBusy while it is in progress."""
        row = self._store.get(run_id, visitor.owner)
        self._let_end()
        if row.id in self._followers or TrainerProcess(row.trainer or NO_PROCESS).is_running():
            raise EngineBusy("this run is in progress", "Stop it first.")
        self._store.delete(run_id, visitor.owner)
        self._readers.pop(run_id, None)
        self._remove_downloads(run_id)
        shutil.rmtree(self._folder / run_id, ignore_errors=True)

    def folder(self, run_id: str, visitor: Visitor) -> Path:
        """The folder of the run, which has the log, TensorBoard's files, the checkpoints and the result."""
        return self._folder / self._store.get(run_id, visitor.owner).id

    def result_folder(self, run_id: str, visitor: Visitor) -> Path:
        """A model, or an adapter with its adapter_config.json. Raises InvalidRequest without a result."""
        run = self.get(run_id, visitor)
        if not run.has_result:
            raise InvalidRequest("run", run.name, "over, with a checkpoint")
        return self._folder / run_id / RESULT

    def card(self, run_id: str, visitor: Visitor) -> str:
        """The model card, in Markdown with front matter. Raises InvalidRequest without a result."""
        return self._result(run_id, visitor).card()

    def script(self, run_id: str, visitor: Visitor) -> str:
        """A Python program that repeats the run with transformers and peft alone. Raises InvalidRequest for a run without examples."""
        return script_for(self.folder(run_id, visitor))

    def script_of(self, plan: FineTunePlan) -> str:
        """The same before a run, where it cannot be started here (ZeroGPU)."""
        return script_before(completed(plan, self.settings))

    def merge(self, run_id: str, visitor: Visitor) -> Path:
        """Merge a LoRA result into its base (for QLoRA the unquantized one) and return the folder of the merged model. Blocks.

        The folder of a full result as it is. Raises InvalidRequest, NotEnoughMemory, DiskFull and LoadError.
        """
        return self._result(run_id, visitor).merge()

    def export(self, run_id: str, visitor: Visitor, *, is_merged: bool = False) -> Path:
        """A zip file with the result, or with the merged model, in a folder with a random name. Raises what `merge` raises.

        It takes the place of the run's earlier one.
        """
        path = self._result(run_id, visitor).export(is_merged=is_merged)
        self._remove_downloads(run_id)
        folder = downloads_folder(self.settings) / f"{run_id}-{secrets.token_hex(16)}"
        folder.mkdir(parents=True)
        return path.rename(folder / path.name)

    def push(self, run_id: str, repo: str, token: Secret, visitor: Visitor, *, is_private: bool = True, is_merged: bool = False) -> str:
        """Upload the result to the Hub with this token, and return its address. Blocks.

        Raises InvalidRequest, TokenRejected, ModelAccessDenied and HubUnreachable.
        """
        return self._result(run_id, visitor).push(repo, token, self.settings, is_private=is_private, is_merged=is_merged)

    # --- inside ---

    def _remove_downloads(self, run_id: str) -> None:
        for folder in downloads_folder(self.settings).glob(f"{run_id}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _result(self, run_id: str, visitor: Visitor) -> Result:
        return Result(self.get(run_id, visitor), self._folder / run_id, self._engine.hardware)

    def _inputs(self, plan: FineTunePlan, visitor: Visitor) -> Inputs:
        return read_inputs(plan, self._tables, visitor.owner, self.settings, self._library.permissions.hub_token(visitor))

    def _require_idle(self) -> None:
        """Raises EngineBusy: two runs at once would each take twice as long, and more memory than was estimated."""
        self._let_end()
        if self._followers or any(TrainerProcess(row.trainer or NO_PROCESS).is_running() for row in self._store.active()):
            raise EngineBusy("a model is being fine-tuned", "Wait until it is over, or stop it.")
        if self._engine.admission.reserved_for:
            raise EngineBusy(self._engine.admission.reserved_for)

    def _let_end(self) -> None:
        """Wait for a run that is over, while its process ends and the chat model is loaded again; at most END_S."""
        deadline = time.monotonic() + END_S
        while time.monotonic() < deadline:
            readers = [self._readers[run_id] for run_id in tuple(self._followers) if run_id in self._readers]
            if not readers or not all(reader.read(is_short=True).is_over for reader in readers):
                return
            time.sleep(HEARTBEAT_S)

    def _follow_row(self, row: FineTuneRow, found: Estimate, writer: JobWriter | None) -> Run:
        folder, reader = self._folder / row.id, self._reader(row)
        folder.mkdir(parents=True, exist_ok=True)
        reader.estimate(found)
        follower = Follower(self._engine, self._store, row, folder, reader, found, writer or (lambda *_: None),
                            lambda: self._library.jobs.is_closing, writer.limit_s if writer else 0.0)
        self._start_job(row, follower)
        return reader.read()

    def _attach(self, row: FineTuneRow) -> None:
        """Follow the run of a process of the app that has ended. If its trainer has ended too, this says how."""
        self._store.watch(row.id)
        found = _estimate_of(row)
        process = TrainerProcess(row.trainer or NO_PROCESS)
        self._start_job(row, Follower(self._engine, self._store, row, self._folder / row.id, self._reader(row), found, lambda *_: None,
                                      lambda: self._library.jobs.is_closing, process=process))

    def _start_job(self, row: FineTuneRow, follower: Follower) -> None:
        jobs = self._library.jobs
        for old in jobs.list((JOB_KIND,), limit=MAX_RUNS):
            if old.facts == row.id and old.is_over:
                jobs.forget(old.id)
        self._followers[row.id] = follower
        follower.on_end = lambda: self._followers.pop(row.id, None)
        try:
            jobs.start(JOB_KIND, f"{self._reader(row).read(is_short=True).name} {row.id[:6]}", follower, row.owner, row.id)
        except BaseException:
            self._followers.pop(row.id, None)
            self._store.end(row.id)
            raise

    def _reader(self, row: FineTuneRow) -> RunReader:
        with self._lock:
            if row.id not in self._readers:
                plan = strict.read(FineTunePlan, json.loads(row.plan), "the run")
                self._readers[row.id] = RunReader(self._folder / row.id, row.id, plan, row.created, _estimate_of(row))
            return self._readers[row.id]

    def _drop_oldest(self, visitor: Visitor) -> None:
        for row in self._store.list(visitor.owner)[MAX_RUNS:]:
            if not row.watcher:
                self.delete(row.id, visitor)


def _estimate_of(row: FineTuneRow) -> Estimate:
    return strict.read(Estimate, json.loads(row.estimate), "the run")
