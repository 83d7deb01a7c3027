"""Fine-tuning runs: estimate, start, follow, stop, resume, and what is done with a result. Each runs in a process of its own."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..background import HEARTBEAT_S
from ..errors import EngineBusy, InvalidRequest
from ..library.permissions import Visitor
from ..settings import Secret, Settings
from ..storage.finetune_runs import FineTuneRow, FineTuneStore
from .in_progress import RunsInProgress, estimate_in
from .inputs import Inputs, JobWriter, again, chat_bytes, completed, disk_left, estimate_of, read_inputs, require_room
from .job import RESULT, STOP, downloads_folder, used_results_folder
from .plan import FineTunePlan
from .results import Result, script_before, script_for
from .run import Estimate, Run
from .tables import Tables

if TYPE_CHECKING:
    from ..library.library import Library
    from ..runtime.engine import Engine


class FineTunes:
    """Safe to use from many threads. A run of another owner does not exist: FineTuneNotFound. Every method may raise StorageError.

    A process of the app has one.
    """

    def __init__(self, engine: Engine, library: Library, tables: Tables) -> None:
        """Runs of an earlier process of the app that still train are followed again."""
        self._engine, self._library, self._tables = engine, library, tables
        self._store = FineTuneStore(engine.database)
        self._folder = engine.settings.data_dir / "finetune" / "runs"
        self._active = RunsInProgress(engine, library.jobs, self._store, self._folder)
        self._active.attach()

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
        return estimate_of(self._inputs(plan, visitor), self._engine, is_operator=self._library.permissions.is_operator(visitor))

    def start(self, plan: FineTunePlan, visitor: Visitor) -> Run:
        """Start a run in the background, also one with the state "preparing".

        Raises NotPermitted (on a public page without a name, or for too many examples), NotOnZeroGpu, EngineBusy (another run is in
        progress), NotEnoughMemory, DiskFull, and what `estimate` raises.
        """
        permissions = self._library.permissions
        permissions.require_training(visitor)
        permissions.require_offered(plan.base.model, visitor)
        self._active.require_idle()
        inputs = self._allowed(plan, visitor)
        found = estimate_of(inputs, self._engine, is_operator=self._library.permissions.is_operator(visitor))
        require_room(found, plan.base.name, self._kept_model(visitor))
        run = self._active.begin(lambda: self._store.add(visitor.owner, json.dumps(asdict(plan)), json.dumps(asdict(found))), found,
                                 lambda row: self._writer(row, plan, inputs, found, visitor), self._remove)
        self._drop_oldest(visitor)
        return run

    def resume(self, run_id: str, visitor: Visitor) -> Run:
        """Go on from the newest checkpoint, as if it had not stopped; from the beginning without one. Raises what `start` raises."""
        permissions = self._library.permissions
        permissions.require_training(visitor)
        run, row = self.get(run_id, visitor), self._store.get(run_id, visitor.owner)
        if not run.can_resume:
            raise InvalidRequest("run", run.name, "stopped or failed before it is resumed")
        self._active.require_idle()
        found = again(estimate_in(row), self._engine, is_operator=self._library.permissions.is_operator(visitor))
        inputs = None if self._active.reader(row).has_job else self._allowed(run.plan, visitor)     # it failed before it had any
        needed = disk_left(found, self._folder / run_id, inputs.base.download_bytes if inputs else 0)
        require_room(replace(found, disk_bytes=needed), run.plan.base.name,
                     self._kept_model(visitor) or "Close other programs that use memory, then resume.")

        def watched() -> FineTuneRow:
            self._store.watch(run_id, json.dumps(asdict(found)))
            (self._folder / run_id / STOP).unlink(missing_ok=True)
            return replace(row, chat_model="")

        return self._active.begin(watched, found, lambda row: self._writer(row, run.plan, inputs, found, visitor) if inputs else None,
                                  lambda row: self._store.end(row.id))

    # --- runs ---

    def list(self, visitor: Visitor) -> tuple[Run, ...]:
        """Own runs, newest first, without points and log; without those that another version of the program wrote."""
        return tuple(filter(None, (self._active.read_listed(row) for row in self._store.list(visitor.owner))))

    def get(self, run_id: str, visitor: Visitor) -> Run:
        return self._active.read(self._store.get(run_id, visitor.owner))

    def follow(self, run_id: str, visitor: Visitor) -> Generator[Run, None, None]:
        """Yield the run now, after every change and at least every 0.1 s, and when it is over and the chat model is loaded again.

        It goes on if the generator is closed.
        """
        while True:
            is_last = not self._active.is_followed(run_id)
            yield self.get(run_id, visitor)
            if is_last:
                return
            time.sleep(HEARTBEAT_S)

    def stop(self, run_id: str, visitor: Visitor) -> None:
        """Ask it to save a checkpoint and stop; before it trains, it stops at once.

        A second call after some seconds (job.STOP_S) ends its process at once: what it had not saved is lost. A run that is over
        stays as it is.
        """
        found = self._active.follower(self._store.get(run_id, visitor.owner).id)
        if found is not None:
            found.ask_to_stop()

    def delete(self, run_id: str, visitor: Visitor) -> None:
        """Delete a run and its files, also those that the chat loads. Raises EngineBusy while it is in progress."""
        row = self._store.get(run_id, visitor.owner)
        self._active.let_end()
        self._active.remove(row, self._remove)

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
        with self._result(run_id, visitor).exported(is_merged=is_merged) as path:
            self._remove_downloads(run_id)
            folder = downloads_folder(self.settings) / f"{run_id}-{secrets.token_hex(16)}"
            folder.mkdir(parents=True)
            return path.rename(folder / path.name)

    def push(self, run_id: str, repo: str, token: Secret, visitor: Visitor, *, is_private: bool = True, is_merged: bool = False) -> str:
        """Upload the result to the Hub with this token, and return its address. Blocks.

        Raises InvalidRequest, TokenRejected, ModelAccessDenied and HubUnreachable.
        """
        return self._result(run_id, visitor).push(repo, token, self._library.hub, is_private=is_private, is_merged=is_merged)

    # --- inside ---

    def _remove_downloads(self, run_id: str) -> None:
        for folder in downloads_folder(self.settings).glob(f"{run_id}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _result(self, run_id: str, visitor: Visitor) -> Result:
        return Result(self.get(run_id, visitor), self._folder / run_id, self._engine.hardware)

    def _inputs(self, plan: FineTunePlan, visitor: Visitor) -> Inputs:
        return read_inputs(plan, self._tables, visitor.owner, self.settings, self._library.permissions.hub_token(visitor))

    def _allowed(self, plan: FineTunePlan, visitor: Visitor) -> Inputs:
        """Raises NotPermitted also for too many examples, trained or held back, and for a gated model that others would get, too."""
        inputs, permissions = self._inputs(plan, visitor), self._library.permissions
        permissions.require_examples(max(len(inputs.prepared.train), len(inputs.prepared.validation)), visitor)
        permissions.require_open(inputs.base.name, visitor, is_gated=inputs.base.is_gated)
        return inputs

    def _writer(self, row: FineTuneRow, plan: FineTunePlan, inputs: Inputs, found: Estimate, visitor: Visitor) -> JobWriter:
        permissions = self._library.permissions
        return JobWriter(inputs, found, self._folder / row.id, self._engine, permissions.hub_token(visitor),
                         permissions.training_limit_s(visitor), lambda: self._inputs(plan, visitor))

    def _kept_model(self, visitor: Visitor) -> str:
        """Where memory is short: why the chat model, which everyone uses, stays; "" if it need not."""
        if self._library.permissions.is_operator(visitor) or not chat_bytes(self._engine):
            return ""
        return "The chat model stays in memory, because only the operator of this page can unload it: train a smaller model."

    def _remove(self, row: FineTuneRow) -> None:
        self._store.delete(row.id, row.owner)
        self._active.forget(row.id)
        self._remove_downloads(row.id)
        for folder in (self._folder, used_results_folder(self.settings)):
            shutil.rmtree(folder / row.id, ignore_errors=True)

    def _drop_oldest(self, visitor: Visitor) -> None:
        for row in self._store.list(visitor.owner)[self._library.permissions.kept_runs(visitor):]:
            with suppress(EngineBusy):
                self._active.remove(row, self._remove)
