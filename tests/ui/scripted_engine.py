"""An engine without a model: it generates what a test scripts. Replaces the page's engine."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from engine import (
    EngineError,
    Finished,
    GenerationOptions,
    LoadEvent,
    Message,
    ModelSpec,
    Quantization,
    Settings,
    Status,
    StreamEvent,
    TextDelta,
    Usage,
    Waiting,
)
from engine.embedding import Embedders
from engine.errors import InvalidRequest
from engine.messages import Effort, PromptView, Thinking
from engine.pictures import Picture
from engine.shapes import InvalidShape, Shape
from engine.storage.database import Database
from engine.visitors import Accounts, ApiKeys, VisitorBook

READY = Status(
    state="ready", model="Scripted", quantization=Quantization.NONE, dtype="bfloat16", device="cpu", hardware="Test machine",
    window_tokens=4096, lane="batched", lane_reason="batched lane: made for tests", used_bytes=6 * 2**30, total_bytes=16 * 2**30,
    running=0, waiting=0, stage=None, error="", notes=())
THINKER = replace(READY, thinking=Thinking(("none", "medium"), "medium", has_thoughts=True))
LEVELS = replace(READY, thinking=Thinking(("low", "medium", "high"), "medium", has_thoughts=True))
LOADING = replace(READY, state="loading", model="", window_tokens=0, lane="", lane_reason="",
                  stage=LoadEvent("weights", 40, 100, "Loading weights"))
FAILED = replace(READY, state="empty", model="", window_tokens=0, lane="", lane_reason="",
                 error="owner/model could not be loaded: there is no model with this name in the hub. Check the spelling.")
USAGE = Usage(prompt_tokens=600, cached_tokens=512, new_tokens=182, ttft_s=0.11, tokens_per_second=64.0)


Step = StreamEvent | Exception | float | threading.Event | Callable[[GenerationOptions], StreamEvent]


class ScriptedEngine:
    """Plays `script` for every reply: stream events are yielded, errors raised, numbers are pauses in seconds, a `threading.Event` is
    waited for, a function makes an event of the reply's options.

    `later`: scripts of the second and following replies, one each, until they are used up. `refusal` is raised for a message before
    anything is stored, as for one that does not fit. One page can serve many tests: `reset` starts anew.
    """

    def __init__(self, script: Sequence[Step] = (), status: Status = READY, options: GenerationOptions | None = None,
                 data_dir: Path | None = None) -> None:
        self.settings = Settings(data_dir=data_dir or Path(tempfile.mkdtemp()))
        self.database = Database(self.settings.data_dir)
        self.embedders = Embedders(self.settings, self.database)
        self.accounts, self.api_keys = Accounts(self.database), ApiKeys(self.database)
        self.visitors = VisitorBook(self.database, self.settings.visitor_limits)
        self._changed = threading.Condition()
        self._num_playing = 0
        self._begin(script, status, options)

    def _begin(self, script: Sequence[Step], status: Status, options: GenerationOptions | None) -> None:
        self.script: list[Step] = list(script)
        self.current = status
        self.options = options or GenerationOptions()
        self.options_of: dict[Effort | None, GenerationOptions] = {}       # where they depend on the effort of thought
        self.refusal: EngineError | None = None
        self.reads_pictures = True
        self.asked: list[tuple[tuple[Message, ...], GenerationOptions]] = []
        self.num_closed = 0
        self.later: list[Sequence[Step]] = []
        self._reset = threading.Event()

    def reset(self) -> None:
        """End the replies in progress and start anew. Chats stay: a visitor never sees those of another."""
        self._reset.set()
        with self._changed:
            self._changed.wait_for(lambda: self._num_playing == 0, timeout=5)
        self._begin((), READY, None)

    @property
    def spec(self) -> ModelSpec | None:
        return ModelSpec("builtin") if self.current.state == "ready" else None

    @property
    def served(self) -> tuple[tuple[ModelSpec, tuple[str, ...]], ...]:
        return ((self.spec, self.status().adapters),) if self.spec else ()

    @property
    def latest_load(self) -> None:
        return None

    def default_spec(self) -> ModelSpec:
        return ModelSpec("builtin")

    def default_options(self, effort: Effort | None = None) -> GenerationOptions:
        return self.options_of.get(effort, self.options)

    def status(self) -> Status:
        return replace(self.current, reads_pictures=self.reads_pictures)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def count_picture_tokens(self, picture: Picture) -> int:
        if not self.reads_pictures:
            raise InvalidRequest("picture", picture.name, "left out: this model cannot read pictures, because it reads text only")
        return 16

    def check_shape(self, shape: Shape) -> None:
        """A pattern with an open group is refused, as by a model."""
        if shape == Shape("regex", "a("):
            raise InvalidShape("unclosed group")

    def check_prompt(self, messages: Sequence[Message], options: GenerationOptions) -> None:
        if self.refusal:
            raise self.refusal

    def view_prompt(self, messages: Sequence[Message], options: GenerationOptions) -> PromptView:
        text = "".join(f"<{message.role}>{message.content}" for message in messages)
        return PromptView(text, tuple(text.split(" ")), 4096, 1000, 0, 0, ())

    def chat(self, messages: Sequence[Message], options: GenerationOptions | None = None, *,
             spec: ModelSpec | None = None, stop: threading.Event | None = None, visitor: str = "") -> Iterator[StreamEvent]:
        if self.asked and self.later:
            self.script = list(self.later.pop(0))
        options, reset = options or self.options, self._reset
        self.asked.append((tuple(messages), options))
        self._count(1)
        try:
            with self.visitors.reply(visitor, len(messages[-1].content)):
                for event in self._play(options):
                    if reset.is_set() or (stop is not None and stop.is_set()):
                        yield Finished("stopped", USAGE)
                        return
                    yield event
        finally:
            self.num_closed += 1
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._changed:
            self._num_playing += change
            self._changed.notify_all()

    def _play(self, options: GenerationOptions) -> Iterator[StreamEvent]:
        for step in list(self.script):
            if isinstance(step, Exception):
                raise step
            if isinstance(step, (int, float, threading.Event)):
                yield from self._wait(step)
            elif callable(step):
                yield step(options)
            else:
                yield step

    @staticmethod
    def _wait(step: float | threading.Event) -> Iterator[StreamEvent]:
        """As the engine does: something at least every 100 ms."""
        event, seconds = (step, 60.0) if isinstance(step, threading.Event) else (threading.Event(), step)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not event.wait(0.02):
            yield Waiting(0, 0.0)


def answer(text: str, **usage: object) -> list[Step]:
    """A script that generates `text` word by word."""
    pieces = [TextDelta(word + " ") for word in text.split(" ")]
    return [*pieces, Finished("stop", replace(USAGE, **usage))]


__all__ = ["EngineError", "FAILED", "LEVELS", "LOADING", "READY", "ScriptedEngine", "THINKER", "USAGE", "answer"]
