"""A run as it is now, from the files in its folder: read once, then only what was added."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from .checkpoints import newest
from .events import Ended, Event, InPhase, Note, Progress, Saved, Scores, Started, read_events, thinned
from .job import JOB, LOG, RESULT, STOP_S, asked_to_stop_s, read_job
from .plan import FineTunePlan
from .run import Estimate, Point, Run

LOG_BYTES = 16_000      # the newest part of the log
LOST = "How it ended could not be written, perhaps because the disk is full. Free some space, then resume."


class RunReader:
    """Safe to use from many threads. `plan`: as it was asked for; that of the job, with every option filled in, takes its place."""

    def __init__(self, folder: Path, run_id: str, plan: FineTunePlan, created: float, estimate: Estimate | None) -> None:
        self.folder = folder
        self._run = Run(run_id, plan.name or plan.base.name, plan, "preparing", created, estimate=estimate)
        self._points: list[Point] = []
        self._offset = 0
        self._has_job = False
        self._lock = threading.Lock()

    @property
    def has_job(self) -> bool:
        """Whether its process can be started, also again."""
        return (self.folder / JOB).is_file()

    def estimate(self, found: Estimate) -> None:
        with self._lock:
            self._run = replace(self._run, estimate=found)

    def read(self, *, is_short: bool = False, is_lost: bool = False) -> Run:
        """`is_short`: without points, mistakes and log, for lists.

        `is_lost`: nothing works on it any more, so without an end it has failed.
        """
        with self._lock:
            self._read_job()
            events, self._offset = read_events(self.folder, self._offset)
            for event in events:
                self._add(event)
            run = self._run
            points = () if is_short else tuple(self._points)
        if is_lost and not run.is_over:
            run = replace(run, state="failed", phase="", note="", stop_kind="", reason=LOST, seconds_left=None,
                          checkpoint=newest(self.folder))
        stop_s = asked_to_stop_s(self.folder) if run.state in ("preparing", "running") else -1.0
        has_result = run.has_result and run.is_over and (self.folder / RESULT).is_dir()
        return replace(run, points=points, is_stopping=stop_s >= 0, can_kill=stop_s > STOP_S, has_result=has_result,
                       log="" if is_short else _end_of(self.folder / LOG))

    def _read_job(self) -> None:
        if self._has_job or not self.has_job:
            return
        job = read_job(self.folder)
        self._has_job = True
        self._run = replace(self._run, plan=job.plan, labels=job.labels, num_train=job.num_train, num_validation=job.num_validation,
                            digest=job.digest)

    def _add(self, event: Event) -> None:
        run = self._run
        match event:
            case Started():
                self._points = [point for point in self._points if point.step <= event.step]      # what came after the checkpoint is redone
                self._run = replace(run, state="running", phase="load", reason="", stop_kind="", step=event.step, seconds_left=None,
                                    after=None, has_result=False)
            case InPhase():
                state = "preparing" if event.phase in ("download", "prepare", "unload") else run.state
                self._run = replace(run, state=state, phase=event.phase, note=event.note)
            case Progress():
                self._run = replace(run, step=event.step, total=event.total, epoch=event.epoch, seconds_left=event.seconds_left,
                                    phase="train" if event.step else run.phase)
            case Point():
                self._points = thinned([*self._points, event])
            case Saved():
                self._run = replace(run, checkpoint=event.step, best_step=event.best)
            case Scores():
                self._run = replace(run, **{event.when: event.metrics})     # type: ignore[arg-type]
            case Note():
                self._run = replace(run, notes=(*run.notes, event.sentence))
            case Ended():
                state = "done" if event.stop_kind in ("finished", "early") else "stopped" if event.stop_kind else "failed"
                self._run = replace(run, state=state, phase="", note="", stop_kind=event.stop_kind, reason=event.reason,
                                    best_step=event.best, measured=event.measured.with_earlier(run.measured), seconds_left=None,
                                    checkpoint=newest(self.folder), has_result=event.has_result)


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
