"""Long work outside any page: started, followed from anywhere, cancelled, kept. A page that closes stops nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from .errors import EngineBusy, EngineError, InvalidRequest, JobNotFound, StorageError
from .storage.database import Database
from .storage.runs import Job, JobStore

__all__ = ["Job", "Jobs", "Progress", "Stopped", "Work"]

log = logging.getLogger(__name__)
SAVE_S = 1.0            # how often progress goes to the database; lookers see the live value at once
FOLLOW_S = 0.1          # how often a follower hears something
MAX_RUNNING = 4         # of one owner
STOPPING_S = 5.0        # how long a cancelled job may take to end before the same work is asked for again

Work = Callable[["Progress"], str]


class Stopped(Exception):
    """Raised by work that noticed it was cancelled; not an error."""


class Progress:
    """What work says about itself, and how it hears that it should stop."""

    def __init__(self, job: Job, store: JobStore) -> None:
        self.stop = threading.Event()
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._job, self._store = job, store
        self._saved = 0.0

    @property
    def job(self) -> Job:
        return self._job

    def report(self, done: int, total: int = 0, unit: str = "", note: str = "") -> None:
        """`done` of `total` `unit`; `note` is a sentence for people. Raises Stopped once the job was cancelled."""
        self._change(done=done, total=total, unit=unit, note=note)
        if self.stop.is_set():
            raise Stopped

    def say(self, line: str) -> None:
        """Add a line to the job's log."""
        self._change(log=f"{self._job.log}{line}\n")

    def end(self, **changes: object) -> None:
        self._change(is_last=True, **changes)
        self.over.set()

    def _change(self, *, is_last: bool = False, **changes: object) -> None:
        with self._lock:
            now = time.time()
            self._job = replace(self._job, updated=now, **changes)  # type: ignore[arg-type]
            if not is_last and now - self._saved < SAVE_S:
                return
            self._saved, job = now, self._job
        try:
            self._store.save(job)
        except StorageError:        # a full disk must not end the work; the next save may succeed
            log.warning("The progress of %s could not be saved", job.title)


class Jobs:
    """Safe to use from many threads. Methods that read may raise StorageError."""

    def __init__(self, database: Database) -> None:
        self._store = JobStore(database)
        self._lock = threading.Lock()
        self._running: dict[int, Progress] = {}
        try:
            self._store.interrupt()
        except StorageError as error:       # whoever starts a job hears it
            log.error("Interrupted jobs could not be marked: %s", error)

    def start(self, kind: str, title: str, work: Work, owner: str = "", facts: str = "") -> Job:
        """Run `work` in a thread of its own; what it returns is the job's result. The same kind and title runs once at a time:
        whoever asks again follows the first.

        Raises EngineBusy when this owner has too many running, and StorageError.
        """
        for progress in tuple(self._running.values()):      # cancelled a moment ago: it is not the one to follow
            if (progress.job.kind, progress.job.title) == (kind, title) and progress.stop.is_set():
                progress.over.wait(STOPPING_S)
        with self._lock:
            running = self._live()
            same = [job for job in running if (job.kind, job.title) == (kind, title)]
            if same:
                return same[0]
            if sum(job.owner == owner for job in running) >= MAX_RUNNING:
                raise EngineBusy(f"{MAX_RUNNING} jobs are running", "Wait for one to end, or cancel one.")
            progress = Progress(self._store.add(kind, title, owner, facts), self._store)
            self._running[progress.job.id] = progress
        threading.Thread(target=self._run, args=(progress, work), name=f"{kind} {progress.job.id}", daemon=True).start()
        return progress.job

    def follow(self, job_id: int) -> Iterator[Job]:
        """The job now, then again whenever it may have changed, at the latest when it is over. Raises JobNotFound."""
        while True:
            job = self.get(job_id)
            yield job
            if job.is_over:
                return
            progress = self._running.get(job_id)
            if progress is not None:
                progress.over.wait(FOLLOW_S)
            else:
                time.sleep(FOLLOW_S)

    def get(self, job_id: int) -> Job:
        """Raises JobNotFound."""
        progress = self._running.get(job_id)
        job = progress.job if progress else self._store.get(job_id)
        if job is None:
            raise JobNotFound(job_id)
        return job

    def list(self, kinds: Collection[str] = (), limit: int = 20) -> tuple[Job, ...]:
        """Newest first, running ones as they are now."""
        live = {job_id: progress.job for job_id, progress in list(self._running.items())}
        return tuple(live.get(job.id, job) for job in self._store.list(kinds, limit))

    def facts(self, job_id: int) -> str:
        return self._store.facts(job_id)

    def cancel(self, job_id: int) -> None:
        """Ask a running job to stop; it ends at its next step. A job that is over stays as it is."""
        progress = self._running.get(job_id)
        if progress is not None:
            progress.stop.set()

    def forget(self, job_id: int) -> None:
        """Take a job that is over out of the list. Raises InvalidRequest for one that runs."""
        if any(job.id == job_id for job in self._live()):
            raise InvalidRequest("job", job_id, "over before it is taken out of the list: cancel it first")
        self._store.delete(job_id)

    def is_running(self, kind: str, title: str = "") -> bool:
        return any(job.kind == kind and title in ("", job.title) for job in self._live())

    def _live(self) -> tuple[Job, ...]:
        """Jobs that are not over; one that has just ended may still be in the table of threads."""
        return tuple(each.job for each in tuple(self._running.values()) if not each.job.is_over)

    def close(self, timeout_s: float = 2.0) -> None:
        """Ask everything to stop and wait a moment, so that what came is saved. For the end of the process."""
        running = list(self._running.values())
        for progress in running:
            progress.stop.set()
        deadline = time.monotonic() + timeout_s
        for progress in running:
            progress.over.wait(max(0.0, deadline - time.monotonic()))

    def _run(self, progress: Progress, work: Work) -> None:
        try:
            result = work(progress)
            progress.end(state="done", result=result, note="")
        except Stopped:
            progress.end(state="cancelled", note="")
        except EngineError as error:
            progress.end(state="failed", error=str(error), error_kind=type(error).__name__)
        except BaseException as error:
            log.exception("%s failed unexpectedly", progress.job.title)
            progress.end(state="failed", error=f"Something unexpected happened ({type(error).__name__}). The log has the details.")
        finally:
            self._running.pop(progress.job.id, None)
