"""A load in its own thread, with every stage it went through."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from ..errors import EngineError, LoadError
from ..models.spec import LoadEvent, LoadOptions, ModelSpec, Report

log = logging.getLogger(__name__)
FOLLOW_S = 0.1      # how often a follower of a load hears something


class LoadJob:
    """A load in its own thread. Anybody may follow it, nobody has to."""

    def __init__(self, spec: ModelSpec, options: LoadOptions, swap: Callable[[ModelSpec, LoadOptions, Report], None],
                 settle: Callable[[BaseException | None], None], *, is_first: bool = False) -> None:
        self.spec, self.options, self._swap, self._settle = spec, options, swap, settle
        self.is_first = is_first        # of its engine
        self._events: list[LoadEvent] = []
        self._error: BaseException | None = None
        self._done = threading.Event()
        self._started = time.monotonic()

    @property
    def latest(self) -> LoadEvent | None:
        return self._events[-1] if self._events else None

    @property
    def error(self) -> BaseException | None:
        """Why it failed; None while it runs and after it worked."""
        return self._error

    def start(self) -> None:
        threading.Thread(target=self._run, name="load", daemon=True).start()

    def follow(self) -> Iterator[LoadEvent]:
        """Every event from the start, and the latest again while nothing happens. Raises what the load raised."""
        seen = 0
        while True:
            is_done = self._done.wait(0 if seen < len(self._events) else FOLLOW_S)
            yield from self._events[seen:]
            is_silent, seen = seen == len(self._events), len(self._events)
            if is_done and seen == len(self._events):
                break
            if is_silent and self._events:
                yield self._events[-1]
        if self._error is not None:
            raise self._error

    def report(self, event: LoadEvent) -> None:
        self._events.append(replace(event, seconds=time.monotonic() - self._started))

    def _run(self) -> None:
        try:
            self._swap(self.spec, self.options, self.report)
        except EngineError as error:        # reaches whoever follows, and the status
            self._error = error
        except BaseException as error:
            log.exception("Loading %s failed unexpectedly", self.spec.model)
            self._error = LoadError(self.spec.model, f"{type(error).__name__}: {str(error)[:300]}", "The log has the details.")
        finally:
            self._settle(self._error)
            if self._error is None:
                self.report(LoadEvent("ready", note=f"{self.spec.name} is ready"))
            self._done.set()
