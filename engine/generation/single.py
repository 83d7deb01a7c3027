"""The single lane: one reply at a time through generate(), for what the batched lane cannot do.

Keeps the key-value cache of the last reply and reuses the longest common prefix, so that the next turn, an edit or a
regenerate computes only what is new. Works in short slices: between two of them the batched lane goes on.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache, GenerationConfig, StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from ..errors import GenerationFailed, OutOfMemory
from ..messages import GenerationOptions, Prefill, Waiting
from .base import HEARTBEAT_S, Ended, Lane, LaneEvent, NewTokens, Pausable

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SLICE_TOKENS = 32       # how many tokens are made before the batched lane gets the model back
Item = NewTokens | Ended | BaseException


class _Streamer(BaseStreamer):      # type: ignore[misc]
    """generate() hands over the prompt first, then each token."""

    def __init__(self, emit: queue.SimpleQueue[Item], cached_tokens: int) -> None:
        self._emit, self._cached_tokens, self._saw_prompt = emit, cached_tokens, False
        self.ids: list[int] = []

    def put(self, value: torch.Tensor) -> None:
        if not self._saw_prompt:
            self._saw_prompt = True
            return
        ids = tuple(value.flatten().tolist())
        self.ids += ids
        self._emit.put(NewTokens(ids, self._cached_tokens))

    def end(self) -> None:
        return


class _StopWhen(StoppingCriteria):      # type: ignore[misc]
    def __init__(self, event: threading.Event) -> None:
        self._event = event

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self._event.is_set(), device=input_ids.device, dtype=torch.bool)


class SingleGenerator:
    """Has the model for itself while it makes a slice; `other` stands aside then."""

    lane: Lane = "single"

    def __init__(self, model: PreTrainedModel, window_tokens: int, end_ids: frozenset[int], pad_id: int,
                 other: Pausable | None = None) -> None:
        self.window_tokens = window_tokens
        self._model, self._end_ids, self._pad_id, self._other = model, end_ids, pad_id, other
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self._waiting = 0
        self._cache: Any = None
        self._cached_ids: list[int] = []
        self._can_reuse = not getattr(model, "_is_stateful", False)

    @property
    def running(self) -> int:
        return self._waiting

    def stream(self, prompt_ids: list[int], options: GenerationOptions) -> Iterator[LaneEvent]:
        emit: queue.SimpleQueue[Item] = queue.SimpleQueue()
        stop, begun = threading.Event(), threading.Event()
        started, ahead = time.monotonic(), self._waiting
        self._waiting += 1
        worker = threading.Thread(target=self._work, args=(prompt_ids, options, emit, stop, begun), daemon=True)
        try:
            worker.start()
            while True:
                try:
                    item = emit.get(timeout=HEARTBEAT_S)
                except queue.Empty:
                    is_reading = begun.is_set()
                    yield Prefill(0, len(prompt_ids)) if is_reading else Waiting(max(ahead, 1), time.monotonic() - started)
                    continue
                if isinstance(item, BaseException):
                    raise self._typed(item) from item
                yield item
                if isinstance(item, Ended):
                    return
        finally:
            stop.set()
            self._waiting -= 1

    def close(self) -> None:
        self._closing.set()
        with self._turn:
            self._cache, self._cached_ids = None, []

    def _work(self, prompt_ids: list[int], options: GenerationOptions, emit: queue.SimpleQueue[Item],
              stop: threading.Event, begun: threading.Event) -> None:
        try:
            while not self._turn.acquire(timeout=HEARTBEAT_S):
                if stop.is_set() or self._closing.is_set():
                    emit.put(Ended("stopped"))
                    return
            try:
                begun.set()
                emit.put(Ended(self._reply(prompt_ids, options, emit, stop)))
            finally:
                self._turn.release()
        except BaseException as error:      # whatever it is, the person who waits must hear of it
            self._cache, self._cached_ids = None, []
            emit.put(error)

    def _reply(self, prompt_ids: list[int], options: GenerationOptions, emit: queue.SimpleQueue[Item],
               stop: threading.Event) -> Any:
        ids, left, random_state = list(prompt_ids), options.max_new_tokens, None
        while left > 0:
            if stop.is_set() or self._closing.is_set():
                return "stopped"
            with self._other.paused() if self._other else nullcontext():
                new, random_state = self._slice(ids, len(prompt_ids), min(left, SLICE_TOKENS), options, emit, stop, random_state)
            ids, left = ids + new, left - len(new)
            if new and new[-1] in self._end_ids:
                return "stop"
        return "length"

    def _slice(self, ids: list[int], prompt_tokens: int, count: int, options: GenerationOptions,
               emit: queue.SimpleQueue[Item], stop: threading.Event, random_state: Any) -> tuple[list[int], Any]:
        cache, cached = self._take_cache(ids)
        streamer = _Streamer(emit, min(cached, prompt_tokens))
        device = self._model.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else [], enabled=options.seed is not None):
            if options.seed is not None:
                _seed(options.seed, random_state, device)
            output = self._model.generate(
                torch.tensor([ids], device=device), attention_mask=torch.ones((1, len(ids)), dtype=torch.long, device=device),
                generation_config=self._config(options, count), past_key_values=cache, streamer=streamer,
                stopping_criteria=StoppingCriteriaList([_StopWhen(stop), _StopWhen(self._closing)]))
            state = _random_state(device) if options.seed is not None else None
        if cache is not None:
            # The last token was drawn but not read, so the cache ends one before it.
            self._cache, self._cached_ids = cache, output[0].tolist()[: cache.get_seq_length()]
        return streamer.ids, state

    def _take_cache(self, ids: list[int]) -> tuple[Any, int]:
        """The kept cache cut to its common prefix with `ids`, and how many tokens that is."""
        if not self._can_reuse:
            return None, 0
        cache, known = self._cache, self._cached_ids
        self._cache, self._cached_ids = None, []
        common = next((i for i, (a, b) in enumerate(zip(known, ids, strict=False)) if a != b), min(len(known), len(ids)))
        common = min(common, len(ids) - 1)      # at least one token has to be read to get the next
        if cache is None or common <= 0:
            return DynamicCache(config=self._model.config), 0
        try:
            if common < len(known):
                cache.crop(common - len(known))
        except RuntimeError:        # a sliding window that has slid cannot go back
            return DynamicCache(config=self._model.config), 0
        return cache, common

    def _config(self, options: GenerationOptions, count: int) -> GenerationConfig:
        sampling: dict[str, Any] = {} if options.is_greedy else {
            "temperature": float(options.temperature), "top_k": options.top_k, "top_p": float(options.top_p),
            "min_p": float(options.min_p) or None}
        return GenerationConfig(
            do_sample=not options.is_greedy, max_new_tokens=count, repetition_penalty=float(options.repetition_penalty),
            eos_token_id=sorted(self._end_ids) or None, pad_token_id=self._pad_id, use_cache=True, **sampling)

    def _typed(self, error: BaseException) -> GenerationFailed:
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error):
            return OutOfMemory(str(self._model.device))
        return GenerationFailed(f"{type(error).__name__}: {str(error)[:300]}.")


def _seed(seed: int, state: Any, device: torch.device) -> None:
    """Begin, or go on where the last slice of this reply stopped."""
    if state is None:
        torch.manual_seed(seed)
    elif device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


def _random_state(device: torch.device) -> Any:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
