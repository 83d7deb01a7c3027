"""One replacement of the loaded model. The order matters: check the new model before unloading the old one, unload before loading,
and restore the old one if loading fails."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

from ..errors import EngineError, StorageError
from ..hardware import Hardware, detect
from ..models.adapters import Adapter, find_adapters, of_its_base, require_matching
from ..models.loaded import Candidate
from ..models.loader import examine
from ..models.memory_peak import PeakWatch
from ..models.spec import Drain, LoadEvent, LoadOptions, ModelSpec, Released, Report
from ..remote import Connections
from ..settings import Settings
from ..storage.loads import LoadHistory, MeasuredPeak
from .admission import Admission
from .serving_model import Load, ServingModel


class Swap:
    """`hardware`: the hardware of the loaded model. `notice`: what a person should know of the load, or ""."""

    def __init__(self, admission: Admission, settings: Settings, hardware: Hardware, history: LoadHistory,
                 connections: Connections) -> None:
        self._admission, self._settings, self.hardware, self._history = admission, settings, hardware, history
        self._connections = connections
        self.released: Released | None = None
        self.notice = ""

    def run(self, spec: ModelSpec, options: LoadOptions, report: Report) -> None:
        """Replace the model. Raises InvalidRequest, LoadError, RemoteError and subclasses; the previous model is then loaded again."""
        settings, previous = options.applied_to(self._settings), self._admission.model
        spec = of_its_base(spec, settings, report)
        spec, adapters = (spec, ()) if spec.task else find_adapters(spec, options, settings, report)
        if lost := options.names.keys() - {each.source for each in adapters}:
            self.notice = f"Adapters that are not there any more were left out: {', '.join(options.names[each] for each in sorted(lost))}."
        room = sys.maxsize if options.is_forced else self.hardware.free_bytes()
        if previous and previous.serve_adapters(spec, settings, adapters, room):
            report(LoadEvent("ready", note="Its base is already loaded" if spec.adapter else "It is already loaded"))
            return
        if previous and previous.spec == spec and previous.settings == settings and not spec.is_remote:
            report(LoadEvent("ready", note="It is already loaded"))
            return
        hardware = self.hardware if settings.device == self._settings.device else detect(settings.device)
        held = previous.held_bytes if previous and hardware.kind == self.hardware.kind else 0
        free = sys.maxsize if options.is_forced else hardware.free_bytes() + held
        load = self._remote(spec, settings, report) if spec.is_remote else self._local(spec, adapters, hardware, settings, free, report)
        before = (previous.spec.name, previous.loads_again(self.hardware)) if previous else None
        del previous        # now admission has the only strong reference
        if before is not None:
            self._make_room(before[0], options.drain, report)
        try:
            self._admission.put(load(report))
            self.hardware = hardware
            return
        except EngineError as error:
            failure = error
        # Outside the handler, where the memory of the failed load is free.
        if before is not None:
            self._restore(*before, failure, report)
        raise failure

    def _remote(self, spec: ModelSpec, settings: Settings, report: Report) -> Load:
        """The server is asked before anything is unloaded."""
        from .remote_model import RemoteModel

        model = RemoteModel.open(spec, self._connections.get(spec.model), settings, report)
        return lambda report: model

    def _local(self, spec: ModelSpec, adapters: tuple[Adapter, ...], hardware: Hardware, settings: Settings, free_bytes: int,
               report: Report) -> Load:
        if spec.task:
            from .task_model import load_later

            return load_later(spec, hardware, settings, free_bytes, report)
        candidate = examine(spec, hardware, settings, free_bytes - sum(each.size_bytes for each in adapters), report)
        require_matching([each for each in adapters if not each.known_as], candidate.config, spec.model)
        candidate = replace(candidate, adapters=adapters)
        report(LoadEvent("config", note=self._expectation(spec)))

        def load(report: Report) -> ServingModel:
            from .active_model import ActiveModel

            started = time.monotonic()
            with PeakWatch(hardware) as watch:
                model = ActiveModel.load(candidate, hardware, settings, report)
            self._remember(candidate, settings, hardware, (time.monotonic() - started, model.weight_bytes, watch.peak_bytes))
            return model
        return load

    def _make_room(self, name: str, drain: Drain, report: Report) -> None:
        def announce(users: int) -> None:
            report(LoadEvent("unload", note=f"Waiting for {users} replies to finish, at most {self._settings.drain_timeout_s:.0f} s"))

        report(LoadEvent("unload", note=f"Unloading {name}"))
        self.released = self._admission.empty(self.hardware, drain_s(drain, self._settings), announce)
        report(LoadEvent("unload", note=self.released.sentence, released=self.released))

    def _restore(self, name: str, load: Load, failure: EngineError, report: Report) -> None:
        report(LoadEvent("restore", note=f"Loading failed; restoring {name}"))
        try:
            self._admission.put(load(report))
        except EngineError as error:
            failure.args = (f"{failure} Also, {name} could not be restored: {error}",)

    def _expectation(self, spec: ModelSpec) -> str:
        try:
            seconds = self._history.last_seconds(spec.model, spec.quantization, self.hardware.name)
        except StorageError as error:
            self.notice = str(error)
            return "It fits"
        return "It fits" if seconds is None else f"It fits; loading took {seconds:.0f} s last time"

    def _remember(self, candidate: Candidate, settings: Settings, hardware: Hardware, measured: tuple[float, int, int]) -> None:
        """`measured`: seconds, bytes of the weights, most bytes during the load."""
        spec, (seconds, weight_bytes, peak_bytes) = candidate.spec, measured
        known = (spec.model, spec.quantization, hardware.name)
        try:
            self._history.add(*known, seconds, weight_bytes)
            if not (candidate.is_saved or candidate.text_only):     # the peak of a saved copy or of a part is not that of the source
                self._history.add_peak(*known, MeasuredPeak(peak_bytes, candidate.budget.window_tokens, settings.concurrent_replies))
        except StorageError as error:       # a full disk must not fail the load; the status reports it
            self.notice = str(error)


def drain_s(drain: Drain, settings: Settings) -> float:
    """Seconds that an unload waits for running replies."""
    return settings.drain_timeout_s if drain == "finish" else 0.0
