"""The engine: owns the loaded model, replaces it, and generates replies with it."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..embedding import Embedders
from ..errors import EngineBusy, NoModelLoaded, NoSwapOnZeroGpu, NotOnThisMachine
from ..hardware import Hardware, detect, lent
from ..messages import Effort, GenerationOptions, Message, PromptView, StreamEvent, TextDelta, Waiting
from ..models.adapters import find_adapter
from ..models.quantization import Quantization, QuantizationChoice, choices
from ..models.saved import SavedModel
from ..models.spec import Drain, LoadEvent, LoadOptions, ModelSpec, Released, Report
from ..pictures import Picture
from ..pipelines import TaskInput, TaskResult
from ..remote import Connections
from ..settings import Settings
from ..shapes import Shape
from ..storage.database import Database
from ..storage.loads import LoadHistory
from ..visitors import Accounts, ApiKeys, VisitorBook
from .admission import Admission, Reservation
from .load_job import LoadJob
from .replies import Begin, admitted, counted, new_chars, require_spec
from .status import Status, served, status_of
from .swap import Swap, drain_s

if TYPE_CHECKING:
    from .active_model import ActiveModel
    from .serving_model import ServingModel


class Engine:
    """Safe to use from several threads; holds no lock across a yield."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings.from_env()
        self.admission = Admission(self._wake, self.settings.max_waiting if self.settings.is_public else None)
        self._closed = threading.Event()
        self._hardware: Hardware | None = None
        self._idle_watch: threading.Thread | None = None
        self._job: LoadJob | None = None
        self._released: Released | None = None
        atexit.register(_close, weakref.ref(self))      # a thread killed inside a tensor operation would abort the process
        self.database = Database(self.settings.data_dir)
        self.connections = Connections(self.database, self.settings)
        self.accounts, self.api_keys = Accounts(self.database), ApiKeys(self.database)
        self.visitors = VisitorBook(self.database, self.settings.visitor_limits)
        self.embedders, self._history = Embedders(self.settings, self.database), LoadHistory(self.database)
        self._history_error = ""

    @property
    def hardware(self) -> Hardware:
        """Detected once, on first use, because it imports torch."""
        if self._hardware is None:
            self._hardware = lent() if self.settings.is_zero_gpu else detect(self.settings.device)
        return self._hardware

    @property
    def _model(self) -> ServingModel | None:
        return self.admission.model

    @property
    def held_bytes(self) -> int:
        """Bytes that the loaded model uses, which are free for a new one after it is unloaded."""
        return model.held_bytes if (model := self._model) else 0

    @property
    def latest_load(self) -> LoadJob | None:
        """The load in progress, or the last one."""
        return self._job

    @property
    def spec(self) -> ModelSpec | None:
        model = self._model
        return model.spec if model else None

    @property
    def current(self) -> tuple[ModelSpec, LoadOptions] | None:
        """The loaded model and its options, or those that the next message will load again; None if there are none."""
        model = self._model
        return (model.spec, model.options) if model else self.admission.asleep

    @property
    def served(self) -> tuple[tuple[ModelSpec, tuple[str, ...]], ...]:
        return served(self.admission, lambda: self._job)

    def default_spec(self) -> ModelSpec:
        """The model named in the settings. Raises InvalidRequest."""
        return ModelSpec(self.settings.model, quantization=Quantization.parse(self.settings.quantization, lambda: self.hardware))

    def default_options(self, effort: Effort | None = None) -> GenerationOptions:
        """Those recommended by the author of the loaded model for this effort of thought, or the general defaults."""
        model = self._model
        return model.default_options(effort) if model else GenerationOptions(reasoning_effort=effort)

    def quantization_choices(self) -> tuple[QuantizationChoice, ...]:
        return choices(self.hardware)

    # --- loading ---

    def load(self, spec: ModelSpec | str, options: LoadOptions | None = None, *,
             reservation: Reservation | None = None) -> Generator[LoadEvent, None, None]:
        """Load a model in place of the current one, in stages; the last event has the stage "ready".

        The load continues if the generator is closed. Raises EngineBusy, InvalidRequest, LoadError and its subclasses; after a
        failure the previous model is loaded again.
        """
        yield from self.start_loading(spec, options, reservation=reservation).follow()

    def start_loading(self, spec: ModelSpec | str, options: LoadOptions | None = None, *,
                      reservation: Reservation | None = None) -> LoadJob:
        """Start a load in the background. Raises EngineBusy and InvalidRequest; on ZeroGPU, NoSwapOnZeroGpu for all but the first."""
        if self.settings.is_zero_gpu and self._job is not None:
            raise NoSwapOnZeroGpu
        spec = ModelSpec(spec) if isinstance(spec, str) else spec
        options = options or LoadOptions()
        options.applied_to(self.settings)
        with self.admission.changed:
            self.admission.require(reservation)
            job = self._job
            if self.admission.state == "loading" and job and (job.spec, job.options) == (spec, options):
                return job      # requested twice: both callers follow the same load
            self.admission.begin("loading", reservation)
            job = self._job = LoadJob(spec, options, self._swap, self._settle, is_first=job is None)
        job.start()
        return job

    def place_on_lent_gpu(self) -> None:
        """On ZeroGPU: say which weights a lent GPU needs. Once, in the main thread, before the page is launched."""
        with suppress(NoModelLoaded, NotOnThisMachine), self.using() as model:      # the page says why a load failed
            model.place()

    def unload(self, drain: Drain = "finish", *, reservation: Reservation | None = None) -> Released:
        """Wait for running replies (bounded), or stop them; free the model and measure the freed memory. Raises EngineBusy."""
        self.admission.begin("unloading", reservation)
        try:
            self._released = self.admission.empty(self.hardware, drain_s(drain, self.settings))
            return self._released
        finally:
            self._settle()

    def save_quantized(self) -> SavedModel:
        """Save the loaded model in its quantized form, so that its next load is fast. Blocking.

        Raises NoModelLoaded, EngineBusy, InvalidRequest and DiskFull.
        """
        with self.using() as active_model:
            return active_model.save_quantized()

    def add_adapter(self, source: str) -> str:
        """Load a LoRA adapter from a folder or the hub, for replies that name it. Blocking. Returns its name. Raises also LoadError."""
        with self.using() as active_model:
            return active_model.add_adapter(find_adapter(source, self.settings, lambda event: None), self.hardware.free_bytes())

    def remove_adapter(self, name: str) -> None:
        """Replies that use it end with AdapterRemoved. Raises InvalidRequest, NoModelLoaded, EngineBusy and NotOnThisMachine."""
        with self.using() as active_model:
            active_model.adapters.remove(name)

    def close(self) -> None:
        """Stop everything without waiting for replies, at the end of the process."""
        self._closed.set()
        self.admission.discard()
        self.embedders.close()

    def _swap(self, spec: ModelSpec, options: LoadOptions, report: Report) -> None:
        swap = Swap(self.admission, self.settings, self.hardware, self._history, self.connections)
        try:
            swap.run(spec, options, report)
        finally:
            self._hardware, self._history_error = swap.hardware, swap.notice
            self._released = swap.released or self._released

    def _settle(self, error: BaseException | None = None) -> None:
        self.admission.settle(error)
        if self.admission.state == "ready" and self.settings.idle_unload_s and self._idle_watch is None:
            self._idle_watch = threading.Thread(target=self._watch_idle, name="idle", daemon=True)
            self._idle_watch.start()

    def _watch_idle(self) -> None:
        """Unload the model when it is idle; the next message loads it again."""
        limit = self.settings.idle_unload_s
        while not self._closed.wait(min(10.0, limit / 4)):
            if not self.admission.begin_sleep(limit):
                continue
            try:
                self._released = self.admission.empty(self.hardware, 0.0)
            finally:
                self._settle()

    def _wake(self, spec: ModelSpec, options: LoadOptions) -> None:
        with suppress(EngineBusy):      # another message came first
            self.start_loading(spec, options)

    # --- replies ---

    def chat(self, messages: Sequence[Message] | str, options: GenerationOptions | None = None, *,
             spec: ModelSpec | None = None, stop: threading.Event | None = None,
             visitor: str = "", reservation: Reservation | None = None) -> Generator[StreamEvent, None, None]:
        """Stream one reply; the last event is Finished. Closing the generator, or setting `stop`, ends the work within a step.

        If the conversation ends with the beginning of a reply, that is continued. `spec`: the model that must reply; EngineBusy if
        another one is loaded. `visitor`: whose reply it is, for their limits, except of measurements; those who wait take turns. The
        reply waits while a model is loading or the engine is reserved. Raises NoModelLoaded, EngineBusy (also over a limit, and in public
        mode if too many replies are in progress), InvalidRequest (MessageTooLong) and every GenerationFailed.
        """
        messages = (Message("user", messages),) if isinstance(messages, str) else tuple(messages)
        return self._reply(lambda model: model.chat(messages, options or model.default_options(), stop, visitor), stop, spec,
                           "" if reservation else visitor, new_chars(messages, options), reservation)    # a measurement has no limits

    def complete(self, prompt: str | Sequence[int], options: GenerationOptions | None = None, *, spec: ModelSpec | None = None,
                 stop: threading.Event | None = None, visitor: str = "") -> Generator[StreamEvent, None, None]:
        """Continue a text, or its token ids, as it is: without chat template and thoughts. Otherwise as `chat`."""
        return self._reply(lambda model: model.complete(prompt, options or model.default_options(), stop, visitor), stop, spec,
                           visitor, len(prompt))

    def _reply(self, begin: Begin, stop: threading.Event | None, spec: ModelSpec | None, limited: str, size: int,
               reservation: Reservation | None = None) -> Generator[StreamEvent, None, None]:
        """`limited`: the visitor whose limits apply to a message of this size."""
        yield from counted(self.visitors, limited, size, admitted(self.admission, begin, stop, spec, reservation))

    def run_task(self, given: TaskInput, *, stop: threading.Event | None = None,
                 visitor: str = "") -> Generator[Waiting | TaskResult, None, None]:
        """Give texts to the loaded model of a task: Waiting, then the result, which is missing if `stop` was set. Limits as for `chat`.

        Raises NoModelLoaded, NoTaskModel (the loaded model chats), EngineBusy, InvalidRequest and GenerationFailed.
        """
        from .task_model import answered

        return answered(self.admission, self.visitors, given, stop or threading.Event(), visitor)

    def ask(self, text: str, options: GenerationOptions | None = None) -> str:
        """The whole reply to one message, without its reasoning. Blocking. Raises what `chat` raises."""
        return "".join(event.text for event in self.chat(text, options) if isinstance(event, TextDelta))

    def count_tokens(self, text: str) -> int:
        """Length of a text in tokens of the loaded model; an estimate if that is on another server. Raises NoModelLoaded, EngineBusy."""
        with self.serving() as model:
            return model.count_tokens(text)

    def count_picture_tokens(self, picture: Picture) -> int:
        """Tokens that a picture takes in the prompt. The loaded model sees it for that, and remembers what it saw.

        Raises InvalidRequest if it cannot read pictures, GenerationFailed, NoModelLoaded and EngineBusy.
        """
        with self.serving() as model:
            return model.count_picture_tokens(picture)

    def view_prompt(self, messages: Sequence[Message], options: GenerationOptions) -> PromptView:
        """The prompt. Raises InvalidRequest (MessageTooLong), ChatTemplateFailed, NotOnThisMachine, NoModelLoaded and EngineBusy."""
        with self.serving() as model:
            return model.view_prompt(tuple(messages), options)

    def check_prompt(self, messages: Sequence[Message], options: GenerationOptions) -> None:
        """Raise what `view_prompt` would raise about the messages. Does nothing while no model is loaded."""
        if self.admission.state != "loading" and self.admission.asleep is None:
            with self.serving() as model:
                model.check_prompt(tuple(messages), options)

    def check_shape(self, shape: Shape) -> None:
        """Raise InvalidShape if the loaded model's answers cannot have it. Raises what `serving` raises, too."""
        with self.serving() as model:
            model.check_shape(shape)

    @contextmanager
    def serving(self, spec: ModelSpec | None = None) -> Iterator[ServingModel]:
        """The loaded model, also one on another server, for the engine's own packages; otherwise like `using`."""
        with self.admission.lease() as model:
            require_spec(model, spec)
            yield model

    @contextmanager
    def using(self, spec: ModelSpec | None = None) -> Iterator[ActiveModel]:
        """The model in memory, for the engine's own packages. An unload waits for the end of the block, bounded by the settings.
        `spec`: the model that must be loaded. Raises NoModelLoaded, EngineBusy, and for another kind NotOnThisMachine, NotAChatModel.
        """
        from .active_model import ActiveModel

        with self.serving(spec) as model:
            if not isinstance(model, ActiveModel):
                raise model.refusal()
            yield model

    # --- status ---

    def status(self) -> Status:
        return status_of(self.admission, self._job, self._hardware, self._released,
                         tuple(filter(None, (self.database.notice, self._history_error))))


def _close(reference: weakref.ref[Engine]) -> None:
    if (engine := reference()) is not None:
        engine.close()
