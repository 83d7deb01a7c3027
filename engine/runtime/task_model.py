"""A model with the head of a task in the place of one that chats: the same load, the same memory, other answers.

Requests are computed in turn, in the order in which they came, by one thread.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial

from ..background import HEARTBEAT_S
from ..errors import EngineBusy
from ..hardware import Hardware
from ..messages import Effort, Finished, GenerationOptions, Message, PromptView, StreamEvent, Thinking, Waiting
from ..models.adapters import Adapter
from ..models.quantization import Quantization
from ..models.spec import LoadEvent, LoadOptions, ModelSpec, Report
from ..pictures import Picture
from ..pipelines import Pipeline, Stopped, TaskInput, TaskResult, examine_task, load_task
from ..pipelines.errors import NotAChatModel, NoTaskModel
from ..pipelines.loading import TaskCandidate
from ..settings import Settings
from ..shapes import Shape
from ..visitors import VisitorBook
from .admission import Admission
from .replies import admitted
from .serving_model import Load, ServingModel

MOST_WAITING = 32       # requests; more than that would be answered after their visitors have gone
TRIED = "Hello"         # the first text, so that the first visitor does not wait for what is computed once


class TaskModel:
    """Users hold a lease (admission.py)."""

    adapters = None

    def __init__(self, pipeline: Pipeline, candidate: TaskCandidate, settings: Settings) -> None:
        self.spec, self.settings, self.candidate = candidate.spec, settings, candidate
        self.pipeline, self.window_tokens = pipeline, pipeline.window_tokens
        self._turns = threading.Condition()
        self._queue: deque[object] = deque()
        self._is_closing = False

    @classmethod
    def load(cls, candidate: TaskCandidate, hardware: Hardware, settings: Settings, report: Report) -> TaskModel:
        """Raises LoadError, and then leaves nothing in memory."""
        loaded = load_task(candidate, hardware, report)
        report(LoadEvent("warm-up", note="Warming up"))
        model = cls(Pipeline(loaded), candidate, settings)
        if candidate.task in ("text-classification", "token-classification"):
            model.pipeline(TRIED)
        return model

    # --- what it does ---

    def run(self, given: TaskInput, stop: threading.Event) -> Generator[Waiting | TaskResult, None, None]:
        """Waiting at least every HEARTBEAT_S, then the result, unless `stop` is set.

        Raises InvalidRequest, GenerationFailed and EngineBusy.
        """
        ticket, started = object(), time.monotonic()
        with self._turns:
            if len(self._queue) >= MOST_WAITING:
                raise EngineBusy(f"{len(self._queue)} requests are waiting", "Try again in a minute.")
            self._queue.append(ticket)
        try:
            while (ahead := self._ahead_of(ticket)) > 0:
                if stop.is_set() or self._is_closing:
                    return
                yield Waiting(ahead, time.monotonic() - started)
            yield from self._compute(given, stop, started)
        finally:
            with self._turns:
                self._queue.remove(ticket)
                self._turns.notify_all()

    def _ahead_of(self, ticket: object) -> int:
        with self._turns:
            self._turns.wait_for(lambda: self._queue[0] is ticket or self._is_closing, timeout=HEARTBEAT_S)
            return self._queue.index(ticket)

    def _compute(self, given: TaskInput, stop: threading.Event, started: float) -> Generator[Waiting | TaskResult, None, None]:
        """In a thread of its own, which has ended when this has: the next request must not begin before."""
        left = threading.Event()
        outcome: list[TaskResult | Exception] = []

        def work() -> None:
            try:
                outcome.append(self.pipeline.run(given, lambda: stop.is_set() or left.is_set() or self._is_closing))
            except Exception as error:      # raised again for whoever waits
                outcome.append(error)

        thread = threading.Thread(target=work, name="task", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(HEARTBEAT_S)
                if thread.is_alive():
                    yield Waiting(0, time.monotonic() - started)
        finally:
            left.set()
            thread.join()
        match outcome[0]:
            case Stopped():
                return
            case Exception() as error:
                raise error
            case result:
                yield result

    # --- what it does not ---

    def chat(self, messages: tuple[Message, ...], options: GenerationOptions, stop: threading.Event | None = None,
             visitor: str = "") -> Generator[StreamEvent, None, None]:
        """Raises NotAChatModel."""
        raise self.refusal()

    def complete(self, prompt: str | Sequence[int], options: GenerationOptions, stop: threading.Event | None = None,
                 visitor: str = "") -> Generator[StreamEvent, None, None]:
        """Raises NotAChatModel."""
        raise self.refusal()

    def view_prompt(self, messages: tuple[Message, ...], options: GenerationOptions) -> PromptView:
        """Raises NotAChatModel."""
        raise self.refusal()

    def check_prompt(self, messages: tuple[Message, ...], options: GenerationOptions) -> None:
        """Raises NotAChatModel."""
        raise self.refusal()

    def check_shape(self, shape: Shape) -> None:
        """Raises NotAChatModel."""
        raise self.refusal()

    def count_picture_tokens(self, picture: Picture) -> int:
        """Raises NotAChatModel."""
        raise self.refusal()

    def serve_adapters(self, spec: ModelSpec, settings: Settings, adapters: Sequence[Adapter]) -> bool:
        return spec == self.spec and settings == self.settings

    def refusal(self) -> NotAChatModel:
        return NotAChatModel(self.spec.name, self.pipeline.task)

    # --- facts ---

    @property
    def options(self) -> LoadOptions:
        return LoadOptions(self.settings.context_tokens, self.settings.concurrent_replies, self.settings.device)

    @property
    def quantization(self) -> Quantization:
        return Quantization.NONE

    @property
    def stored(self) -> str:
        return ""

    @property
    def dtype(self) -> str:
        return self.candidate.dtype

    @property
    def lane(self) -> str:
        return "task"

    @property
    def lane_reason(self) -> str:
        return f"a model for {self.pipeline.task.replace('-', ' ')}: it answers requests in turn, and does not chat"

    @property
    def notes(self) -> tuple[str, ...]:
        return (f"{self.candidate.dtype}: {self.candidate.dtype_reason}.",)

    @property
    def thinking(self) -> Thinking:
        return Thinking()

    @property
    def reads_pictures(self) -> bool:
        return False

    @property
    def held_bytes(self) -> int:
        return self.pipeline.weight_bytes

    @property
    def waiting(self) -> int:
        return max(0, len(self._queue) - 1)

    @property
    def cache_use(self) -> tuple[int, int]:
        return 0, 0

    def default_options(self, effort: Effort | None = None) -> GenerationOptions:
        return GenerationOptions(reasoning_effort=effort)

    def count_tokens(self, text: str) -> int:
        return len(self.pipeline.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def loads_again(self, hardware: Hardware) -> Load:
        return partial(TaskModel.load, self.candidate, hardware, self.settings)

    def stop_lanes(self) -> None:
        with self._turns:
            self._is_closing = True
            self._turns.notify_all()

    def release(self) -> None:
        self.pipeline.close()


def load_later(spec: ModelSpec, hardware: Hardware, settings: Settings, free_bytes: int, report: Report) -> Load:
    """Every check that can refuse it, and then what loads it. Raises every kind of LoadError, and InvalidRequest."""
    candidate = examine_task(spec, hardware, settings, free_bytes, report)
    return partial(TaskModel.load, candidate, hardware, settings)


def answered(admission: Admission, visitors: VisitorBook, given: TaskInput, stop: threading.Event,
             visitor: str) -> Generator[Waiting | TaskResult, None, None]:
    """Wait for the model, also for one that is loaded again, and let it answer; counted for its visitor.

    Raises NoTaskModel if the loaded model has no task, NoModelLoaded, EngineBusy, and what `TaskModel.run` raises.
    """
    def begin(model: ServingModel) -> Generator[Waiting | TaskResult, None, None]:
        if not isinstance(model, TaskModel):
            raise NoTaskModel(model.spec.name)
        return model.run(given, stop)

    with visitors.reply(visitor, given.num_chars) as count, closing(admitted(admission, begin, stop, None, None)) as events:
        for event in events:
            if isinstance(event, Finished):     # stopped while it waited
                return
            if isinstance(event, TaskResult):
                count(*event.tokens)
            yield event
