"""One replacement of the loaded model. The order matters: check the new model before unloading the old one, unload before loading,
and restore the old one if loading fails."""

from __future__ import annotations

import sys
import time

from ..errors import EngineError, StorageError
from ..hardware import Hardware, detect
from ..models.loaded import Candidate
from ..models.loader import examine
from ..models.memory_peak import PeakWatch
from ..models.spec import Drain, LoadEvent, LoadOptions, ModelSpec, Released, Report
from ..settings import Settings
from ..storage.loads import LoadHistory, MeasuredPeak
from .admission import Admission


class Swap:
    """`hardware`: the hardware of the loaded model. `notice`: why the load history could not be written, or ""."""

    def __init__(self, admission: Admission, settings: Settings, hardware: Hardware, history: LoadHistory) -> None:
        self._admission, self._settings, self.hardware, self._history = admission, settings, hardware, history
        self.released: Released | None = None
        self.notice = ""

    def run(self, spec: ModelSpec, options: LoadOptions, report: Report) -> None:
        """Replace the model. Raises InvalidRequest, LoadError and its subclasses; the previous model is then loaded again if possible."""
        from .active_model import ActiveModel

        settings, previous = options.applied_to(self._settings), self._admission.model
        hardware = self.hardware if settings.device == self._settings.device else detect(settings.device)
        if previous and previous.spec == spec and previous.settings == settings:
            report(LoadEvent("ready", note="It is already loaded"))
            return
        held = previous.held_bytes if previous and hardware.kind == self.hardware.kind else 0
        free = sys.maxsize if options.is_forced else hardware.free_bytes() + held
        candidate = examine(spec, hardware, settings, free, report)
        report(LoadEvent("config", note=self._expectation(spec)))
        before = (previous.candidate, previous.settings, self.hardware) if previous else None
        del previous        # now admission has the only strong reference
        if before is not None:
            self._make_room(before[0].spec.name, options.drain, report)
        started = time.monotonic()
        try:
            with PeakWatch(hardware) as watch:
                self._admission.put(ActiveModel.load(candidate, hardware, settings, report))
            self.hardware = hardware
            self._remember(candidate, settings, time.monotonic() - started, watch.peak_bytes)
            return
        except EngineError as error:
            failure = error
        # Outside the handler, where the memory of the failed load is free.
        if before is not None:
            self._restore(*before, failure, report)
        raise failure

    def _make_room(self, name: str, drain: Drain, report: Report) -> None:
        def announce(users: int) -> None:
            report(LoadEvent("unload", note=f"Waiting for {users} replies to finish, at most {self._settings.drain_timeout_s:.0f} s"))

        report(LoadEvent("unload", note=f"Unloading {name}"))
        self.released = self._admission.empty(self.hardware, drain_s(drain, self._settings), announce)
        report(LoadEvent("unload", note=self.released.sentence, released=self.released))

    def _restore(self, candidate: Candidate, settings: Settings, hardware: Hardware, failure: EngineError, report: Report) -> None:
        from .active_model import ActiveModel

        report(LoadEvent("restore", note=f"Loading failed; restoring {candidate.spec.name}"))
        try:
            self._admission.put(ActiveModel.load(candidate, hardware, settings, report))
        except EngineError as error:
            failure.args = (f"{failure} Also, {candidate.spec.name} could not be restored: {error}",)

    def _expectation(self, spec: ModelSpec) -> str:
        try:
            seconds = self._history.last_seconds(spec.model, spec.quantization, self.hardware.name)
        except StorageError as error:
            self.notice = str(error)
            return "It fits"
        return "It fits" if seconds is None else f"It fits; loading took {seconds:.0f} s last time"

    def _remember(self, candidate: Candidate, settings: Settings, seconds: float, peak_bytes: int) -> None:
        spec, active_model = candidate.spec, self._admission.model
        known = (spec.model, spec.quantization, self.hardware.name)
        try:
            self._history.add(*known, seconds, active_model.weight_bytes if active_model else 0)
            if not (candidate.is_saved or candidate.text_only):     # the peak of a saved copy or of a part is not that of the source
                self._history.add_peak(*known, MeasuredPeak(peak_bytes, candidate.budget.window_tokens, settings.concurrent_replies))
        except StorageError as error:       # a full disk must not fail the load; the status reports it
            self.notice = str(error)


def drain_s(drain: Drain, settings: Settings) -> float:
    """Seconds that an unload waits for running replies."""
    return settings.drain_timeout_s if drain == "finish" else 0.0
