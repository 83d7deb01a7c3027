"""A load as a background task that keeps its events."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from dataclasses import replace

from ..background import BackgroundTask
from ..errors import EngineError, LoadError
from ..models.spec import LoadEvent, LoadOptions, ModelSpec, Report

log = logging.getLogger(__name__)


class LoadJob:
    """One load. Any number of readers can follow it; it also runs without readers."""

    def __init__(self, spec: ModelSpec, options: LoadOptions, swap: Callable[[ModelSpec, LoadOptions, Report], None],
                 settle: Callable[[BaseException | None], None], *, is_first: bool = False) -> None:
        self.spec, self.options, self._swap, self._settle = spec, options, swap, settle
        self.is_first = is_first        # of its engine
        self._events: list[LoadEvent] = []
        self._error: BaseException | None = None
        self._started = time.monotonic()
        self._task = BackgroundTask(self._run, lambda: len(self._events), name="load")

    @property
    def latest(self) -> LoadEvent | None:
        return self._events[-1] if self._events else None

    @property
    def error(self) -> BaseException | None:
        """Why it failed; None while it runs and after success."""
        return self._error

    def start(self) -> None:
        self._task.start()

    def follow(self) -> Generator[LoadEvent, None, None]:
        """All events from the start, and the latest one again after HEARTBEAT_S without a new one. Raises the load's error."""
        seen = 0
        for count in self._task.follow():
            if count == seen and seen and not self._task.is_over:
                yield self._events[-1]
            yield from self._events[seen:count]
            seen = count
        if self._error is not None:
            raise self._error

    def report(self, event: LoadEvent) -> None:
        self._events.append(replace(event, seconds=time.monotonic() - self._started))
        self._task.changed()

    def _run(self) -> None:
        try:
            self._swap(self.spec, self.options, self.report)
        except EngineError as error:        # shown to the readers and in the status
            self._error = error
        except BaseException as error:
            log.exception("Loading %s failed unexpectedly", self.spec.model)
            self._error = LoadError(self.spec.model, f"{type(error).__name__}: {str(error)[:300]}", "The log has the details.")
        finally:
            self._settle(self._error)
            if self._error is None:
                self.report(LoadEvent("ready", note=f"{self.spec.name} is ready"))
