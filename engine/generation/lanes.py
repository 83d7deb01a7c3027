"""Chooses how the loaded model generates: in the batched lane if its forward pass is proven equal, else one reply at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ..compat.transformers import is_stateful
from ..errors import OutOfMemory
from .base import TokenGenerator
from .batched import BatchedGenerator, Forward
from .blocks import BLOCK_TOKENS
from .library_forward import LibraryForward
from .paged_cache import PagedCache
from .proof import Proof, prove
from .single import SingleGenerator

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class LaneOptions:
    """`total_tokens`: of the cache, for all replies together."""

    window_tokens: int
    total_tokens: int
    concurrent: int
    end_ids: frozenset[int]
    pad_id: int


@dataclass(frozen=True, slots=True)
class OpenLane:
    """`reason`: a sentence that says which lane it is, and why. `proof`: of the batched lane."""

    generator: TokenGenerator
    reason: str
    proof: Proof | None = None


def open_lane(model: PreTrainedModel, options: LaneOptions) -> OpenLane:
    """Raises NotANumber if the model computes no numbers, and OutOfMemory."""
    obstacle = _obstacle(model)
    if obstacle is None:
        try:
            return _batched(model, options)
        except _Unsuitable as error:
            obstacle = str(error)
    can_slice = not is_stateful(model) and not _original_context(model)     # LongRoPE rotates a long prompt differently from its beginning
    single = SingleGenerator(model, options.window_tokens, options.end_ids, options.pad_id, can_slice)
    return OpenLane(single, f"single lane, one reply at a time: {obstacle}")


class _Unsuitable(Exception):
    """The model cannot run in the batched lane; the message is a clause."""


def _batched(model: PreTrainedModel, options: LaneOptions) -> OpenLane:
    # One more block for every reply: a block that is not full belongs to one reply only.
    num_blocks = math.ceil(options.total_tokens / BLOCK_TOKENS) + options.concurrent
    vocabulary = model.get_input_embeddings().num_embeddings
    try:
        cache = PagedCache(model, num_blocks)
        forward: Forward = LibraryForward(model, cache)
        proof = prove(forward, model, cache, vocabulary, _limits(model, cache), _root)
    except (NotImplementedError, TypeError, ValueError, AttributeError, KeyError, IndexError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise OutOfMemory(str(model.device)) from error
        raise _Unsuitable(f"{_model_type(model)} cannot use the paged cache ({str(error)[:200]})") from error
    if not proof.is_equal:
        raise _Unsuitable(f"with the paged cache {_model_type(model)} computes something else "
                          f"(off by {proof.difference:.2g} of the logits' range, {proof.tolerance:g} is allowed)")
    generator = BatchedGenerator(forward, cache, options.window_tokens, options.end_ids, vocabulary, model.device.type, _root)
    return OpenLane(generator, "batched lane: replies are generated together and reuse the beginnings they have in common; "
                               f"{proof.sentence}", proof)


def _root(sequence: Any) -> str:
    return ""


def _limits(model: PreTrainedModel, cache: PagedCache) -> list[int]:
    """Lengths from which on a text is computed differently."""
    windows = {limit for pool in cache.pools if pool is not None for limit in (pool.window, pool.chunk) if limit}
    original = _original_context(model)
    return sorted({*windows, *([original] if original else [])})


def _original_context(model: PreTrainedModel) -> int | None:
    """Tokens from which on LongRoPE rotates differently; None for models without it."""
    config: Any = model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") != "longrope":
        return None
    return int(rope.get("original_max_position_embeddings") or getattr(config, "original_max_position_embeddings", 0)
               or config.max_position_embeddings)


def _obstacle(model: PreTrainedModel) -> str | None:
    """Why this model cannot run in the batched lane, as a clause; None if it may."""
    if torch.device(model.device).type == "mps":
        return "paged attention is slow on Apple GPUs"
    if len(set(getattr(model, "hf_device_map", {}).values())) > 1:
        return "its layers are on several devices, but the paged cache is on one"
    if _original_context(model):
        return f"{_model_type(model)} rotates long texts differently (LongRoPE)"
    return None


def _model_type(model: PreTrainedModel) -> str:
    return str(model.config.get_text_config().model_type)
