"""The single lane: one reply at a time with generate(), for models that the batched lane does not support.

Keeps the key-value cache of the last reply and reuses the longest common prefix, so that the next turn, an edited message or a
regenerated reply computes only what is new. Tokens are drawn as in the batched lane.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from transformers import DynamicCache, GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from ..errors import GenerationFailed, NotANumber, OutOfMemory
from ..messages import GenerationOptions, Prefill, Waiting
from .adapters import Adapters, require_adapter
from .base import HEARTBEAT_S, Ended, Lane, LaneEvent, NewTokens, require_known
from .sampling import draw
from .sequence import Sequence
from .shape_masks import ShapedAnswer
from .thought_limit import ThoughtLimit

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PROMPT_SLICE_TOKENS = 256   # prompt tokens of one slice
CLOSE_S = 10.0              # longest wait for a token when closing
Item = NewTokens | Prefill | Ended | BaseException


@dataclass(slots=True)
class _Job:
    """One reply in progress, shared by the thread that generates it and the stream that reads it."""

    sequence: Sequence
    emit: queue.SimpleQueue[Item] = field(default_factory=queue.SimpleQueue)
    stop: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)


class _Choose(LogitsProcessor):     # type: ignore[misc]
    """Draws each token, tells the reader, and leaves generate() no other choice. `number`: of the reply's adapter."""

    def __init__(self, job: _Job, adapters: Adapters | None, number: int) -> None:
        self._job, self._adapters, self._number = job, adapters, number

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        sequence = self._job.sequence
        if self._adapters is not None:
            self._adapters.require(sequence.options.adapter, self._number)
        drawn = draw(scores.float(), [sequence])[0]
        if isinstance(drawn, NotANumber):
            raise drawn
        sequence.accept(drawn.token)
        self._job.emit.put(NewTokens((drawn.token,), sequence.num_cached, () if drawn.score is None else (drawn.score,)))
        return torch.full_like(scores, float("-inf")).index_fill_(1, torch.tensor([drawn.token], device=scores.device), 0.0)


class _StopWhen(StoppingCriteria):      # type: ignore[misc]
    def __init__(self, event: threading.Event) -> None:
        self._event = event

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._event.is_set(), device=input_ids.device, dtype=torch.bool)


class SingleGenerator:
    """`can_slice`: whether the cache can be kept between two calls, and a prompt read in slices."""

    lane: Lane = "single"

    def __init__(self, model: PreTrainedModel, window_tokens: int, end_ids: frozenset[int], pad_id: int, can_slice: bool,
                 adapters: Adapters | None = None) -> None:
        self.window_tokens = window_tokens
        self._model: PreTrainedModel | None = model
        self._device = model.device
        self._end_ids, self._pad_id, self._can_slice = end_ids, pad_id, can_slice
        self._adapters = adapters
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self._count = threading.Lock()
        self._running = 0
        self._cache: Any = None
        self._cached_ids: list[int] = []
        self._cached_with = 0       # the number of the adapter

    @property
    def running(self) -> int:
        return self._running

    @property
    def waiting(self) -> int:
        return max(0, self._running - 1)

    @property
    def cache_use(self) -> tuple[int, int]:
        return 0, 0

    def stream(self, prompt_ids: list[int], options: GenerationOptions, visitor: str = "",
               thoughts: ThoughtLimit | None = None, answer: ShapedAnswer | None = None) -> Generator[LaneEvent, None, None]:
        assert self._model is not None
        require_known(prompt_ids, self._model.get_input_embeddings().num_embeddings)
        require_adapter(options.adapter, self._adapters)
        ends = self._end_ids | (self._adapters.ends(options.adapter) if self._adapters else frozenset())
        end_ids = frozenset() if options.ignores_end else ends
        job = _Job(Sequence(list(prompt_ids), len(prompt_ids), options, end_ids, thoughts=thoughts, answer=answer))
        started = time.monotonic()
        with self._count:
            ahead, self._running = self._running, self._running + 1
        try:
            threading.Thread(target=self._work, args=(job,), daemon=True).start()
            while True:
                try:
                    item = job.emit.get(timeout=HEARTBEAT_S)
                except queue.Empty:
                    yield Prefill(0, len(prompt_ids)) if job.begun.is_set() else Waiting(
                        max(1, min(ahead, self._running - 1)), time.monotonic() - started)
                    continue
                if isinstance(item, BaseException):
                    raise self._typed(item) from item
                yield item
                if isinstance(item, Ended):
                    return
        finally:
            job.stop.set()
            with self._count:
                self._running -= 1

    def begin_closing(self) -> None:
        """From now on, a reply that fails ends as stopped."""
        self._closing.set()

    def close(self) -> None:
        self._closing.set()
        if self._turn.acquire(timeout=CLOSE_S):
            self._turn.release()
        self._cache, self._cached_ids = None, []
        self._model = None      # an unfinished stream, and so this lane, may still be referenced

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Exclusive use of the model until the block ends, for work other than replies."""
        with self._turn:
            yield

    def _work(self, job: _Job) -> None:
        try:
            while not self._turn.acquire(timeout=HEARTBEAT_S):
                if self._is_over(job):
                    job.emit.put(Ended("stopped"))
                    return
            try:
                job.begun.set()
                self._use_adapter(job.sequence.options.adapter)
                job.emit.put(job.sequence.ended(self._reply(job)))
            finally:
                if self._adapters is not None:
                    self._adapters.use_for_all(None)
                self._turn.release()
        except BaseException as error:      # any error must reach the reader of the stream
            self._cache, self._cached_ids = None, []
            job.emit.put(Ended("stopped") if self._closing.is_set() else error)

    def _use_adapter(self, name: str | None) -> None:
        """The adapter of the next reply; what another one computed is not reused."""
        if self._adapters is None:
            return
        if (number := self._adapters.use_for_all(name)) != self._cached_with:
            self._cache, self._cached_ids, self._cached_with = None, [], number

    def _is_over(self, job: _Job) -> bool:
        return job.stop.is_set() or self._closing.is_set()

    def _reply(self, job: _Job) -> Literal["stop", "length", "stopped"]:
        cache = self._read_prompt(job) if self._can_slice else None
        if self._is_over(job):
            return "stopped"
        self._generate(job, cache)
        sequence = job.sequence
        if sequence.ids[-1] in sequence.end_ids and sequence.num_new:
            return "stop"
        return "length" if sequence.num_new >= sequence.options.max_new_tokens else "stopped"

    def _read_prompt(self, job: _Job) -> Any:
        """A cache of the whole prompt except its last slice."""
        ids, (cache, done) = job.sequence.ids, self._take_cache(job.sequence.ids)
        job.sequence.num_cached = done
        assert self._model is not None
        while len(ids) - done > PROMPT_SLICE_TOKENS and not self._is_over(job):
            part = ids[done: done + PROMPT_SLICE_TOKENS]
            with torch.no_grad():
                self._model.base_model(input_ids=torch.tensor([part], device=self._device), past_key_values=cache, use_cache=True)
            done += len(part)
            job.emit.put(Prefill(done, len(ids)))
        return cache

    def _generate(self, job: _Job, cache: Any) -> None:
        assert self._model is not None
        ids, options = job.sequence.ids, job.sequence.options
        output = self._model.generate(
            torch.tensor([ids], device=self._device),
            attention_mask=torch.ones((1, len(ids)), dtype=torch.long, device=self._device),
            generation_config=GenerationConfig(do_sample=False, max_new_tokens=options.max_new_tokens, use_cache=True,
                                               eos_token_id=sorted(job.sequence.end_ids) or None, pad_token_id=self._pad_id),
            past_key_values=cache, logits_processor=LogitsProcessorList([_Choose(job, self._adapters, self._cached_with)]),
            stopping_criteria=StoppingCriteriaList([_StopWhen(job.stop), _StopWhen(self._closing)]))
        if cache is not None:
            # The last token was generated but not processed, so the cache ends before it.
            self._cache, self._cached_ids = cache, output[0].tolist()[: cache.get_seq_length()]

    def _take_cache(self, ids: list[int]) -> tuple[Any, int]:
        """The kept cache, cut to its common prefix with `ids`, or a new one; and the number of tokens in it."""
        cache, known = self._cache, self._cached_ids
        self._cache, self._cached_ids = None, []
        common = next((i for i, (a, b) in enumerate(zip(known, ids, strict=False)) if a != b), min(len(known), len(ids)))
        common = min(common, len(ids) - 1)      # at least one token must be processed to get the next
        assert self._model is not None
        if cache is None or common <= 0:
            return DynamicCache(config=self._model.config), 0
        try:
            if common < len(known):
                cache.crop(common - len(known))
        except RuntimeError:        # a sliding window cannot be moved back
            return DynamicCache(config=self._model.config), 0
        return cache, common

    def _typed(self, error: BaseException) -> GenerationFailed:
        if isinstance(error, GenerationFailed):
            return error
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error):
            return OutOfMemory(str(self._device))
        return GenerationFailed(f"{type(error).__name__}: {str(error)[:300]}.")
