"""The engine: owns the one loaded model, says who may use it, swaps it without surprises."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .errors import EngineBusy, EngineError, NoModelLoaded, StorageError
from .hardware import Hardware, detect
from .load_job import FOLLOW_S, LoadJob
from .messages import Finished, GenerationOptions, Message, PromptView, StreamEvent, Usage, Waiting
from .models.loader import LoadEvent, ModelSpec, Report, examine
from .models.quantization import Quantization, QuantizationChoice, choices
from .settings import Settings
from .storage.database import Database
from .storage.loads import LoadHistory

if TYPE_CHECKING:
    from .residence import Residence

State = Literal["empty", "loading", "ready", "unloading"]


@dataclass(frozen=True, slots=True)
class Released:
    """Proof of an unload: what the model was counted at, what came back, how long it took."""

    expected_bytes: int
    returned_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Status:
    """What the engine is and does now. Empty texts where no model is loaded."""

    state: State
    model: str
    quantization: Quantization
    dtype: str
    device: str
    hardware: str
    window_tokens: int
    lane: str
    lane_reason: str
    used_bytes: int
    total_bytes: int
    running: int
    waiting: int
    stage: LoadEvent | None
    error: str
    notes: tuple[str, ...]


class Engine:
    """Safe to use from many threads at once; no lock is held while anything is yielded."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings.from_env()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._hardware: Hardware | None = None
        self._residence: Residence | None = None
        self._state: State = "empty"
        self._job: LoadJob | None = None
        self._error = ""
        atexit.register(_close, weakref.ref(self))      # a thread killed inside a tensor operation would abort the process
        self.database = Database(self.settings.data_dir)
        self._history = LoadHistory(self.database)
        self._history_error = ""

    @property
    def hardware(self) -> Hardware:
        """Detected once, at the first use: it takes the import of torch."""
        if self._hardware is None:
            self._hardware = detect(self.settings.device)
        return self._hardware

    @property
    def spec(self) -> ModelSpec | None:
        residence = self._residence
        return residence.spec if residence else None

    def default_spec(self) -> ModelSpec:
        """What the settings ask for. Raises InvalidRequest."""
        return ModelSpec(self.settings.model, quantization=Quantization.parse(self.settings.quantization))

    def default_options(self) -> GenerationOptions:
        """The loaded model's own recommendation, or the general defaults."""
        residence = self._residence
        return residence.default_options if residence else GenerationOptions()

    def quantization_choices(self) -> tuple[QuantizationChoice, ...]:
        return choices(self.hardware)

    # --- loading ---

    def load(self, spec: ModelSpec | str) -> Iterator[LoadEvent]:
        """Load a model in place of the current one, in stages; the last event has the stage "ready".

        The load goes on when its follower goes away. Raises EngineBusy, InvalidRequest, and LoadError in all its kinds;
        after a failure the previous model is in place again.
        """
        job = self.start_loading(spec)
        yield from job.follow()

    def start_loading(self, spec: ModelSpec | str) -> LoadJob:
        """Begin a load in the background. Raises EngineBusy."""
        spec = ModelSpec(spec) if isinstance(spec, str) else spec
        with self._lock:
            if self._state == "loading" and self._job and self._job.spec == spec:
                return self._job        # asked for twice: both follow the same load
            if self._state in ("loading", "unloading"):
                raise EngineBusy(f"a model is {self._state}")
            self._state, self._error = "loading", ""
            job = self._job = LoadJob(spec, self._swap, self._settle)
        job.start()
        return job

    def unload(self) -> Released:
        """Wait for running replies (bounded), free the model, and measure what came back. Raises EngineBusy."""
        with self._lock:
            if self._state in ("loading", "unloading"):
                raise EngineBusy(f"a model is {self._state}")
            self._state = "unloading"
        try:
            return self._release()
        finally:
            self._settle()

    def close(self) -> None:
        """Stop everything, without waiting for replies. For the end of the process."""
        residence, self._residence = self._residence, None
        if residence:
            residence.release(drain_timeout_s=0)

    def _swap(self, spec: ModelSpec, report: Report) -> None:
        """Refuse before giving anything up; unload before loading; go back if loading fails."""
        from .residence import Residence

        previous = self._residence
        if previous and previous.spec == spec and not previous.is_broken:
            report(LoadEvent("ready", note="It is loaded already"))
            return
        held = previous.held_bytes if previous else 0
        candidate = examine(spec, self.hardware, self.settings, self.hardware.free_bytes() + held, report)
        report(LoadEvent("config", note=self._expectation(spec)))
        started = time.monotonic()
        before = previous.candidate if previous else None
        del previous        # the only strong reference is self._residence
        if before is not None:
            report(LoadEvent("unload", note=f"Unloading {before.spec.name}"))
            self._release()
        try:
            self._install(Residence.load(candidate, self.hardware, self.settings, report))
            self._remember_load(spec, time.monotonic() - started)
            return
        except EngineError as error:
            failure = error
        # Outside the handler: what the failed load held is free by now.
        if before is not None:
            report(LoadEvent("restore", note=f"That failed; loading {before.spec.name} again"))
            try:
                self._install(Residence.load(before, self.hardware, self.settings, report))
            except EngineError as error:
                failure.args = (f"{failure} And {before.spec.name} could not be restored: {error}",)
        raise failure

    def _expectation(self, spec: ModelSpec) -> str:
        try:
            seconds = self._history.last_seconds(spec.model, spec.quantization, self.hardware.name)
        except StorageError as error:
            self._history_error = str(error)
            return "It fits"
        return "It fits" if seconds is None else f"It fits; loading took {seconds:.0f} s last time"

    def _remember_load(self, spec: ModelSpec, seconds: float) -> None:
        residence = self._residence
        try:
            self._history.add(spec.model, spec.quantization, self.hardware.name, seconds, residence.weight_bytes if residence else 0)
        except StorageError as error:       # a full disk must not cost the model; the status says it
            self._history_error = str(error)

    def _install(self, residence: Residence) -> None:
        with self._changed:
            self._residence = residence
            self._changed.notify_all()

    def _release(self) -> Released:
        started = time.monotonic()
        with self._lock:
            residence, self._residence = self._residence, None
        if residence is None:
            return Released(0, 0, 0.0)
        before, expected = self.hardware.used_bytes(), residence.held_bytes
        residence.release(self.settings.drain_timeout_s)
        del residence
        from .models.loader import collect

        collect()
        return Released(expected, before - self.hardware.used_bytes(), time.monotonic() - started)

    def _settle(self, error: BaseException | None = None) -> None:
        with self._changed:
            self._state = "ready" if self._residence else "empty"
            self._error = str(error) if error else ""
            self._changed.notify_all()

    # --- replies ---

    def chat(self, messages: Sequence[Message], options: GenerationOptions | None = None, *,
             spec: ModelSpec | None = None, stop: threading.Event | None = None) -> Iterator[StreamEvent]:
        """Stream one reply; the last event is Finished. Closing the iterator, or setting `stop`, ends the work within a step.

        A conversation that ends with a part of an answer is continued from there. `spec`: the model that must answer;
        EngineBusy if another one is loaded by now. While a model is loading, the reply waits for it. Raises NoModelLoaded,
        EngineBusy (in public mode also when too many replies are in progress), InvalidRequest (MessageTooLong),
        GenerationFailed (OutOfMemory, ChatTemplateFailed).
        """
        started = time.monotonic()
        while (residence := self._enter()) is None:
            if stop is not None and stop.is_set():
                yield Finished("stopped", Usage(0, 0, 0, time.monotonic() - started, 0.0))
                return
            yield Waiting(0, time.monotonic() - started)
        try:
            if spec is not None and residence.spec != spec:
                raise EngineBusy(f"{residence.spec.name} was loaded meanwhile", f"Load {spec.name} again.")
            with closing(residence.chat(tuple(messages), options or residence.default_options, stop)) as events:  # type: ignore[type-var]
                yield from events
        finally:
            residence.leave()

    def count_tokens(self, text: str) -> int:
        """Length of a text in the loaded model's tokens. Raises NoModelLoaded and EngineBusy."""
        with self._using() as residence:
            return residence.count_tokens(text)

    def view_prompt(self, messages: Sequence[Message], options: GenerationOptions) -> PromptView:
        """What the model would read. Raises InvalidRequest (MessageTooLong), ChatTemplateFailed, NoModelLoaded, EngineBusy."""
        with self._using() as residence:
            return residence.view_prompt(tuple(messages), options)

    def check_prompt(self, messages: Sequence[Message], options: GenerationOptions) -> None:
        """Raise what `view_prompt` would about the messages; while a model is loading nothing is known, so nothing is raised."""
        if self._state != "loading":
            self.view_prompt(messages, options)

    @contextmanager
    def _using(self) -> Iterator[Residence]:
        residence = self._enter()
        if residence is None:
            raise EngineBusy("a model is loading")
        try:
            yield residence
        finally:
            residence.leave()

    def _enter(self) -> Residence | None:
        """The loaded model, with one more reader; None after a short wait while one is being loaded."""
        with self._changed:
            residence = self._residence
            if residence is None or not residence.enter():
                if self._state == "loading":
                    self._changed.wait(FOLLOW_S)
                    return None
                raise NoModelLoaded(self._error)
            if self.settings.is_public and residence.running > self.settings.max_waiting:
                residence.leave()
                raise EngineBusy(f"{residence.running - 1} replies are being written", "Try again in a minute.")
        return residence

    # --- looking ---

    def status(self) -> Status:
        residence, job, hardware = self._residence, self._job, self._hardware
        stage = job.latest if job and self._state == "loading" else None
        spec = residence.spec if residence else None
        return Status(
            state=self._state, model=spec.name if spec else "", quantization=spec.quantization if spec else Quantization.NONE,
            dtype=residence.candidate.dtype if residence else "", device=hardware.device if hardware else "",
            hardware=hardware.name if hardware else "", window_tokens=residence.window_tokens if residence else 0,
            lane=residence.default_lane if residence else "", lane_reason=residence.lane_reason if residence else "",
            used_bytes=hardware.used_bytes() if hardware else 0, total_bytes=hardware.total_bytes if hardware else 0,
            running=residence.running if residence else 0, waiting=residence.waiting if residence else 0, stage=stage,
            error=self._error, notes=(*(residence.notes if residence else ()), *filter(None, [self.database.notice, self._history_error])))


def _close(reference: weakref.ref[Engine]) -> None:
    engine = reference()
    if engine is not None:
        engine.close()
