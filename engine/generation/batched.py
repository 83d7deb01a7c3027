"""The batched lane: many replies at once with transformers' continuous batching and a paged cache that shares prefixes.

One background thread computes each step for all running replies; each reply has its own queue. Not supported: repetition penalty,
min-p and seeds, which the single lane supports, and models without paged attention.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig

from ..compat import continuous_batching as internals
from ..compat.continuous_batching import CountingScheduler, GenerationOutput, OutputRouter
from ..compat.transformers import attention_kernel, is_stateful, supports_sdpa
from ..errors import GenerationFailed, OutOfMemory
from ..messages import GenerationOptions, Prefill, Waiting
from .attention import use_per_reply
from .base import HEARTBEAT_S, Ended, Lane, LaneEvent, NewTokens
from .sampling import BatchedSampling, sampling_arguments

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PAGE_TOKENS = 16            # prefixes are shared by whole pages: small ones keep the time to first token flat as a chat grows
CPU_STEP_TOKENS = 512       # prompt tokens per step: bounds the time of a step, and so of a cancellation
GPU_STEP_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class _Step:
    """Result of one step for one request."""

    ids: tuple[int, ...]
    is_finished: bool
    error: str | None


class _QueueRouter(OutputRouter):       # type: ignore[misc]
    """Passes each result to its request's queue, on the generation thread, without polling."""

    def __init__(self) -> None:
        super().__init__()
        self.queues: dict[str, queue.SimpleQueue[_Step]] = {}
        self._sent: dict[str, int] = {}

    def deliver(self, output: GenerationOutput) -> None:
        waiting = self.queues.get(output.request_id)
        if waiting is None:
            return
        sent = self._sent.get(output.request_id, 0)
        self._sent[output.request_id] = len(output.generated_tokens)
        waiting.put(_Step(tuple(output.generated_tokens[sent:]), output.is_finished(), output.error))

    def forget(self, request_id: str) -> None:
        self.queues.pop(request_id, None)
        self._sent.pop(request_id, None)

    def deliver_batch(self, outputs: list[GenerationOutput]) -> None:
        for output in outputs:
            self.deliver(output)


class BatchedGenerator:
    """Owns one continuous-batching manager. Must be created in a daemon thread, so that the generation thread is one too."""

    lane: Lane = "batched"

    def __init__(self, model: PreTrainedModel, window_tokens: int, total_tokens: int, end_ids: frozenset[int],
                 concurrent: int) -> None:
        self.window_tokens = window_tokens
        self._end_ids = end_ids
        self._device = model.device.type
        self._closing = threading.Event()
        self._router = _QueueRouter()
        self._manager = _create_manager(model, total_tokens, concurrent, self._router)
        self._manager.start()

    @property
    def failure(self) -> BaseException | None:
        """Why the generation thread ended; None while it runs."""
        error = internals.fatal_error(self._manager)
        if error is None and not self._closing.is_set() and not self._manager.is_running():
            return RuntimeError("the generation thread has ended")
        return error

    @property
    def running(self) -> int:
        return len(self._router.queues)

    def stream(self, prompt_ids: list[int], options: GenerationOptions) -> Generator[LaneEvent, None, None]:
        request_id = uuid4().hex
        results: queue.SimpleQueue[_Step] = queue.SimpleQueue()
        self._router.queues[request_id] = results
        started, is_finished = time.monotonic(), False
        end_ids = frozenset() if options.ignores_end else self._end_ids
        try:
            if self._closing.is_set():
                yield Ended("stopped")
                return
            accepted = self._manager.add_request(
                prompt_ids, request_id=request_id, max_new_tokens=options.max_new_tokens, streaming=True,
                eos_token_id=sorted(end_ids) or None, **sampling_arguments(options))
            if accepted is None:
                raise self._broken()
            while not is_finished:
                step = self._next(results)
                if self._closing.is_set() and (step is None or step.error is not None):
                    yield Ended("stopped")
                    return
                if step is None:
                    yield self._progress(request_id, len(prompt_ids), time.monotonic() - started)
                    continue
                if step.error is not None:
                    raise _typed(step.error, self._device)
                is_finished = step.is_finished
                if step.ids:
                    yield NewTokens(step.ids, self._cached_tokens(request_id))
                if is_finished:
                    yield Ended("stop" if step.ids and step.ids[-1] in end_ids else "length")
        finally:
            self._router.forget(request_id)
            scheduler = self._scheduler()
            if not is_finished:
                self._manager.cancel_request(request_id)
            elif scheduler is not None:
                scheduler.cached_tokens.pop(request_id, None)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Exclusive use of the model until the block ends; running replies are paused and then continue."""
        if self.failure is not None or self._closing.is_set():
            yield
            return
        with self._manager.pause():
            yield

    def close(self) -> None:
        self._closing.set()
        if self._manager.is_running():
            self._manager.stop(block=True, timeout=30, hard_stop=True)
        internals.free_cache(self._manager)
        if not self._manager.is_running():
            internals.free_model(self._manager)     # an unfinished stream, and so this lane, may still be referenced

    def begin_closing(self) -> None:
        """From now on, a reply that fails ends as stopped."""
        self._closing.set()

    def _next(self, results: queue.SimpleQueue[_Step]) -> _Step | None:
        """Return the next result, or None after HEARTBEAT_S. Raises GenerationFailed if the generation thread has ended."""
        try:
            return results.get(timeout=HEARTBEAT_S)
        except queue.Empty:
            if not self._closing.is_set() and not self._manager.is_running():
                raise self._broken() from None
            return None

    def _broken(self) -> GenerationFailed:
        return _typed(str(self.failure or "the generation thread has ended"), self._device)

    def _scheduler(self) -> CountingScheduler | None:
        return internals.scheduler_of(self._manager)

    def _cached_tokens(self, request_id: str) -> int:
        scheduler = self._scheduler()
        return 0 if scheduler is None else scheduler.cached_tokens.get(request_id, 0)

    def _progress(self, request_id: str, total: int, seconds: float) -> LaneEvent:
        scheduler = self._scheduler()
        done = None if scheduler is None else scheduler.prefilled_tokens(request_id)
        if done is not None:
            return Prefill(min(done, total), total)
        return Waiting(0 if scheduler is None else scheduler.queue_position(request_id), seconds)


def _create_manager(model: PreTrainedModel, total_tokens: int, concurrent: int, router: OutputRouter) -> Any:
    neutral = GenerationConfig(do_sample=False, max_new_tokens=None, eos_token_id=-1,    # each request has its own
                               pad_token_id=model.config.get_text_config().pad_token_id or 0)
    step_tokens = GPU_STEP_TOKENS if model.device.type == "cuda" else CPU_STEP_TOKENS
    # One more page for every reply: a page that is not full belongs to one reply only.
    pages = math.ceil(total_tokens / PAGE_TOKENS) + concurrent
    config = ContinuousBatchingConfig(
        page_size=PAGE_TOKENS, num_blocks=pages, max_batch_tokens=step_tokens, scheduler_type=internals.COUNTING,
        auto_switch_to_flash=False, use_cuda_graph=False, safety_margin=0.0)
    if attention_kernel(model) not in ("flash_attention_2", "flash_attention_3"):
        model.set_attn_implementation("sdpa")
    manager = model.init_continuous_batching(generation_config=neutral, continuous_batching_config=config)
    internals.replace_parts(manager, BatchedSampling(), router)
    use_per_reply(model)        # after the manager, which accepts only transformers' own kernels
    return manager


def _typed(detail: str, device: str) -> GenerationFailed:
    is_memory = "out of memory" in detail.lower() or "can't allocate memory" in detail.lower()
    return OutOfMemory(device) if is_memory else GenerationFailed(f"{detail[:300]}.")


def batched_obstacle(model: PreTrainedModel) -> str | None:
    """Why this model cannot run in the batched lane, as a clause; None if it can."""
    config = model.config.get_text_config()
    if is_stateful(model):
        return f"{config.model_type} keeps a recurrent state instead of a KV cache"
    if not supports_sdpa(model) and "flash" not in attention_kernel(model):
        return f"{config.model_type} has no paged attention"
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if not kinds <= {"full_attention", "sliding_attention"}:
        return f"{config.model_type} has layers without a KV cache"
    if len(set(getattr(model, "hf_device_map", {}).values())) > 1:
        return "its layers are on several devices, but the paged cache is on one"
    if torch.device(model.device).type == "mps":
        return "paged attention is slow on Apple GPUs"
    return None
