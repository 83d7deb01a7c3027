"""The engine: owns the one loaded model, says who may use it, swaps it without surprises."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from ..background import HEARTBEAT_S
from ..errors import EngineBusy, NoModelLoaded
from ..hardware import Hardware, detect
from ..messages import Finished, GenerationOptions, Message, PromptView, StreamEvent, Usage, Waiting
from ..models.quantization import Quantization, QuantizationChoice, choices
from ..models.saved import SavedModel
from ..models.spec import Drain, LoadEvent, LoadOptions, ModelSpec, Released, Report
from ..settings import Settings
from ..storage.database import Database
from ..storage.loads import LoadHistory
from .load_job import LoadJob
from .reservation import Door, Reservation
from .slot import Slot
from .status import State, Status
from .swap import Swap, drain_s

if TYPE_CHECKING:
    from .active_model import ActiveModel


class Engine:
    """Safe to use from many threads at once; no lock is held while anything is yielded."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings.from_env()
        self._slot = Slot()
        self._changed = self._slot.changed
        self.door = Door(self._changed)
        self._closed = threading.Event()
        self._hardware: Hardware | None = None
        self._state: State = "empty"
        self._asleep: tuple[ModelSpec, LoadOptions] | None = None
        self._idle_watch: threading.Thread | None = None
        self._job: LoadJob | None = None
        self._released: Released | None = None
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
    def _active_model(self) -> ActiveModel | None:
        return self._slot.active_model

    @property
    def held_bytes(self) -> int:
        """What the loaded model takes, and a new one gets when it goes."""
        active_model = self._active_model
        return active_model.held_bytes if active_model else 0

    @property
    def latest_load(self) -> LoadJob | None:
        """The load that runs or ran last."""
        return self._job

    @property
    def spec(self) -> ModelSpec | None:
        active_model = self._active_model
        return active_model.spec if active_model else None

    @property
    def current(self) -> tuple[ModelSpec, LoadOptions] | None:
        """What is loaded and how, or would be by the next message; None where nothing is."""
        active_model = self._active_model
        return (active_model.spec, active_model.options) if active_model else self._asleep

    def default_spec(self) -> ModelSpec:
        """What the settings ask for. Raises InvalidRequest."""
        return ModelSpec(self.settings.model, quantization=Quantization.parse(self.settings.quantization))

    def default_options(self) -> GenerationOptions:
        """The loaded model's own recommendation, or the general defaults."""
        active_model = self._active_model
        return active_model.default_options if active_model else GenerationOptions()

    def quantization_choices(self) -> tuple[QuantizationChoice, ...]:
        return choices(self.hardware)

    # --- loading ---

    def load(self, spec: ModelSpec | str, options: LoadOptions | None = None, *,
             reservation: Reservation | None = None) -> Iterator[LoadEvent]:
        """Load a model in place of the current one, in stages; the last event has the stage "ready".

        The load goes on when its follower goes away. Raises EngineBusy, InvalidRequest, and LoadError in all its kinds;
        after a failure the previous model is in place again.
        """
        yield from self.start_loading(spec, options, reservation=reservation).follow()

    def start_loading(self, spec: ModelSpec | str, options: LoadOptions | None = None, *,
                      reservation: Reservation | None = None) -> LoadJob:
        """Begin a load in the background. Raises EngineBusy and InvalidRequest."""
        spec = ModelSpec(spec) if isinstance(spec, str) else spec
        options = options or LoadOptions()
        options.applied_to(self.settings)
        with self._changed:
            self.door.require(reservation)
            if self._state == "loading" and self._job and (self._job.spec, self._job.options) == (spec, options):
                return self._job        # asked for twice: both follow the same load
            self._require_settled()
            self._state, self._error, self._asleep = "loading", "", None
            job = self._job = LoadJob(spec, options, self._swap, self._settle, is_first=self._job is None)
        job.start()
        return job

    def unload(self, drain: Drain = "finish", *, reservation: Reservation | None = None) -> Released:
        """Wait for running replies (bounded), or stop them, free the model, and measure what came back. Raises EngineBusy."""
        with self._changed:
            self.door.require(reservation)
            self._require_settled()
            self._state, self._asleep = "unloading", None
        try:
            self._released = self._slot.empty(self.hardware, drain_s(drain, self.settings))
            return self._released
        finally:
            self._settle()

    def save_quantized(self) -> SavedModel:
        """Keep the loaded model in its quantized form, so that its next load is quick. Blocking.

        Raises NoModelLoaded, EngineBusy, InvalidRequest and DiskFull.
        """
        with self.using() as active_model:
            return active_model.save_quantized()

    def close(self) -> None:
        """Stop everything, without waiting for replies. For the end of the process."""
        self._closed.set()
        self._slot.discard()

    def _require_settled(self) -> None:
        if self._state in ("loading", "unloading"):
            raise EngineBusy(f"a model is {self._state}")

    def _swap(self, spec: ModelSpec, options: LoadOptions, report: Report) -> None:
        swap = Swap(self._slot, self.settings, self.hardware, self._history)
        try:
            swap.run(spec, options, report)
        finally:
            self._hardware, self._history_error = swap.hardware, swap.notice
            self._released = swap.released or self._released

    def _settle(self, error: BaseException | None = None) -> None:
        with self._changed:
            self._state = "ready" if self._active_model else "asleep" if self._asleep else "empty"
            self._error = str(error) if error else ""
            self._changed.notify_all()
        if self._state == "ready" and self.settings.idle_unload_s and self._idle_watch is None:
            self._idle_watch = threading.Thread(target=self._watch_idle, name="idle", daemon=True)
            self._idle_watch.start()

    def _watch_idle(self) -> None:
        """Unload a model that nobody uses; `_enter` loads it again."""
        limit = self.settings.idle_unload_s
        while not self._closed.wait(min(10.0, limit / 4)):
            with self._changed:
                active_model = self._active_model
                if self._state != "ready" or active_model is None or active_model.idle_s < limit:
                    continue
                self._state, self._asleep = "unloading", (active_model.spec, active_model.options)
                del active_model
            try:
                self._released = self._slot.empty(self.hardware, 0.0)
            finally:
                self._settle()

    # --- replies ---

    def chat(self, messages: Sequence[Message], options: GenerationOptions | None = None, *,
             spec: ModelSpec | None = None, stop: threading.Event | None = None,
             reservation: Reservation | None = None) -> Iterator[StreamEvent]:
        """Stream one reply; the last event is Finished. Closing the iterator, or setting `stop`, ends the work within a step.

        A conversation that ends with a part of an answer is continued from there. `spec`: the model that must answer;
        EngineBusy if another one is loaded by now. While a model is loading, or the engine is reserved, the reply waits. Raises
        NoModelLoaded, EngineBusy (in public mode also when too many replies are in progress), InvalidRequest (MessageTooLong),
        GenerationFailed (OutOfMemory, ChatTemplateFailed).
        """
        started = time.monotonic()
        while self.door.is_barred(reservation) or (active_model := self._enter()) is None:
            if stop is not None and stop.is_set():
                yield Finished("stopped", Usage(0, 0, 0, time.monotonic() - started, 0.0))
                return
            yield Waiting(0, time.monotonic() - started)
        try:
            _require_spec(active_model, spec)
            with closing(active_model.chat(tuple(messages), options or active_model.default_options, stop)) as events:  # type: ignore[type-var]
                yield from events
        finally:
            active_model.leave()

    def count_tokens(self, text: str) -> int:
        """Length of a text in the loaded model's tokens. Raises NoModelLoaded and EngineBusy."""
        with self.using() as active_model:
            return active_model.count_tokens(text)

    def view_prompt(self, messages: Sequence[Message], options: GenerationOptions) -> PromptView:
        """What the model would read. Raises InvalidRequest (MessageTooLong), ChatTemplateFailed, NoModelLoaded, EngineBusy."""
        with self.using() as active_model:
            return active_model.view_prompt(tuple(messages), options)

    def check_prompt(self, messages: Sequence[Message], options: GenerationOptions) -> None:
        """Raise what `view_prompt` would about the messages. Before a model is loaded nothing is known, so nothing is raised."""
        if self._state != "loading" and self._asleep is None:
            self.view_prompt(messages, options)

    @contextmanager
    def using(self, spec: ModelSpec | None = None) -> Iterator[ActiveModel]:
        """The loaded model, for the engine's own packages: an unload waits for the end of the block, bounded by the settings.

        `spec`: the model that must be loaded. Raises NoModelLoaded and EngineBusy.
        """
        active_model = self._enter()
        if active_model is None:
            raise EngineBusy("a model is loading")
        try:
            _require_spec(active_model, spec)
            yield active_model
        finally:
            active_model.leave()

    def _enter(self) -> ActiveModel | None:
        """The loaded model, with one more reader; None after a short wait while one is being loaded."""
        with self._changed:
            active_model = self._slot.enter()
            if active_model is None:
                if self._asleep is None and self._state != "loading":
                    raise NoModelLoaded(self._error)
                asleep = self._asleep if self._state == "asleep" else None
                if asleep is None:
                    self._changed.wait(HEARTBEAT_S)
        if active_model is None:
            if asleep is not None:
                self._wake(*asleep)
            return None
        if self.settings.is_public and active_model.running > self.settings.max_waiting:
            active_model.leave()
            raise EngineBusy(f"{active_model.running - 1} replies are being written", "Try again in a minute.")
        return active_model

    def _wake(self, spec: ModelSpec, options: LoadOptions) -> None:
        with suppress(EngineBusy):      # another message came first
            self.start_loading(spec, options)

    # --- looking ---

    def status(self) -> Status:
        active_model, job, hardware = self._active_model, self._job, self._hardware
        stage = job.latest if job and self._state == "loading" else None
        asleep = self._asleep
        spec = active_model.spec if active_model else asleep[0] if asleep else None
        return Status(
            state=self._state, model=spec.name if spec else "", quantization=spec.quantization if spec else Quantization.NONE,
            dtype=active_model.candidate.dtype if active_model else "", device=hardware.device if hardware else "",
            hardware=hardware.name if hardware else "", window_tokens=active_model.window_tokens if active_model else 0,
            lane=active_model.default_lane if active_model else "", lane_reason=active_model.lane_reason if active_model else "",
            used_bytes=hardware.used_bytes() if hardware else 0, total_bytes=hardware.total_bytes if hardware else 0,
            running=active_model.running if active_model else 0, waiting=active_model.waiting if active_model else 0, stage=stage,
            error=self._error, released=self._released, reserved=self.door.why,
            notes=(*(active_model.notes if active_model else ()), *filter(None, [self.database.notice, self._history_error])))


def _require_spec(active_model: ActiveModel, spec: ModelSpec | None) -> None:
    if spec is not None and active_model.spec != spec:
        raise EngineBusy(f"{active_model.spec.name} was loaded meanwhile", f"Load {spec.name} again.")


def _close(reference: weakref.ref[Engine]) -> None:
    engine = reference()
    if engine is not None:
        engine.close()
