"""Jobs: background tasks that are stored in the database. Closing a page stops no job; after a restart, interrupted jobs are shown."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Generator
from dataclasses import replace

from ..errors import EngineBusy, EngineError, InvalidRequest, JobNotFound, StorageError
from ..storage.database import Database
from ..storage.runs import Job, JobStore
from .task import HEARTBEAT_S, BackgroundTask, StopSignal, TaskRegistry

log = logging.getLogger(__name__)
SAVE_S = 1.0            # between two writes of a job's progress; readers in this process see every change
MAX_RUNNING = 4         # jobs of one owner
STOPPING_S = 5.0        # how long start() waits for the same work to end after it was cancelled

JobWork = Callable[["JobProgress"], str]


class JobStopped(Exception):
    """Raised by work that noticed it was cancelled. Not an error."""


class JobProgress:
    """Passed to a job's work: reports its progress, and signals that it should stop."""

    def __init__(self, job: Job, store: JobStore) -> None:
        self.stop = StopSignal()
        self.on_change: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._job, self._store = job, store
        self._saved = 0.0

    @property
    def job(self) -> Job:
        return self._job

    def report(self, done: int, total: int = 0, unit: str = "", note: str = "") -> None:
        """Report `done` of `total` `unit`; `note` is a sentence for people. Raises JobStopped once the job was cancelled."""
        self._change(done=done, total=total, unit=unit, note=note)
        if self.stop.is_set():
            raise JobStopped

    def add_log_line(self, line: str) -> None:
        self._change(log=f"{self._job.log}{line}\n")

    def end(self, **changes: object) -> None:
        self._change(is_last=True, **changes)

    def _change(self, *, is_last: bool = False, **changes: object) -> None:
        with self._lock:
            now = time.time()
            self._job = replace(self._job, updated=now, **changes)  # type: ignore[arg-type]
            job, must_save = self._job, is_last or now - self._saved >= SAVE_S
            if must_save:
                self._saved = now
        self.on_change()
        if must_save:
            try:
                self._store.save(job)
            except StorageError:        # a full disk must not end the work; the next save may succeed
                log.warning("The progress of %s could not be saved", job.title)


class Jobs:
    """Safe to use from many threads. Methods that read may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._store = JobStore(database)
        self._lock = threading.Lock()
        self._tasks: TaskRegistry[int, Job] = TaskRegistry()
        self.is_closing = False         # the app ends: what a job has started outside of it may go on
        try:
            self._store.interrupt()
        except StorageError as error:       # starting a job reports it to the user
            log.error("Interrupted jobs could not be marked: %s", error)

    def start(self, kind: str, title: str, work: JobWork, owner: str = "", facts: str = "", *, is_shared: bool = True) -> Job:
        """Run `work` in a separate thread; the text it returns is the job's result.

        The same kind and title runs once at a time: a second call returns the running job, unless it is not `is_shared`, as jobs whose
        titles people choose. `facts` are stored with the job.
        Raises EngineBusy when this owner has MAX_RUNNING jobs, and StorageError.
        """
        for task in self._tasks.all():      # just cancelled, so it is not returned
            if is_shared and _is_same(task.snapshot(), kind, title) and task.stop.is_set():
                task.wait(STOPPING_S)
        with self._lock:
            running = self._running()
            same = [job for job in running if _is_same(job, kind, title)]
            if is_shared and same:
                return same[0]
            _require_room(running, owner)
            progress = JobProgress(self._store.add(kind, title, owner, facts), self._store)
            job = progress.job
            task = BackgroundTask(lambda: _run(progress, work), lambda: progress.job, stop=progress.stop, owner=owner,
                                  name=f"{kind} {job.id}")
            progress.on_change = task.changed
            self._tasks.start(job.id, task)
        return job

    def require_room(self, owner: str) -> None:
        """For what is stored before its job is started. Raises EngineBusy when this owner has MAX_RUNNING jobs."""
        with self._lock:
            _require_room(self._running(), owner)

    def follow(self, job_id: int) -> Generator[Job, None, None]:
        """Yield the job now, after every change and every HEARTBEAT_S, and when it has ended. Raises JobNotFound."""
        for task in self._tasks.get(job_id):
            yield from task.follow()
            return
        job = self.get(job_id)
        yield job
        while not job.is_over:      # of another process, which has no event for this one
            time.sleep(HEARTBEAT_S)
            job = self.get(job_id)
            yield job

    def get(self, job_id: int) -> Job:
        """Return the job. Raises JobNotFound."""
        for task in self._tasks.get(job_id):
            return task.snapshot()
        job = self._store.get(job_id)
        if job is None:
            raise JobNotFound(job_id)
        return job

    def list(self, kinds: Collection[str] = (), limit: int = 20) -> tuple[Job, ...]:
        """Return the jobs, newest first, running ones with their current progress."""
        live = {job.id: job for job in (task.snapshot() for task in self._tasks.all())}
        return tuple(live.get(job.id, job) for job in self._store.list(kinds, limit))

    def cancel(self, job_id: int) -> None:
        """Ask a running job to stop at its next report. A job that is over stays as it is."""
        for task in self._tasks.get(job_id):
            task.stop.set()

    def forget(self, job_id: int) -> None:
        """Delete a job that has ended. Raises InvalidRequest for a running one."""
        if any(job.id == job_id for job in self._running()):
            raise InvalidRequest("job", job_id, "over before it is removed from the list: cancel it first")
        self._store.delete(job_id)

    def forget_all(self, kind: str, facts: str) -> None:
        """Delete every job with these facts, so that nothing of it is left in the database; one that is running is cancelled."""
        for task in self._tasks.all():
            if (task.snapshot().kind, task.snapshot().facts) == (kind, facts):
                task.stop.set()
        self._store.delete_all(kind, facts)

    def is_running(self, kind: str, title: str = "") -> bool:
        return any(job.kind == kind and title in ("", job.title) for job in self._running())

    def close(self, timeout_s: float = 2.0) -> None:
        """Stop all jobs and wait up to `timeout_s` seconds, so that their progress is saved. For the end of the process."""
        self.is_closing = True
        self._tasks.close(timeout_s)

    def _running(self) -> tuple[Job, ...]:
        """Return the jobs that have not ended; the task of one that has just ended may still be registered."""
        return tuple(job for job in (task.snapshot() for task in self._tasks.all()) if not job.is_over)


def _require_room(running: Collection[Job], owner: str) -> None:
    if sum(job.owner == owner for job in running) >= MAX_RUNNING:
        raise EngineBusy(f"{MAX_RUNNING} jobs are running", "Wait for one to finish, or cancel one.")


def _is_same(job: Job, kind: str, title: str) -> bool:
    return (job.kind, job.title) == (kind, title)


def _run(progress: JobProgress, work: JobWork) -> None:
    try:
        result = work(progress)
        progress.end(state="done", result=result, note="")
    except JobStopped:
        progress.end(state="cancelled", note="")
    except EngineError as error:
        progress.end(state="failed", error=str(error), error_kind=type(error).__name__)
    except BaseException as error:
        log.exception("%s failed unexpectedly", progress.job.title)
        progress.end(state="failed", error=f"Something unexpected happened ({type(error).__name__}). The log has the details.")
