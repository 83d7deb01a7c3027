"""One run from the app's side, in a job's thread: download, prepare, make room, start the process, follow it, restore the chat model."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..background import JobProgress, JobStopped, StopSignal
from ..errors import EngineError, StorageError
from ..storage.finetune_runs import FineTuneRow, FineTuneStore
from .checkpoints import best, build_result, newest, remove_incomplete
from .events import Ended, Event, EventWriter, InPhase, Started, read_events
from .job import RESULT, STOP, STOP_S, asked_to_stop_s
from .process import TrainerProcess
from .room import Room
from .run import Estimate
from .snapshots import RunReader

if TYPE_CHECKING:
    from ..runtime.engine import Engine

log = logging.getLogger(__name__)
POLL_S = 0.2
LATE_S = 120.0      # after the limit of time in one phase until a process that did not stop by itself is killed
UNIT = "steps"


@dataclass(slots=True)
class PhaseLimit:
    """Whether a process must be ended. The limit of time is that of training, at which the process stops by itself, and saves; loading and
    each measurement may take as long. `limit_s`: 0: none."""

    limit_s: float
    _phase: str = ""
    _began: float = 0.0

    def is_over(self, phase: str, now: float) -> bool:
        """`now`: in seconds of any clock."""
        if phase != self._phase or not self._began:
            self._phase, self._began = phase, now
        return bool(self.limit_s) and now - self._began > self.limit_s + LATE_S


@dataclass(slots=True)
class Follower:
    """`prepare`: writes the job into the folder; reports what it downloads. `is_closing`: whether the app is ending, which ends no run."""

    engine: Engine
    store: FineTuneStore
    row: FineTuneRow
    folder: Path
    reader: RunReader
    estimate: Estimate
    prepare: Callable[[EventWriter, threading.Event], None]
    is_closing: Callable[[], bool]
    limit_s: float = 0.0
    process: TrainerProcess | None = None
    on_end: Callable[[], object] = field(default=lambda: None)
    room: Room = field(init=False)
    _stop: StopSignal = field(default_factory=StopSignal)
    _killed: str = field(default="")

    def __post_init__(self) -> None:
        self.room = Room(self.engine, self.store, self.row.id, self.row.chat_model)

    def __call__(self, progress: JobProgress) -> str:
        """The work of the job. Raises JobStopped if the run was stopped, and EngineError with the reason if it failed."""
        progress.stop.subscribe(self._stop.set)
        try:
            try:
                self._work(progress)
            except BaseException as error:
                self._fail(error)
                raise
            finally:
                self._leave()
            return self._outcome()      # before another one can begin: it has the same files
        finally:
            self.on_end()

    def ask_to_stop(self) -> None:
        """Save a checkpoint and stop; while nothing is trained yet, stop at once. A second call after STOP_S seconds ends the process."""
        if asked_to_stop_s(self.folder) > STOP_S:
            self._kill("It was ended at once, without saving.")
        self._stop.set()
        self._write_stop()

    def _work(self, progress: JobProgress) -> None:
        writer = EventWriter(self.folder)
        if self.process is None:
            writer.write(InPhase("prepare"))
            self.prepare(writer, self._stop)
            if not self._is_stopped() and self.estimate.must_unload:
                writer.write(InPhase("unload"))
                self.room.make(self._stop)
            if self._is_stopped():
                self._stop_before_start()
                return
            self.process = TrainerProcess.start(self.folder)
            self.store.set_trainer(self.row.id, self.process.name)
        self._follow(progress, self.process)
        if not self.is_closing():
            self.process.wait()
            self._end("", self._killed or self.process.how_it_ended())

    def _follow(self, progress: JobProgress, process: TrainerProcess) -> None:
        limit, told, is_asked = PhaseLimit(self.limit_s), -1, False
        while process.is_running():
            if self.is_closing():
                return
            if self._stop.is_set() and not is_asked:
                is_asked = self._write_stop()
            run = self.reader.read(is_short=True)
            if run.step != told and not progress.stop.is_set():
                told = run.step
                with suppress(JobStopped):      # seen in the next round
                    progress.report(run.step, run.total, UNIT)
            if limit.is_over(run.phase, time.monotonic()):
                self._kill("It took longer than this page allows, and did not stop by itself.")
            time.sleep(POLL_S) if self._stop.is_set() else self._stop.wait(POLL_S)

    def _is_stopped(self) -> bool:
        return self._stop.is_set() or (self.folder / STOP).exists()

    def _write_stop(self) -> bool:
        """Ask the process to stop; False if the file could not be written now. Its time is that of the first call."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                (self.folder / STOP).touch(exist_ok=False)
            return True
        return False

    def _kill(self, why: str) -> None:
        self._killed = why
        if self.process is not None:
            self.process.kill()

    def _stop_before_start(self) -> None:
        (self.folder / STOP).unlink(missing_ok=True)
        EventWriter(self.folder).end(Ended("person", "", best=best(self.folder), has_result=(self.folder / RESULT).is_dir()))

    def _fail(self, error: BaseException) -> None:
        """End the process too: it would train on beside the next one. At the end of the app it goes on, and the next app follows it."""
        if self.process is not None:
            if self.is_closing():
                return
            self.process.kill()
            self.process.wait()
        match error:
            case EngineError():
                self._end("", str(error))
            case OSError():
                self._end("", f"A file of this run could not be read or written: {error}.")
            case _:
                self._end("", f"Something unexpected happened ({type(error).__name__}). The app's log has the details.")

    def _end(self, stop_kind: str, reason: str) -> None:
        """Say how the process ended, if it did not say so itself; make the result of what it saved."""
        try:
            events, _ = read_events(self.folder)
            if any(isinstance(event, Ended) for event in _since_start(events)):
                return
            (self.folder / STOP).unlink(missing_ok=True)
            remove_incomplete(self.folder)      # first: on a full disk what follows needs its space
            step, found = newest(self.folder), None
            if step is not None:
                reason += f" Its newest checkpoint is that of step {step:,}: it can be resumed from there."
                found = build_result(self.folder)
        except (OSError, ValueError, EngineError) as error:
            found, reason = None, f"{reason} Its result could not be written: {error}"
        EventWriter(self.folder).end(Ended(stop_kind, reason, best=found, has_result=found is not None))

    def _leave(self) -> None:
        """What must be so whatever has failed: the chat model is back, and the run is not in progress in the database."""
        try:
            if self.is_closing():
                self.store.leave(self.row.id)
            else:
                try:
                    self.room.give_back()
                finally:
                    self.store.end(self.row.id)
        except StorageError as error:       # what the run did is in its files
            log.error("The end of a fine-tuning run could not be stored: %s", error)

    def _outcome(self) -> str:
        if self.is_closing():
            raise JobStopped
        run = self.reader.read(is_short=True, is_lost=True)
        if run.state == "failed":
            raise EngineError(run.reason)
        if run.state == "stopped":
            raise JobStopped
        return self.row.id


def _since_start(events: Sequence[Event]) -> Sequence[Event]:
    """The events of the newest process, or of the preparation after an earlier one."""
    last = max((at for at, event in enumerate(events) if isinstance(event, Started) or
                (isinstance(event, InPhase) and event.phase in ("download", "prepare", "unload"))), default=0)
    return events[last:]
