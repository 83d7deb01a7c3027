"""From the engine's streams, which block, to the event loop: a thread reads each, and all of them wake the loop together."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace

from starlette.types import Receive

from engine import Finished, Prefill, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, Waiting
from engine.messages import TokenScore

from .errors import ApiError

FIRST_S = 10.0          # a stream begins after this time even if nothing is generated yet, because proxies give up on silence
GATHER_S = 0.001        # how long news wait for others
MOST_REPLIES = 256      # at once: each has a thread. A public page has a lower limit, the engine's own

Shown = TextDelta | ReasoningDelta | ToolCallDelta | Finished
Begin = Callable[[int, threading.Event], Generator[StreamEvent, None, None]]    # number of the choice, what stops it
STOPPED = ("The reply was stopped, because the model is being unloaded. Send the request again.")


class Places:
    """How many replies are in progress. Used by the event loop only."""

    def __init__(self, most: int = MOST_REPLIES) -> None:
        self._most, self.taken = most, 0

    def take(self, count: int) -> None:
        """Raises ApiError if there are not so many."""
        if self.taken + count > self._most:
            raise ApiError(429, "engine_busy", f"{self.taken} replies are in progress. Try again in a minute.",
                           headers={"Retry-After": "60"})
        self.taken += count

    def give_back(self, count: int) -> None:
        self.taken -= count


class Alarm:
    """Wakes the event loop for all replies with news at once: tokens of one step arrive within a millisecond, each in its own thread.

    A reply that is alone does not wait for others.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, places: Places) -> None:
        self.loop, self._places = loop, places
        self._news: deque[asyncio.Event] = deque()
        self._is_set = False

    def ring(self, event: asyncio.Event) -> None:
        """Set `event` in the loop, soon. For any thread."""
        self._news.append(event)
        if not self._is_set:
            self._is_set = True
            with suppress(RuntimeError):        # the loop is closed: the server has ended
                if self._places.taken > 1:
                    self.loop.call_soon_threadsafe(self.loop.call_later, GATHER_S, self._wake)
                else:
                    self.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._is_set = False        # before reading: a thread with news from now on rings again
        while self._news:
            self._news.popleft().set()


class Replies:
    """The replies to one request: several choices, each a stream of the engine.

    The first one begins alone; the others begin with its first token, so that they find its prompt in the cache instead of computing it
    again, and are generated together with it. When the client goes away all of them are stopped.
    """

    def __init__(self, begin: Begin, count: int, places: Places, alarm: Alarm, finished: Callable[[Finished], None]) -> None:
        """`finished`: called in the loop with the end of each reply. Raises ApiError if there are no places."""
        places.take(count)
        self.count = count
        self._begin, self._places, self._finished = begin, places, finished
        self._ready: deque[tuple[int, Shown | Exception]] = deque()
        self._alarm, self._woken = alarm, asyncio.Event()
        self._num_open, self._num_begun = count, 1
        self._stop = threading.Event()
        self._watch: asyncio.Task[None] | None = None
        self._num_reading = count       # choices that are generated, or will be
        self._has_places = True
        self._start(0)

    def stop_when_gone(self, receive: Receive) -> None:
        """Stop as soon as the client has closed its connection. The request's body must have been read."""
        self._watch = self._alarm.loop.create_task(self._wait_until_gone(receive))

    @property
    def is_stopped(self) -> bool:
        return self._stop.is_set()

    async def batches(self) -> AsyncIterator[list[tuple[int, Shown]]]:
        """All that is ready, again and again, until every reply has finished. Raises the error of a reply."""
        while self._num_open:
            yield await self.take()

    async def take(self, timeout_s: float | None = None) -> list[tuple[int, Shown]]:
        """What is ready, at least one event; nothing after `timeout_s`. Raises the error of a reply, after what came before it."""
        while not self._ready:
            self._woken.clear()
            if timeout_s is None:
                await self._woken.wait()
                continue
            try:
                async with asyncio.timeout(timeout_s):
                    await self._woken.wait()
            except TimeoutError:
                return []
        found: list[tuple[int, Shown]] = []
        while self._ready:
            number, event = self._ready[0]
            if isinstance(event, Exception):
                if found:
                    break
                raise event
            self._ready.popleft()
            if isinstance(event, Finished):
                self._num_open -= 1
                self._finished(event)
                if event.reason == "stopped" and not self.is_stopped:
                    raise ApiError(503, "stopped", STOPPED)
            found.append((number, event))
        return found

    def close(self) -> None:
        """Stop what is still generated."""
        self._stop.set()
        self._give_back()
        if self._watch is not None:
            self._watch.cancel()

    def _give_back(self) -> None:
        if self._has_places:
            self._has_places = False
            self._places.give_back(self.count)

    def _ended(self) -> None:
        """A choice has been generated. When all have, others may begin, also if the client does not read what is there."""
        self._num_reading -= 1
        if not self._num_reading:
            self._give_back()

    async def _wait_until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.close()

    # --- in the threads ---

    def _start(self, number: int) -> None:
        threading.Thread(target=self._read, args=(number,), name="api reply", daemon=True).start()

    def _read(self, number: int) -> None:
        try:
            with closing(self._begin(number, self._stop)) as events:
                for event in events:
                    if isinstance(event, (Waiting, Prefill)):
                        continue
                    if number == 0 and self._num_begun < self.count:
                        self._num_begun = self.count
                        for other in range(1, self.count):
                            self._start(other)
                    self._put(number, event)
        except Exception as error:      # whatever it is, the request must hear of it
            self._put(number, error)
        finally:
            with suppress(RuntimeError):        # the server has ended
                self._alarm.loop.call_soon_threadsafe(self._ended)

    def _put(self, number: int, event: Shown | Exception) -> None:
        self._ready.append((number, event))
        self._alarm.ring(self._woken)


@dataclass(slots=True)
class Collected:
    """One reply so far."""

    deltas: list[TextDelta | ReasoningDelta | ToolCallDelta] = field(default_factory=list)
    finished: Finished | None = None

    def add(self, event: Shown) -> None:
        if isinstance(event, Finished):
            self.finished = event
        else:
            self.deltas.append(event)

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas if isinstance(delta, TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(delta.text for delta in self.deltas if isinstance(delta, ReasoningDelta))

    @property
    def tokens(self) -> list[TokenScore]:
        return [token for delta in self.deltas if isinstance(delta, TextDelta) for token in delta.tokens]

    @property
    def calls(self) -> list[ToolCallDelta]:
        return [delta for delta in self.deltas if isinstance(delta, ToolCallDelta)]

    @property
    def reason(self) -> str:
        """“length”, “tool_calls” or “stop”, as in the OpenAI API."""
        return reason_of(self.finished)


def reason_of(finished: Finished | None) -> str:
    return finished.reason if finished and finished.reason in ("length", "tool_calls") else "stop"


def joined(batch: list[tuple[int, Shown]]) -> list[tuple[int, Shown]]:
    """The batch with neighbouring pieces of one reply and one kind as one."""
    found: list[tuple[int, Shown]] = []
    latest: dict[int, int] = {}         # of each choice, where in `found` its latest event is
    for number, event in batch:
        at = latest.get(number)
        both = None if at is None else _both(found[at][1], event)
        if at is not None and both is not None:
            found[at] = (number, both)
        else:
            latest[number] = len(found)
            found.append((number, event))
    return found


def _both(before: Shown, after: Shown) -> Shown | None:
    """Two pieces as one, if they are of one kind."""
    if isinstance(before, ToolCallDelta) and isinstance(after, ToolCallDelta):
        is_more = before.index == after.index and not after.name
        return replace(before, arguments=before.arguments + after.arguments) if is_more else None
    if isinstance(before, (TextDelta, ReasoningDelta)) and isinstance(after, (TextDelta, ReasoningDelta)) and type(before) is type(after):
        return type(after)(before.text + after.text, (*before.tokens, *after.tokens))
    return None
