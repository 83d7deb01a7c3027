"""A model with the head of a task in the place of one that chats: the same load, the same memory, other answers.

Requests are computed one after the other. Visitors take turns, however many requests each has sent.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
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
MOST_OF_ONE = 4         # of one visitor, at once
TRIED = "Hello"         # the first text, so that the first visitor does not wait for what is computed once


@dataclass(frozen=True, slots=True, eq=False)
class _Ticket:
    visitor: str


class Turns:
    """Whose request is computed next: the first ones of all visitors come before the second ones. Safe to use from many threads."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.is_closing = False
        self._running: _Ticket | None = None
        self._waiting: list[_Ticket] = []
        self._served: dict[str, int] = {}       # of visitors who have had a turn since the queue was empty: when it was
        self._count = itertools.count(1)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    def enter(self, visitor: str) -> _Ticket:
        """Raises EngineBusy. `visitor`: "" for a program, which may have as many requests as there is room for."""
        with self.changed:
            own = sum(each.visitor == visitor for each in (*self._waiting, self._running) if each is not None)
            if visitor and own >= MOST_OF_ONE:
                raise EngineBusy(f"{own} of your requests are waiting", "Wait until one is answered.")
            if len(self._waiting) >= MOST_WAITING:
                raise EngineBusy(f"{len(self._waiting)} requests are waiting", "Try again in a minute.")
            self._waiting.append(ticket := _Ticket(visitor))
            self._begin_next()
            return ticket

    def ahead_of(self, ticket: _Ticket) -> int:
        """How many requests are answered first, if nobody comes; 0 when it is this one's turn. Returns after at most HEARTBEAT_S."""
        with self.changed:
            self.changed.wait_for(lambda: self._running is ticket or self.is_closing, timeout=HEARTBEAT_S)
            return 0 if self._running is ticket else 1 + self._in_turn().index(ticket)

    def leave(self, ticket: _Ticket) -> None:
        with self.changed:
            if self._running is ticket:
                self._running = None
            else:
                self._waiting.remove(ticket)
            self._begin_next()

    def close(self) -> None:
        with self.changed:
            self.is_closing = True
            self.changed.notify_all()

    def _begin_next(self) -> None:
        if self._running is None and self._waiting:
            self._running = self._in_turn()[0]
            self._waiting.remove(self._running)
            self._served[self._running.visitor] = next(self._count)
        elif self._running is None:
            self._served.clear()
        self.changed.notify_all()

    def _in_turn(self) -> list[_Ticket]:
        """Those that wait, in the order of their turns."""
        before: Counter[str] = Counter()        # how many of the same visitor came earlier
        places: list[tuple[int, int]] = []
        for each in self._waiting:
            places.append((before[each.visitor], self._served.get(each.visitor, 0)))
            before[each.visitor] += 1
        return [self._waiting[at] for at in sorted(range(len(places)), key=places.__getitem__)]


class TaskModel:
    """Users hold a lease (admission.py)."""

    adapters = None
    calls_tools = False

    def __init__(self, pipeline: Pipeline, candidate: TaskCandidate, settings: Settings) -> None:
        self.spec, self.settings, self.candidate = candidate.spec, settings, candidate
        self.pipeline, self.window_tokens = pipeline, pipeline.window_tokens
        self._turns = Turns()

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

    def run(self, given: TaskInput, stop: threading.Event, visitor: str = "") -> Generator[Waiting | TaskResult, None, None]:
        """Waiting at least every HEARTBEAT_S, then the result, unless `stop` is set.

        Raises InvalidRequest, GenerationFailed and EngineBusy.
        """
        ticket, started = self._turns.enter(visitor), time.monotonic()
        try:
            while (ahead := self._turns.ahead_of(ticket)) > 0:
                if stop.is_set() or self._turns.is_closing:
                    return
                yield Waiting(ahead, time.monotonic() - started)
            yield from self._compute(given, stop, started)
        finally:
            self._turns.leave(ticket)

    def _compute(self, given: TaskInput, stop: threading.Event, started: float) -> Generator[Waiting | TaskResult, None, None]:
        """In a thread of its own, which has ended when this has: the next request must not begin before."""
        left = threading.Event()
        outcome: list[TaskResult | Exception] = []

        def work() -> None:
            try:
                outcome.append(self.pipeline.run(given, lambda: stop.is_set() or left.is_set() or self._turns.is_closing))
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

    def serve_adapters(self, spec: ModelSpec, settings: Settings, adapters: Sequence[Adapter], free_bytes: int) -> bool:
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
        return self._turns.num_waiting

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
        self._turns.close()

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
        return model.run(given, stop, visitor)

    with visitors.reply(visitor, given.num_chars) as count, closing(admitted(admission, begin, stop, None, None)) as events:
        for event in events:
            if isinstance(event, Finished):     # stopped while it waited
                return
            if isinstance(event, TaskResult):
                count(*event.tokens)
            yield event
