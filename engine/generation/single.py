"""The single lane: one reply at a time with generate(), for options and models that the batched lane does not support.

Keeps the key-value cache of the last reply and reuses the longest common prefix, so that the next turn, an edited message or a
regenerated reply computes only what is new. Works in short slices of prompt and reply; after each, the batched lane may use the model
for as long as the slice took.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from transformers import DynamicCache, GenerationConfig, StoppingCriteria, StoppingCriteriaList

from ..compat.continuous_batching import BaseStreamer
from ..compat.transformers import is_stateful
from ..errors import GenerationFailed, OutOfMemory
from ..messages import GenerationOptions, Prefill, Waiting
from .base import HEARTBEAT_S, Ended, Lane, LaneEvent, NewTokens, Pausable

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SLICE_TOKENS = 32           # new tokens of one slice
PROMPT_SLICE_TOKENS = 256   # prompt tokens of one slice
CLOSE_S = 10.0              # longest wait for a slice to end when closing
Item = NewTokens | Prefill | Ended | BaseException


@dataclass(slots=True)
class _Job:
    """One reply in progress, shared by the thread that generates it and the stream that reads it."""

    prompt_ids: list[int]
    options: GenerationOptions
    emit: queue.SimpleQueue[Item] = field(default_factory=queue.SimpleQueue)
    stop: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    cached_tokens: int = 0
    random_state: Any = None


class _Streamer(BaseStreamer):      # type: ignore[misc]
    """Receives from generate() the prompt first, then each token."""

    def __init__(self, job: _Job) -> None:
        self._job, self._saw_prompt = job, False
        self.ids: list[int] = []

    def put(self, value: torch.Tensor) -> None:
        if not self._saw_prompt:
            self._saw_prompt = True
            return
        ids = tuple(value.flatten().tolist())
        self.ids += ids
        self._job.emit.put(NewTokens(ids, self._job.cached_tokens))

    def end(self) -> None:
        return


class _StopWhen(StoppingCriteria):      # type: ignore[misc]
    def __init__(self, event: threading.Event) -> None:
        self._event = event

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._event.is_set(), device=input_ids.device, dtype=torch.bool)


class SingleGenerator:
    """Has exclusive use of the model during a slice; the other lane, `other`, is paused meanwhile."""

    lane: Lane = "single"

    def __init__(self, model: PreTrainedModel, window_tokens: int, end_ids: frozenset[int], pad_id: int,
                 other: Pausable | None = None) -> None:
        self.window_tokens = window_tokens
        self.other = other
        self._model: PreTrainedModel | None = model
        self._device = model.device
        self._end_ids, self._pad_id = end_ids, pad_id
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self._count = threading.Lock()
        self._running = 0
        self._cache: Any = None
        self._cached_ids: list[int] = []
        self._can_reuse = not is_stateful(model)

    @property
    def running(self) -> int:
        return self._running

    def stream(self, prompt_ids: list[int], options: GenerationOptions) -> Generator[LaneEvent, None, None]:
        job = _Job(prompt_ids, options)
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

    def _work(self, job: _Job) -> None:
        try:
            while not self._turn.acquire(timeout=HEARTBEAT_S):
                if self._is_over(job):
                    job.emit.put(Ended("stopped"))
                    return
            try:
                job.begun.set()
                job.emit.put(Ended(self._reply(job)))
            finally:
                self._turn.release()
        except BaseException as error:      # any error must reach the reader of the stream
            self._cache, self._cached_ids = None, []
            job.emit.put(Ended("stopped") if self._closing.is_set() else error)

    def _is_over(self, job: _Job) -> bool:
        return job.stop.is_set() or self._closing.is_set()

    def _reply(self, job: _Job) -> Literal["stop", "length", "stopped"]:
        ids, left = list(job.prompt_ids), job.options.max_new_tokens
        cache = self._read_prompt(job)
        while left > 0:
            if self._is_over(job):
                return "stopped"
            with self._alone(job):
                # A recurrent state cannot be kept between two calls, so such a reply is generated in one.
                new = self._slice(ids, min(left, SLICE_TOKENS) if self._can_reuse else left, job, cache)
            ids, left = ids + new, left - len(new)
            if new and new[-1] in self._end_ids and not job.options.ignores_end:
                return "stop"
        return "length"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Exclusive use of the model until the block ends, for work other than replies; the replies of both lanes are paused."""
        with self._turn, self.other.paused() if self.other is not None else nullcontext():
            yield

    @contextmanager
    def _alone(self, job: _Job) -> Iterator[None]:
        """Exclusive use of the model until the block ends; afterwards the batched lane may use it for as long."""
        if self.other is None:
            yield
            return
        with self.other.paused():
            started = time.monotonic()
            yield
        if self.other.running:
            job.stop.wait(time.monotonic() - started)

    def _read_prompt(self, job: _Job) -> Any:
        """A cache of the whole prompt except its last slice; None if this model's cache cannot be kept."""
        if not self._can_reuse:
            return None
        cache, done = self._take_cache(job.prompt_ids)
        job.cached_tokens = done
        assert self._model is not None
        while len(job.prompt_ids) - done > PROMPT_SLICE_TOKENS and not self._is_over(job):
            part = job.prompt_ids[done: done + PROMPT_SLICE_TOKENS]
            with self._alone(job), torch.no_grad():
                self._model.base_model(input_ids=torch.tensor([part], device=self._device), past_key_values=cache, use_cache=True)
            done += len(part)
            job.emit.put(Prefill(done, len(job.prompt_ids)))
        return cache

    def _slice(self, ids: list[int], count: int, job: _Job, cache: Any) -> list[int]:
        assert self._model is not None
        seed = job.options.seed
        streamer = _Streamer(job)
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else [], enabled=seed is not None):
            if seed is not None:
                _seed(seed, job.random_state, self._device)
            output = self._model.generate(
                torch.tensor([ids], device=self._device),
                attention_mask=torch.ones((1, len(ids)), dtype=torch.long, device=self._device),
                generation_config=self._config(job.options, count), past_key_values=cache, streamer=streamer,
                stopping_criteria=StoppingCriteriaList([_StopWhen(job.stop), _StopWhen(self._closing)]))
            job.random_state = _random_state(self._device) if seed is not None else None
        if cache is not None:
            # The last token was generated but not processed, so the cache ends before it.
            self._cache, self._cached_ids = cache, output[0].tolist()[: cache.get_seq_length()]
        return streamer.ids

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

    def _config(self, options: GenerationOptions, count: int) -> GenerationConfig:
        sampling: dict[str, Any] = {} if options.is_greedy else {
            "temperature": float(options.temperature), "top_k": options.top_k, "top_p": float(options.top_p),
            "min_p": float(options.min_p)}
        return GenerationConfig(
            do_sample=not options.is_greedy, max_new_tokens=count, repetition_penalty=float(options.repetition_penalty),
            eos_token_id=None if options.ignores_end else sorted(self._end_ids) or None, pad_token_id=self._pad_id,
            use_cache=True, **sampling)

    def _typed(self, error: BaseException) -> GenerationFailed:
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error):
            return OutOfMemory(str(self._device))
        return GenerationFailed(f"{type(error).__name__}: {str(error)[:300]}.")


def _seed(seed: int, state: Any, device: torch.device) -> None:
    """Seed the generator, or continue from its state after the last slice of this reply."""
    if state is None:
        torch.manual_seed(seed)
    elif device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


def _random_state(device: torch.device) -> Any:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
