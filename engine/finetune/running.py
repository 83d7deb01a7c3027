"""One run from the app's side, in a job's thread: download, prepare, make room, start the process, follow it, restore the chat model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..background import JobProgress, JobStopped
from ..errors import EngineError
from ..storage.finetune_runs import FineTuneRow, FineTuneStore
from .checkpoints import best, build_result, newest
from .events import Ended, Event, EventWriter, InPhase, Started, read_events
from .job import STOP
from .process import TrainerProcess
from .room import Room
from .run import Estimate
from .snapshots import RunReader

if TYPE_CHECKING:
    from ..runtime.engine import Engine

POLL_S = 0.2
LATE_S = 120.0      # after the limit of time until a process that did not stop by itself is killed
UNIT = "steps"


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
    _killed: str = field(default="")

    def __call__(self, progress: JobProgress) -> str:
        """The work of the job. Raises JobStopped if the run was stopped, and EngineError with the reason if it failed."""
        room = Room(self.engine, self.store, self.row.id, self.row.chat_model)
        try:
            self._work(progress, room)
        except EngineError as error:
            self._end("", str(error))
            raise
        except OSError as error:
            self._end("", f"A file of this run could not be written: {error}")
            raise
        finally:
            if self.is_closing():
                self.store.leave(self.row.id)
            else:
                room.give_back()
                self.store.end(self.row.id)
            self.on_end()
        return self._outcome()

    def kill(self) -> None:
        self._killed = "It was ended at once, without saving."
        if self.process is not None:
            self.process.kill()

    def _work(self, progress: JobProgress, room: Room) -> None:
        writer = EventWriter(self.folder)
        if self.process is None:
            writer.write(InPhase("prepare"))
            self.prepare(writer, progress.stop)
            if progress.stop.is_set() or (self.folder / STOP).exists():
                self._stop_before_start()
                return
            if self.estimate.must_unload:
                writer.write(InPhase("unload"))
                room.make(progress.stop)
            self.process = TrainerProcess.start(self.folder)
            self.store.set_trainer(self.row.id, self.process.name)
        self._follow(progress, self.process)
        if not self.is_closing():
            self.process.wait()
            self._end("", self._killed or self.process.how_it_ended())

    def _follow(self, progress: JobProgress, process: TrainerProcess) -> None:
        began, told = time.monotonic(), -1
        while process.is_running():
            if self.is_closing():
                return
            if progress.stop.is_set():
                (self.folder / STOP).touch()
            run = self.reader.read(is_short=True)
            if run.step != told and not progress.stop.is_set():
                told = run.step
                with suppress(JobStopped):      # seen in the next round
                    progress.report(run.step, run.total, UNIT)
            if self.limit_s and time.monotonic() - began > self.limit_s + LATE_S:
                self._killed = "It took longer than this page allows, and did not stop by itself."
                process.kill()
            progress.stop.wait(POLL_S) if not progress.stop.is_set() else time.sleep(POLL_S)

    def _stop_before_start(self) -> None:
        (self.folder / STOP).unlink(missing_ok=True)
        EventWriter(self.folder).write(Ended("person", "", best=best(self.folder), has_result=False))

    def _end(self, stop_kind: str, reason: str) -> None:
        """Say how the process ended, if it did not say so itself; make the result of what it saved."""
        events, _ = read_events(self.folder)
        if any(isinstance(event, Ended) for event in _since_start(events)):
            return
        step = newest(self.folder)
        if step is not None:
            reason += f" Its newest checkpoint is that of step {step:,}: it can be resumed from there."
        found = build_result(self.folder) if step is not None else None
        (self.folder / STOP).unlink(missing_ok=True)
        EventWriter(self.folder).write(Ended(stop_kind, reason, best=found, has_result=found is not None))

    def _outcome(self) -> str:
        if self.is_closing():
            raise JobStopped
        run = self.reader.read(is_short=True)
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
