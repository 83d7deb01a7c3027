"""The batched lane: one thread computes each step for all running replies; each reply has a queue of its own.

An error belongs to the reply that causes it: if a step fails, its replies are computed one by one, and only those that fail end.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Container, Generator, Hashable, Iterator
from contextlib import contextmanager

import torch

from ..errors import GenerationFailed, InvalidRequest, OutOfMemory
from ..messages import GenerationOptions, Prefill, Waiting
from .adapters import Adapters, require_adapter
from .base import HEARTBEAT_S, Ended, Lane, LaneEvent, NewTokens, require_known
from .paged_cache import PagedCache
from .sampling import Drawn, draw
from .scheduler import MAX_RUNNING, Scheduler
from .sequence import Part, Sequence
from .shape_masks import ShapedAnswer
from .snapshots import Snapshots, States
from .thought_limit import ThoughtLimit
from .threads import ThreadChoice

STEP_TOKENS = {"cpu": 512, "cuda": 2048, "mps": 512}        # prompt tokens of a step: bound its time, and so that of a cancellation
CLOSE_S = 30.0          # longest wait for a step to end when closing

Forward = Callable[[list[Part]], torch.Tensor]


class BatchedGenerator:
    """Owns the paged cache and the generation thread.

    forward: logits after each part that is the last of its reply's tokens, and after each token of its guess. guesses: whether it
    can read guesses. anew_after: see Scheduler. max_states: replies at once of a model that keeps a state for each.
    """

    lane: Lane = "batched"

    def __init__(self, forward: Forward, cache: PagedCache, window_tokens: int, end_ids: frozenset[int], vocabulary: int, device: str,
                 root_of: Callable[[Sequence], Hashable] = lambda sequence: "", *, guesses: bool = False,
                 anew_after: int | None = None, adapters: Adapters | None = None, max_states: int = 8,
                 pictures: Container[int] = (), whole_pictures: bool = False) -> None:
        self.window_tokens = window_tokens
        self._forward: Forward | None = forward
        self._adapters, self._pictures = adapters, pictures
        self._cache: PagedCache | None = cache
        self._blocks = cache.blocks
        self._end_ids, self._vocabulary, self._device = end_ids, vocabulary, device
        snapshots, max_running = (Snapshots(2 * max_states), max_states) if cache.has_states else (None, MAX_RUNNING)
        self._scheduler = Scheduler(cache.blocks, STEP_TOKENS[device], root_of, snapshots, guesses=guesses, anew_after=anew_after,
                                    max_running=max_running, whole_pictures=whole_pictures)
        self._threads = ThreadChoice(torch.get_num_threads()) if device == "cpu" else None
        self._arrivals = itertools.count()
        self._changed = threading.Condition()
        self._arrived: list[Sequence] = []
        self._streams: set[Sequence] = set()
        self._pauses, self._is_stepping, self._is_closing = 0, False, False
        self._thread = threading.Thread(target=self._run, name="generation", daemon=True)
        self._thread.start()

    @property
    def running(self) -> int:
        return len(self._streams)

    @property
    def waiting(self) -> int:
        return len(self._arrived) + len(self._scheduler.waiting)

    @property
    def cache_use(self) -> tuple[int, int]:
        """Blocks that replies hold now, and all blocks. Those that are only remembered for later prompts count as free."""
        return self._blocks.num_blocks - self._blocks.num_free, self._blocks.num_blocks

    def stream(self, prompt_ids: list[int], options: GenerationOptions, visitor: str = "",
               thoughts: ThoughtLimit | None = None, answer: ShapedAnswer | None = None) -> Generator[LaneEvent, None, None]:
        if not 0 < len(prompt_ids) < self.window_tokens:
            raise InvalidRequest("prompt", f"{len(prompt_ids):,} tokens", f"1 to {self.window_tokens - 1:,} tokens")
        require_known(prompt_ids, self._vocabulary, self._pictures)
        require_adapter(options.adapter, self._adapters)
        ends = self._end_ids | (self._adapters.ends(options.adapter) if self._adapters else frozenset())
        sequence = Sequence(list(prompt_ids), len(prompt_ids), options, frozenset() if options.ignores_end else ends, visitor,
                            next(self._arrivals), thoughts, answer)
        started = time.monotonic()
        with self._changed:
            if self._is_closing:
                sequence.results.put(Ended("stopped"))
            self._arrived.append(sequence)
            self._streams.add(sequence)
            self._changed.notify_all()
        try:
            while True:
                try:
                    event = sequence.results.get(timeout=HEARTBEAT_S)
                except queue.Empty:
                    yield self._progress(sequence, time.monotonic() - started)
                    continue
                if isinstance(event, Exception):
                    raise event
                yield event
                if isinstance(event, Ended):
                    return
        finally:
            sequence.is_cancelled = True
            self._streams.discard(sequence)

    def _progress(self, sequence: Sequence, seconds: float) -> LaneEvent:
        if sequence.table.blocks and sequence.num_new == 0:
            return Prefill(min(sequence.num_computed, sequence.num_prompt), sequence.num_prompt)
        ahead = self._scheduler.ahead_of(sequence)
        return Waiting(ahead, seconds, self._scheduler.expected_s(ahead))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Exclusive use of the model until the block ends; running replies are paused and then continue."""
        with self._changed:
            self._pauses += 1
            self._changed.wait_for(lambda: not self._is_stepping)
        try:
            yield
        finally:
            with self._changed:
                self._pauses -= 1
                self._changed.notify_all()

    def begin_closing(self) -> None:
        """No further step begins, and every reply ends as stopped."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def close(self) -> None:
        self.begin_closing()
        self._thread.join(CLOSE_S)
        self._forward = self._cache = None      # an unfinished stream, and so this lane, may still be referenced

    # --- the generation thread ---

    def _run(self) -> None:
        while self._take_work():
            try:
                self._step()
            except Exception as error:      # a mistake of ours: everybody who waits must hear of it, and the next reply works
                for sequence in (*self._scheduler.running, *self._scheduler.waiting):
                    self._end(sequence, self._typed(error))
            finally:
                with self._changed:
                    self._is_stepping = False
                    self._changed.notify_all()
        self._scheduler.close()
        for sequence in list(self._streams):
            sequence.states = None
            sequence.results.put(Ended("stopped"))

    def _take_work(self) -> bool:
        """Wait until there is something to compute. False when the lane closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing or (
                not self._pauses and (self._arrived or not self._scheduler.is_idle)))
            self._scheduler.waiting += self._arrived
            self._arrived.clear()
            self._is_stepping = not self._is_closing
            return not self._is_closing

    def _step(self) -> None:
        parts = self._scheduler.next_step()
        states = [part.sequence.states for part in parts]
        for computed, logits in self._results(parts, states):
            ready, row = [], 0
            for part in computed:
                self._scheduler.computed(part)
                if part.is_last:
                    ready.append((part, row))
                    row += 1 + len(part.guess)
            self._draw(ready, logits)

    def _with_threads(self, forward: Forward, parts: list[Part]) -> torch.Tensor:
        """Compute with the number of threads that steps of this size are fastest with."""
        if self._threads is None:
            return forward(parts)
        tokens = sum(part.end - part.first for part in parts)
        torch.set_num_threads(self._threads.begin(tokens))
        started = time.perf_counter()
        logits = forward(parts)
        self._threads.end(tokens, time.perf_counter() - started)
        return logits

    def _draw(self, ready: list[tuple[Part, int]], logits: torch.Tensor) -> None:
        """Draw the next token of each part, whose logits begin at its row; go on while the tokens are those that were guessed."""
        depth = 0
        while ready:
            drawn = self._drawn(logits[[row + depth for _, row in ready]], [part.sequence for part, _ in ready])
            confirmed = []
            for (part, row), each in zip(ready, drawn, strict=True):
                is_running = self._deliver(part.sequence, each)
                if not is_running:
                    continue
                if depth < len(part.guess) and isinstance(each, Drawn) and each.token == part.guess[depth]:
                    confirmed.append((part, row))
                elif part.guess:
                    self._scheduler.computed(part, depth)
                    part.sequence.drafts.confirmed(len(part.guess), depth, len(part.sequence.ids))
            ready, depth = confirmed, depth + 1

    def _drawn(self, logits: torch.Tensor, sequences: list[Sequence]) -> list[Drawn | GenerationFailed]:
        """The next token of each reply: all at once, or one by one if that fails."""
        try:
            return [*draw(logits, sequences)]
        except Exception as error:
            if len(sequences) == 1:
                return [self._typed(error)]
            return [each for row, sequence in zip(logits, sequences, strict=True) for each in self._drawn(row[None], [sequence])]

    def _results(self, parts: list[Part], states: list[States | None]) -> Iterator[tuple[list[Part], torch.Tensor]]:
        """Parts with their logits: all at once, or one by one if that fails, so that the reply at fault is the only one to end."""
        assert self._forward is not None
        try:
            started = time.perf_counter()
            logits = self._with_threads(self._forward, parts) if parts else None
            self._scheduler.took(parts, time.perf_counter() - started)
        except Exception as error:
            if len(parts) == 1:
                self._end(parts[0].sequence, self._typed(error))
                return
            for part, before in zip(parts, states, strict=True):
                part.sequence.states = before       # some may have moved on before the error
                yield from self._results([part], [before])
            return
        if logits is not None:
            yield parts, logits

    def _deliver(self, sequence: Sequence, drawn: Drawn | GenerationFailed) -> bool:
        """Pass the token on. False if it was the last."""
        if isinstance(drawn, GenerationFailed):
            self._end(sequence, drawn)
            return False
        end = sequence.accept(drawn.token)
        sequence.results.put(NewTokens((drawn.token,), sequence.num_cached, () if drawn.score is None else (drawn.score,)))
        if end is not None:
            self._end(sequence, end)
        return end is None

    def _end(self, sequence: Sequence, end: Ended | Exception) -> None:
        self._scheduler.remove(sequence)
        sequence.results.put(end)

    def _typed(self, error: Exception) -> GenerationFailed:
        if isinstance(error, GenerationFailed):
            return error
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error):
            return OutOfMemory(self._device)
        return GenerationFailed(f"{type(error).__name__}: {str(error)[:300]}.")
