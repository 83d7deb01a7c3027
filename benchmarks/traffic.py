"""Visitors who send random requests through the public engine, for soak.py: prompts, options, cancels, and what came back.

A visitor's choices depend on its number only. What it keeps is bounded, so that memory can be watched meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from engine import Engine, EngineError, Finished, GenerationOptions, Message, ModelSpec, ReasoningDelta, TextDelta
from engine.errors import EngineBusy, NoModelLoaded
from engine.generation.base import Ended, NewTokens, Score

GAP_S = 1.0             # longest time between two events of a stream
KEPT = 8                # replies of each visitor that can be repeated
SYLLABLES = "ka ro mi tel dun sha vor lin pe gus ar zo fen bri ta nol".split()
SAMPLINGS: tuple[dict[str, Any], ...] = (
    {"temperature": 0.0}, {"temperature": 0.0}, {"temperature": 0.8}, {"temperature": 1.0, "top_p": 0.9},
    {"temperature": 1.2, "min_p": 0.05}, {"temperature": 0.9, "top_k": 40, "top_p": 0.95})
PENALTIES: tuple[dict[str, Any], ...] = (
    {}, {}, {"repetition_penalty": 1.2}, {"presence_penalty": 0.6}, {"repetition_penalty": 1.1, "presence_penalty": 0.3},
    {"frequency_penalty": 0.4})


@dataclass(frozen=True, slots=True)
class Request:
    """`prompt`: messages, for engine.chat; or token ids, for stream_ids. `spec`: None where any model may reply."""

    spec: ModelSpec | None
    prompt: tuple[Message, ...] | tuple[int, ...]
    options: GenerationOptions

    @property
    def is_chat(self) -> bool:
        return isinstance(self.prompt[0], Message)

    @property
    def is_repeatable(self) -> bool:
        return self.spec is not None and (self.options.is_greedy or self.options.seed is not None)


@dataclass(frozen=True, slots=True)
class Reply:
    """`text` of a chat, or `ids` of the lane and their scores. `reason`: None if the reader closed the stream."""

    request: Request
    text: str
    ids: tuple[int, ...]
    reason: str | None
    num_tokens: int
    scores: tuple[Score, ...]


class Gate:
    """Counts the requests in progress; while it is closed, none begins."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_open, self._is_over, self._inside = True, False, 0

    def enter(self) -> bool:
        """Wait until a request may begin. False when all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_open or self._is_over)
            self._inside += not self._is_over
            return not self._is_over

    def leave(self) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    @contextmanager
    def closed(self, timeout_s: float) -> Iterator[int]:
        """Yields how many requests have not ended within the time."""
        with self._changed:
            self._is_open = False
            self._changed.wait_for(lambda: self._inside == 0, timeout_s)
        yield self._inside
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()


class Visitor(threading.Thread):
    """Sends one request after the other until the gate's end. `counts`: how its replies ended, and how many tokens they had.

    `late`: what the engine was doing whenever a stream had yielded nothing for GAP_S.
    """

    def __init__(self, number: int, engine: Engine, gate: Gate, shared: list[str]) -> None:
        super().__init__(name=f"visitor {number}", daemon=True)
        self._engine, self._gate, self._shared, self._random = engine, gate, shared, Random(number)
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self.late: list[str] = []
        self.longest_gap_s = 0.0
        self.kept: deque[Reply] = deque(maxlen=KEPT)

    def run(self) -> None:
        while self._gate.enter():
            try:
                self._once()
            except (EngineBusy, NoModelLoaded):     # a swap
                self.counts["refused"] += 1
            except (EngineError, RuntimeError, AssertionError, TypeError, LookupError) as error:
                self.errors.append(f"{type(error).__name__}: {str(error)[:200]}")
            finally:
                self._gate.leave()
            time.sleep(self._random.uniform(0, 0.3))

    def _once(self) -> None:
        request = self._request()
        most = self._random.choice((0, 1, 3, 10)) if self._random.random() < 0.2 else None
        reply = replay(self._engine, request, most, self._note)
        self.counts[f"ended: {reply.reason}" if reply.reason else "cancelled"] += 1
        self.counts["tokens"] += reply.num_tokens
        if request.is_repeatable and reply.reason in ("stop", "length"):
            self.kept.append(reply)

    def _note(self, seconds: float) -> None:
        self.longest_gap_s = max(self.longest_gap_s, seconds)
        if seconds > GAP_S:
            status = self._engine.status()
            self.late.append(f"{status.state} {status.stage.stage if status.stage else ''}".strip())

    def _request(self) -> Request:
        options, text = self._options(), self._text()
        if self._random.random() < 0.5:
            turns = [Message("user", self._random.choice(self._shared)), Message("assistant", "karomi"), Message("user", text)]
            return Request(self._engine.spec, tuple(turns[self._random.choice((0, 2)):]), options)
        with self._engine.using() as model:
            ids = model.encode(text)[: model.window_tokens - options.max_new_tokens]
            return Request(model.spec, tuple(ids), options)

    def _text(self) -> str:
        """1 to 90 words, half of them after a beginning that others share."""
        own = words(self._random, int(2 ** self._random.uniform(0, 6.5)))
        if self._random.random() < 0.5:
            return own
        beginning = self._random.choice(self._shared)
        return f"{beginning[: self._random.randrange(20, len(beginning))]} {own}"

    def _options(self) -> GenerationOptions:
        sampling = self._random.choice(SAMPLINGS)
        seed = self._random.randrange(2**31) if self._random.random() < 0.6 else None
        return GenerationOptions(max_new_tokens=int(2 ** self._random.uniform(0, 6.6)), seed=seed, **sampling,
                                 **self._random.choice(PENALTIES))


def words(random: Random, count: int) -> str:
    return " ".join("".join(random.choices(SYLLABLES, k=2)) for _ in range(count))


def replay(engine: Engine, request: Request, most: int | None = None, note: Any = lambda seconds: None) -> Reply:
    """Read the reply to its end, or close it after `most` events that are not its end. `note` gets the seconds before each event."""
    if request.is_chat:
        return _read(request, engine.chat(request.prompt, request.options, spec=request.spec), most, note)     # type: ignore[arg-type]
    with engine.using(request.spec) as model:
        return _read(request, model.stream_ids(list(request.prompt), request.options), most, note)      # type: ignore[arg-type]


def _read(request: Request, stream: Generator[Any, None, None], most: int | None, note: Any) -> Reply:
    text: list[str] = []
    ids: list[int] = []
    scores: list[Score] = []
    reason: Any = None
    count, num_tokens, last = 0, 0, time.monotonic()
    with closing(stream) as events:
        for event in events:
            note(time.monotonic() - last)
            match event:
                case TextDelta(text=piece) | ReasoningDelta(text=piece):
                    text.append(piece)
                case NewTokens(ids=new, scores=found):
                    ids += new
                    scores += found
                    num_tokens = len(ids)
                case Finished(reason=reason, usage=usage):
                    num_tokens = usage.new_tokens
                    break
                case Ended(reason=reason):
                    break
            if most is not None and count >= most:
                break
            count, last = count + 1, time.monotonic()
    return Reply(request, "".join(text), tuple(ids), reason, num_tokens, tuple(scores))
