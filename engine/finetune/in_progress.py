"""The runs in progress: one starts at a time, each has a follower, and those of an earlier process of the app are followed again."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..background import HEARTBEAT_S
from ..errors import EngineBusy, EngineError, InvalidRequest, StorageError
from ..storage import strict
from ..storage.alive import is_alive, this_process
from ..storage.finetune_runs import FineTuneRow, FineTuneStore
from .inputs import JobWriter
from .plan import FineTunePlan
from .process import TrainerProcess, is_training
from .run import Estimate, Run
from .running import Follower
from .snapshots import RunReader

if TYPE_CHECKING:
    from ..background import Jobs
    from ..runtime.engine import Engine

log = logging.getLogger(__name__)
JOB_KIND = "finetune"
END_S = 30.0            # waited for a process that has said its last word
MAX_JOBS = 50           # looked through for those of the same run


class RunsInProgress:
    """Safe to use from many threads. `folder`: with a folder for each run. Methods may raise StorageError."""

    def __init__(self, engine: Engine, jobs: Jobs, store: FineTuneStore, folder: Path) -> None:
        self._engine, self._jobs, self._store, self._folder = engine, jobs, store, folder
        self._starting, self._reading = threading.Lock(), threading.Lock()
        self._readers: dict[str, RunReader] = {}
        self._followers: dict[str, Follower] = {}

    def attach(self) -> None:
        """Follow the runs of a process of the app that has ended. If a trainer has ended too, this says how."""
        try:
            rows = [row for row in self._store.active() if not is_alive(row.watcher)]
        except StorageError as error:       # the next call reports it
            log.error("Fine-tuning runs could not be read: %s", error)
            return
        for row in rows:
            try:
                self._attach(row)
            except EngineError as error:        # of another version, perhaps
                log.error("The fine-tuning run %s cannot be followed: %s", row.id, error)

    def begin(self, make_row: Callable[[], FineTuneRow], found: Estimate, writer: Callable[[FineTuneRow], JobWriter | None],
              undo: Callable[[FineTuneRow], None]) -> Run:
        """Start the run that `make_row` stores, as the only one. `undo`: removes what it stored, if the run could not be started.

        Raises EngineBusy, and what `make_row` raises.
        """
        with self._starting:
            self._require_free()
            row = make_row()
            try:
                self.reader(row).estimate(found)
                (self._folder / row.id).mkdir(parents=True, exist_ok=True)
                writes = writer(row)
                self._start_job(row, self._follower(row, found, writes or (lambda *_: None), writes.limit_s if writes else 0.0))
            except BaseException:
                undo(row)
                raise
        return self.reader(row).read()

    def require_idle(self) -> None:
        """Raises EngineBusy. Waits for a run that is over, while its process ends and the chat model is loaded again; at most END_S."""
        self.let_end()
        self._require_free()

    def let_end(self) -> None:
        deadline = time.monotonic() + END_S
        while time.monotonic() < deadline:
            readers = [self._readers[run_id] for run_id in tuple(self._followers) if run_id in self._readers]
            if not readers or not all(reader.read(is_short=True).is_over for reader in readers):
                return
            time.sleep(HEARTBEAT_S)

    def remove(self, row: FineTuneRow, remove: Callable[[FineTuneRow], None]) -> None:
        """Call `remove`, while the run cannot be started. Raises EngineBusy for one that is in progress."""
        with self._starting:
            if self.is_in_progress(row):
                raise EngineBusy("this run is in progress", "Stop it first.")
            remove(row)

    def is_in_progress(self, row: FineTuneRow) -> bool:
        """Also one that another process of the app follows."""
        return row.id in self._followers or is_training(row) or (row.watcher != this_process() and is_alive(row.watcher))

    def is_followed(self, run_id: str) -> bool:
        return run_id in self._followers

    def follower(self, run_id: str) -> Follower | None:
        return self._followers.get(run_id)

    def read(self, row: FineTuneRow, *, is_short: bool = False) -> Run:
        """A run without an end that nothing works on any more has failed: how it ended could not be written."""
        reader = self.reader(row)
        run = reader.read(is_short=is_short)
        if run.is_over:
            return run
        with self._starting:        # so that a row is never seen without its follower
            is_lost = not self.is_in_progress(row)
        return reader.read(is_short=is_short, is_lost=True) if is_lost else run     # again: its end may have come meanwhile

    def read_listed(self, row: FineTuneRow) -> Run | None:
        """None for a run whose row cannot be read."""
        try:
            return self.read(row, is_short=True)
        except InvalidRequest as error:
            log.error("The fine-tuning run %s cannot be listed: %s", row.id, error)
            return None

    def reader(self, row: FineTuneRow) -> RunReader:
        with self._reading:
            if row.id not in self._readers:
                plan = strict.read(FineTunePlan, json.loads(row.plan), "the run")
                self._readers[row.id] = RunReader(self._folder / row.id, row.id, plan, row.created, estimate_in(row))
            return self._readers[row.id]

    def forget(self, run_id: str) -> None:
        self._readers.pop(run_id, None)

    def _require_free(self) -> None:
        """Two runs at once would each take twice as long, and more memory than was estimated."""
        if self._followers or any(is_training(row) for row in self._store.active()):
            raise EngineBusy("a model is being fine-tuned", "Wait until it is over, or stop it.")
        if self._engine.admission.reserved_for:
            raise EngineBusy(self._engine.admission.reserved_for)

    def _follower(self, row: FineTuneRow, found: Estimate, prepare: Callable[..., None], limit_s: float = 0.0,
                  process: TrainerProcess | None = None) -> Follower:
        return Follower(self._engine, self._store, row, self._folder / row.id, self.reader(row), found, prepare,
                        lambda: self._jobs.is_closing, limit_s, process, lambda: self._followers.pop(row.id, None))

    def _attach(self, row: FineTuneRow) -> None:
        follower = self._follower(row, estimate_in(row), lambda *_: None, process=TrainerProcess.of(row))
        try:
            self._store.watch(row.id)
            self._start_job(row, follower)
        except BaseException:       # the next process of the app tries again
            follower.room.release()
            raise

    def _start_job(self, row: FineTuneRow, follower: Follower) -> None:
        for old in self._jobs.list((JOB_KIND,), limit=MAX_JOBS):
            if old.facts == row.id and old.is_over:
                self._jobs.forget(old.id)
        self._followers[row.id] = follower
        try:
            title = f"{self.reader(row).read(is_short=True).name} {row.id[:6]}"
            self._jobs.start(JOB_KIND, title, follower, row.owner, row.id, is_shared=False)     # one of this run may be ending
        except BaseException:
            self._followers.pop(row.id, None)
            raise


def estimate_in(row: FineTuneRow) -> Estimate:
    return strict.read(Estimate, json.loads(row.estimate), "the run")
