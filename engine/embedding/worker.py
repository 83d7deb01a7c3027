"""One thread that computes with embedding models, and holds the only references to them.

A question waits for at most one batch of documents, since documents are embedded a batch at a time and questions come first. The
thread ends, and frees the models, when nothing has been asked for a while. A batch is computed with as many threads of PyTorch as are
fastest at that moment: one, on a busy machine. A question is short, and two threads that wait for each other would take longer.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, PriorityQueue
from typing import TypeVar

from ..errors import EngineBusy
from ..hardware import Hardware
from ..models.loader import collect
from .embedder import Embedder, Reranker
from .files import EmbedderFiles

IDLE_S = 600.0          # how long the models stay in memory without use
END_S = 3.0             # how long the end of the process waits for the batch in progress
URGENT, LATER, LAST = 0, 1, -1
T = TypeVar("T")
_Work = tuple[int, int, "Callable[[Models], None] | None", "Future[None]"]


class Models:
    """What the thread has loaded: one embedder and one cross-encoder at most."""

    def __init__(self, hardware: Hardware) -> None:
        self._hardware = hardware
        self._embedder: Embedder | None = None
        self._reranker: Reranker | None = None

    def embedder(self, files: EmbedderFiles) -> Embedder:
        if self._embedder is None or self._embedder.files.key != files.key:
            self._embedder = None
            collect()
            self._embedder = Embedder(files, self._hardware)
        return self._embedder

    def reranker(self, files: EmbedderFiles) -> Reranker:
        if self._reranker is None or self._reranker.files.key != files.key:
            self._reranker = None
            collect()
            self._reranker = Reranker(files, self._hardware)
        return self._reranker


class Worker:
    """Safe to use from many threads. `hardware`: asked for once it is needed, because that imports torch."""

    def __init__(self, hardware: Callable[[], Hardware], idle_s: float) -> None:
        self._hardware, self._idle_s = hardware, idle_s
        self._lock = threading.Lock()
        self._queue: PriorityQueue[_Work] = PriorityQueue()
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    @property
    def is_running(self) -> bool:
        return self._thread is not None

    def run(self, work: Callable[[Models], T], *, is_urgent: bool = True) -> T:
        """Compute in the thread, which is started if there is none. Raises what `work` raises, and EngineBusy at the end of the process."""
        result: list[T] = []
        done: Future[None] = Future()
        with self._lock:
            if self._is_closed:
                raise EngineBusy("the app is ending")
            self._queue.put((URGENT if is_urgent else LATER, next(self._numbers), lambda models: result.append(work(models)), done))
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="embedding", daemon=True)
                self._thread.start()
        done.result()
        return result[0]

    def close(self) -> None:
        """End the thread after the batch in progress, and refuse what waits."""
        with self._lock:
            self._is_closed, thread = True, self._thread
            self._queue.put((LAST, next(self._numbers), None, Future()))
        if thread is not None:
            thread.join(timeout=END_S)

    def _serve(self) -> None:
        from ..generation.threads import fastest_now  # which imports torch

        models = Models(self._hardware())
        while True:
            try:
                priority, _, work, done = self._queue.get(timeout=self._idle_s)
            except Empty:
                with self._lock:
                    if not self._queue.empty():
                        continue
                    self._thread = None
                break
            if work is None:
                self._refuse_waiting()
                break
            try:
                with fastest_now(self._hardware().cores if priority == LATER else 1):
                    work(models)
            except BaseException as error:      # belongs to the caller, whatever it is
                done.set_exception(error)
            else:
                done.set_result(None)
            del work, done
        del models
        collect()

    def _refuse_waiting(self) -> None:
        while True:
            try:
                _, _, _, done = self._queue.get_nowait()
            except Empty:
                return
            done.set_exception(EngineBusy("the app is ending"))
