"""Undocumented parts of transformers' continuous batching and generate() that the lanes use, each with the reason.

tests/engine/compat/test_transformers.py checks every use against the installed version.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.generation.continuous_batching.cache import PagedAttentionCache
from transformers.generation.continuous_batching.cb_logits_processors import ContinuousBatchingLogitsProcessorList
from transformers.generation.continuous_batching.continuous_api import OutputRouter
from transformers.generation.continuous_batching.requests import FutureRequestState, GenerationOutput, RequestState
from transformers.generation.continuous_batching.scheduler import SCHEDULER_MAPPING, FIFOScheduler
from transformers.generation.streamers import BaseStreamer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

# PagedAttentionCache: the only way to tell a step of the batched lane from one of generate() inside an attention function.
# ContinuousBatchingLogitsProcessorList: BatchedSampling replaces it in the manager; FutureRequestState is its argument.
# OutputRouter, GenerationOutput: results of one request without polling a queue that all requests share.
# BaseStreamer: token ids from generate(); the documented streamers deliver text.
# sdpa_attention_forward, sdpa_mask: the library's SDPA attention, for the steps of generate().
__all__ = ["COUNTING", "BaseStreamer", "ContinuousBatchingLogitsProcessorList", "CountingScheduler", "FutureRequestState",
           "GenerationOutput",
           "OutputRouter", "PagedAttentionCache", "PagedLayer", "fatal_error", "free_cache", "free_model", "replace_parts",
           "scheduler_of", "sdpa_attention_forward", "sdpa_mask"]

COUNTING = "counting"       # the scheduler_type of CountingScheduler


class CountingScheduler(FIFOScheduler):       # type: ignore[misc]
    """Records how many prompt tokens of each request were found in the cache, which the library does not report."""

    cached_tokens: dict[str, int]

    def reset(self) -> None:
        super().reset()
        self.cached_tokens = {}

    def clear_cancelled_requests(self) -> list[RequestState]:
        states: list[RequestState] = super().clear_cancelled_requests()
        for state in states:
            self.cached_tokens.pop(state.request_id, None)
        if states or not self.active_requests:
            self.block_new_requests = False     # set when the cache was full; only a *finished* request would clear it
        return states

    def prefilled_tokens(self, request_id: str) -> int | None:
        """How many tokens of its prompt are processed; None before and after prompt processing. The manager reports no progress."""
        state = self.active_requests.get(request_id)
        return int(state.position_offset) if state is not None and state.generated_len() == 0 else None

    def queue_position(self, request_id: str) -> int:
        """How many requests are ahead of it in the queue; 0 when it is not queued."""
        order = list(self.waiting_requests_order)
        return order.index(request_id) if request_id in order else 0

    def _infer_request_tokens(self, state: RequestState, request_ids_to_remove_from_waiting: set[str]) -> list[int]:
        tokens: list[int] = super()._infer_request_tokens(state, request_ids_to_remove_from_waiting)
        if state.generated_len() == 0 and len(tokens) + state.position_offset == len(state.initial_tokens):
            self.cached_tokens[state.request_id] = state.position_offset
        return tokens


SCHEDULER_MAPPING[COUNTING] = CountingScheduler     # the only way to select a custom scheduler in a ContinuousBatchingConfig


def replace_parts(manager: Any, processors: ContinuousBatchingLogitsProcessorList, router: OutputRouter) -> None:
    """Give the manager other logits processors and another router before it starts. It creates its own and accepts none as arguments."""
    manager.logit_processor = processors
    manager.output_router = router


def fatal_error(manager: Any) -> BaseException | None:
    """The error that ended the generation thread. The public `is_running` only tells that it has ended."""
    error: BaseException | None = manager.background_thread_status.fatal_error
    return error


def scheduler_of(manager: Any) -> CountingScheduler | None:
    """The manager's scheduler; None before the first step and after `free_cache`. The manager has no public access to it."""
    processor = manager.batch_processor
    return None if processor is None else processor.scheduler


def free_cache(manager: Any) -> None:
    """Drop the paged cache, which stopping the manager keeps."""
    manager.batch_processor = None


def free_model(manager: Any) -> None:
    """Drop the model, which a stopped manager keeps for as long as it is referenced."""
    manager.model = None


class PagedLayer:
    """One layer's access to the paged cache in one step: the batch's indices are in undocumented keyword arguments of attention."""

    __slots__ = ("_allocator", "_cache", "_kwargs", "_layer")

    def __init__(self, cache: PagedAttentionCache, module: torch.nn.Module, kwargs: dict[str, Any]) -> None:
        self._cache, self._layer, self._kwargs = cache, module.layer_idx, kwargs
        self._allocator = cache.layer_to_allocator[module.layer_idx]

    @property
    def kind(self) -> int:
        """The number of its kind of layer (full or sliding attention): layers of a kind share their indices."""
        return int(self._allocator.index)

    @property
    def window(self) -> int | None:
        """Tokens of its sliding window; None for full attention."""
        window: int | None = getattr(self._allocator, "sliding_window", None)
        return window

    @property
    def query_bounds(self) -> torch.Tensor:
        """(requests + 1,): where each request's queries begin. The same object in all layers of a step."""
        bounds: torch.Tensor = self._kwargs["cu_seq_lens_q"]
        return bounds

    @property
    def key_bounds(self) -> torch.Tensor:
        """(requests + 1,): where each request's keys begin."""
        bounds: torch.Tensor = self._kwargs["cu_seq_lens_k"][self._allocator.layer_type]
        return bounds

    @property
    def read_index(self) -> torch.Tensor:
        """(keys,): places in the cache to read; empty when no request has anything cached."""
        index: torch.Tensor = self._kwargs["read_index"][self._allocator.index]
        return index

    def update(self, key: torch.Tensor, value: torch.Tensor, read_index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the step's keys and values; returns those at `read_index`. Shapes: (1, key-value heads, tokens, dim)."""
        indices = list(self._kwargs["read_index"])
        indices[self._allocator.index] = read_index
        updated: tuple[torch.Tensor, torch.Tensor] = self._cache.update(key, value, self._layer, {**self._kwargs, "read_index": indices})
        return updated
