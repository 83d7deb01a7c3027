"""Background tasks: work in a separate daemon thread, followed by any number of readers and stopped by any of them.

A reader may stop following at any time; the task continues. Nothing polls: a change, the end and a stop each wake the waiting
threads. Readers still get the latest snapshot again after `heartbeat_s` of silence, because Gradio delivers a page's Stop only
between two events of a stream.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

Snapshot = TypeVar("Snapshot")
Key = TypeVar("Key", bound=Hashable)
Produced = TypeVar("Produced")

HEARTBEAT_S = 0.1       # the longest silence of a stream: Gradio delivers Stop only between two of its events
ABANDON_S = 0.5         # how long in_thread() waits for its thread after a stop
log = logging.getLogger(__name__)


class StopSignal(threading.Event):
    """A request to stop, made once and never withdrawn. It can also wake a thread that waits for something else."""

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: list[Callable[[], None]] = []
        self._guard = threading.Lock()

    def set(self) -> None:
        with self._guard:
            super().set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the signal is set, or at once if it is set already."""
        with self._guard:
            if not self.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def unsubscribe(self, callback: Callable[[], None]) -> None:
        with self._guard:
            if callback in self._callbacks:
                self._callbacks.remove(callback)


class BackgroundTask(Generic[Snapshot]):
    """One piece of work.

    `work` runs in the thread and handles its own errors: one that escapes is logged and kept in `error`. `snapshot` returns an
    immutable description of the work and is called by readers, so it must be safe to call from any thread; the work calls
    `changed()` when that description has changed. `owner` may follow and stop it.
    """

    def __init__(self, work: Callable[[], None], snapshot: Callable[[], Snapshot], *, stop: StopSignal | None = None,
                 owner: str = "", name: str = "background") -> None:
        self.owner, self.name = owner, name
        self.stop = stop or StopSignal()
        self.snapshot = snapshot
        self.error: BaseException | None = None
        self._work = work
        self._over = threading.Event()
        self._wakes: list[Callable[[], None]] = []     # one per reader

    @property
    def is_over(self) -> bool:
        """Whether the thread has ended, its last state kept."""
        return self._over.is_set()

    def start(self, on_end: Callable[[], None] | None = None) -> None:
        """Begin the work, with the caller's context variables.

        `on_end` runs in its thread after the work, before the task counts as over.
        """
        threading.Thread(target=copy_context().run, args=(self._run, on_end), name=self.name, daemon=True).start()

    def changed(self) -> None:
        """Wake the readers."""
        for wake in tuple(self._wakes):
            wake()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; False if it has not come after `timeout_s` seconds."""
        return self._over.wait(timeout_s)

    def follow(self, heartbeat_s: float = HEARTBEAT_S, min_interval_s: float = 0.0) -> Generator[Snapshot, None, None]:
        """Yield snapshots: one at once, one after every change and every `heartbeat_s`, and at last one of the ended task.

        Changes within `min_interval_s` of each other share a snapshot. The task's error is not raised.
        """
        for snapshots in follow([self], heartbeat_s, min_interval_s):
            yield snapshots[0]

    def _run(self, on_end: Callable[[], None] | None) -> None:
        try:
            self._guarded(self._work)
            if on_end is not None:
                self._guarded(on_end)
        finally:
            self._over.set()
            self.changed()

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except BaseException as error:
            log.exception("The background task %r failed unexpectedly", self.name)
            self.error = error


def follow(tasks: Sequence[BackgroundTask[Snapshot]], heartbeat_s: float = HEARTBEAT_S,
           min_interval_s: float = 0.0) -> Generator[tuple[Snapshot, ...], None, None]:
    """Yield snapshots of several tasks together, as `BackgroundTask.follow` does for one; the last one when all have ended."""
    woken = threading.Event()
    for task in tasks:
        task._wakes.append(woken.set)
    try:
        while True:
            woken.clear()
            is_last = all(task.is_over for task in tasks)
            yield tuple(task.snapshot() for task in tasks)
            if is_last:
                return
            if min_interval_s:
                running = next((task for task in tasks if not task.is_over), None)
                if running is not None:
                    running.wait(min_interval_s)
            woken.wait(max(0.0, heartbeat_s - min_interval_s))
    finally:
        for task in tasks:
            task._wakes.remove(woken.set)


class TaskRegistry(Generic[Key, Snapshot]):
    """The running tasks, by key. A key has one group of tasks at a time, started together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: dict[Key, tuple[BackgroundTask[Snapshot], ...]] = {}

    def reserve(self, key: Key) -> bool:
        """Reserve `key` for a group that is about to start; False if it is in use."""
        with self._lock:
            if key in self._groups:
                return False
            self._groups[key] = ()
            return True

    def release(self, key: Key) -> None:
        """Free a reserved key that is not needed after all."""
        with self._lock:
            if not self._groups.get(key, (None,)):
                del self._groups[key]

    def start(self, key: Key, *tasks: BackgroundTask[Snapshot],
              on_end: Callable[[BackgroundTask[Snapshot]], None] | None = None) -> None:
        """Start the tasks of a free or reserved key.

        When the last one ends, the key is free; then `on_end` runs in that task's thread, with the task.

        Raises ValueError if the key has running tasks.
        """
        with self._lock:
            if self._groups.get(key):
                raise ValueError(f"{key!r} is at work")
            self._groups[key] = tasks
            left = len(tasks)

        def ended(task: BackgroundTask[Snapshot]) -> None:
            nonlocal left
            with self._lock:
                left -= 1
                is_last = left == 0
                if is_last:
                    self._groups.pop(key, None)
            if is_last and on_end is not None:
                on_end(task)

        for task in tasks:
            task.start(partial(ended, task))

    def __contains__(self, key: Key) -> bool:
        return key in self._groups

    def get(self, key: Key) -> tuple[BackgroundTask[Snapshot], ...]:
        """Return the running tasks of a key; empty if there are none."""
        return self._groups.get(key, ())

    def all(self) -> tuple[BackgroundTask[Snapshot], ...]:
        with self._lock:
            return tuple(task for tasks in self._groups.values() for task in tasks)

    def close(self, timeout_s: float) -> None:
        """Ask every task to stop and wait up to `timeout_s` seconds in all. For the end of the process."""
        tasks = self.all()
        for task in tasks:
            task.stop.set()
        deadline = time.monotonic() + timeout_s
        for task in tasks:
            task.wait(max(0.0, deadline - time.monotonic()))


@dataclass(frozen=True, slots=True)
class _SourceEnded:
    error: BaseException | None = None


def in_thread(source: Callable[[], Iterator[Produced]], stop: StopSignal,
              heartbeat_s: float = HEARTBEAT_S) -> Generator[Produced | None, None, None]:
    """Iterate over `source()` in a separate thread: yields its elements, and None after every `heartbeat_s` without one.

    Ends early when `stop` is set. The iterator is created, read and closed in that thread, with the caller's context variables;
    after a stop it is closed at its next element, for which at most ABANDON_S is waited. Raises what it raises.
    """
    received: queue.SimpleQueue[Produced | _SourceEnded | None] = queue.SimpleQueue()
    is_abandoned = threading.Event()

    def wake() -> None:
        received.put(None)

    thread = threading.Thread(target=copy_context().run, args=(_read, source, received, is_abandoned), name="in_thread", daemon=True)
    stop.subscribe(wake)
    thread.start()
    try:
        while not stop.is_set():
            try:
                element = received.get(timeout=heartbeat_s)
            except queue.Empty:
                yield None
                continue
            if isinstance(element, _SourceEnded):
                if element.error is not None:
                    raise element.error
                return
            if not stop.is_set():
                yield element
    finally:
        stop.unsubscribe(wake)
        is_abandoned.set()
        thread.join(ABANDON_S)


def _read(source: Callable[[], Iterator[Produced]], received: queue.SimpleQueue[Produced | _SourceEnded | None],
          is_abandoned: threading.Event) -> None:
    iterator: Iterator[Produced] | None = None
    try:
        iterator = source()
        for element in iterator:
            if is_abandoned.is_set():
                break
            received.put(element)
    except BaseException as error:      # raised to the reader
        received.put(_SourceEnded(error))
    else:
        received.put(_SourceEnded())
    finally:
        if iterator is not None and hasattr(iterator, "close"):
            iterator.close()
