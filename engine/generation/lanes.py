"""Chooses how the loaded model generates: in the batched lane if its forward pass is proven equal, else one reply at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, get_args

import torch

from ..compat.transformers import is_stateful, original_context
from ..errors import OutOfMemory
from .adapters import Adapters
from .attention import Sight
from .base import TokenGenerator
from .batched import BatchedGenerator
from .blocks import BLOCK_TOKENS
from .decoder import Decoder
from .lent import LentGenerator
from .library_forward import LibraryForward
from .paged_cache import PagedCache
from .picture_rows import PictureFeatures
from .pictures import TEXT_ONLY, PictureReader
from .proof import Proof, prove, prove_pictures
from .reading import NotUnderstood
from .sequence import Sequence
from .shape_masks import Shapes
from .single import SingleGenerator
from .threads import fastest_now

if TYPE_CHECKING:
    from transformers import PreTrainedModel


SIGHTS: tuple[Sight, ...] = get_args(Sight)
RootOf = Callable[[Sequence], Hashable]
Passes = Decoder | LibraryForward


@dataclass(frozen=True, slots=True)
class LaneOptions:
    """`total_tokens`: of the cache, for all replies together. `reader`: of pictures, or why the model has none, as a clause.

    `lent_decode`, `lent_shapes`: on ZeroGPU, where every reply has a process of its own: ids to text, and the shapes of answers.
    """

    window_tokens: int
    total_tokens: int
    concurrent: int
    end_ids: frozenset[int]
    pad_id: int
    reader: PictureReader | str = TEXT_ONLY
    lent_decode: Callable[[list[int]], str] | None = None
    lent_shapes: Shapes | None = None


@dataclass(frozen=True, slots=True)
class OpenLane:
    """reason: a sentence that says which lane it is, and why. proof: of the batched lane. adapters: None if replies cannot have any.

    reader: of pictures, or why there is none.
    """

    generator: TokenGenerator
    reason: str
    proof: Proof | None = None
    adapters: Adapters | None = None
    reader: PictureReader | str = "only the batched lane reads pictures"


def open_lane(model: PreTrainedModel, options: LaneOptions) -> OpenLane:
    """Raises NotANumber if the model computes no numbers, and OutOfMemory."""
    can_slice = not is_stateful(model) and not original_context(model)     # LongRoPE rotates a long prompt differently from its beginning
    if options.lent_decode is not None and options.lent_shapes is not None:
        lent = LentGenerator(model, options.window_tokens, options.end_ids, options.pad_id, can_slice, options.lent_decode,
                             options.lent_shapes)
        return OpenLane(lent, "single lane: ZeroGPU lends a GPU for each reply, in a process of its own")
    obstacle = _obstacle(model)
    if obstacle is None:
        try:
            return _batched(model, options)
        except _Unsuitable as error:
            obstacle = str(error)
    adapters = _attached(model)
    single = SingleGenerator(model, options.window_tokens, options.end_ids, options.pad_id, can_slice, adapters)
    return OpenLane(single, f"single lane, one reply at a time: {obstacle}", adapters=adapters)


def _attached(model: PreTrainedModel) -> Adapters:
    """The adapters of a model whose own code is called; one call shows which of its layers can be changed."""
    adapters = Adapters(model)
    adapters.attach(model)
    with torch.no_grad():
        model(torch.arange(4, device=model.device)[None])
    return adapters


class _Unsuitable(Exception):
    """The model cannot run in the batched lane; the message is a clause."""


def _batched(model: PreTrainedModel, options: LaneOptions) -> OpenLane:
    # One more block for every reply: a block that is not full belongs to one reply only.
    num_blocks = math.ceil(options.total_tokens / BLOCK_TOKENS) + options.concurrent
    vocabulary = model.get_input_embeddings().num_embeddings
    reasons: list[str] = []
    adapters = Adapters(model)
    cache: PagedCache | None = None     # one for all attempts: it may be as large as what is left of the memory
    for kind, build in (("own", _own), ("library", _library), ("one by one", partial(_library, one_by_one=True))):
        try:
            cache = cache or PagedCache(model, num_blocks)
            forward = build(model, cache, options, adapters)
            root_of: RootOf = forward.root_of
            with fastest_now(torch.get_num_threads()):
                proof = prove(forward, model, cache, vocabulary, _limits(model, cache), root_of, options.window_tokens)
        except (NotUnderstood, NotImplementedError, TypeError, ValueError, AttributeError, LookupError, RuntimeError) as error:
            if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
                raise OutOfMemory(str(model.device)) from error
            reasons.append(str(error)[:200])
            continue
        if proof.is_equal:
            reader = _proven(options.reader, forward, model, cache, root_of)
            generator = BatchedGenerator(forward, cache, options.window_tokens, options.end_ids, vocabulary, model.device.type, root_of,
                                         guesses=kind == "own", anew_after=original_context(model), adapters=adapters,
                                         max_states=options.concurrent, pictures=_features(options) or (),
                                         whole_pictures=forward.sight != "causal")
            return OpenLane(generator, _sentence(kind, proof, reasons), proof, adapters, reader)
        reasons.append(f"its logits differ by {proof.difference:.2g} of their range")
    raise _Unsuitable(f"{_model_type(model)} cannot use the paged cache ({'; '.join(dict.fromkeys(reasons))})")


def _own(model: PreTrainedModel, cache: PagedCache, options: LaneOptions, adapters: Adapters) -> Passes:
    return Decoder(model, cache, options.window_tokens, _features(options), adapters)


def _library(model: PreTrainedModel, cache: PagedCache, options: LaneOptions, adapters: Adapters, *, one_by_one: bool = False) -> Passes:
    if original_context(model):
        raise NotUnderstood("a text that becomes long is rotated anew (LongRoPE)")
    adapters.attach(model)
    return LibraryForward(model, cache, _features(options), adapters, one_by_one=one_by_one)


def _features(options: LaneOptions) -> PictureFeatures | None:
    return options.reader.features if isinstance(options.reader, PictureReader) else None


def _proven(reader: PictureReader | str, forward: Passes, model: PreTrainedModel, cache: PagedCache,
            root_of: RootOf) -> PictureReader | str:
    """The reader, if a prompt with a picture is computed as transformers computes it; else why not."""
    if isinstance(reader, str):
        return reader
    difference = math.inf
    try:
        for forward.sight in SIGHTS:
            proof = prove_pictures(forward, model, cache, reader, root_of, whole=forward.sight != "causal")
            if proof.is_equal:
                return reader
            difference = min(difference, proof.difference)
    except Exception as error:      # a processor or vision part that works in a way of its own: text is not affected
        if isinstance(error, torch.OutOfMemoryError):
            raise OutOfMemory(str(model.device)) from error
        return f"its vision part cannot be used here ({type(error).__name__}: {str(error)[:200]})"
    return f"its pictures need another kind of attention, which is not supported yet (logits differ by {difference:.2g})"


def _sentence(kind: str, proof: Proof, reasons: list[str]) -> str:
    by = {"own": "MindCubes' own forward pass", "library": "transformers' forward pass over our cache",
          "one by one": "transformers' forward pass over our cache, one reply after the other"}[kind]
    why = f" (not our own: {'; '.join(dict.fromkeys(reasons))})" if reasons else ""
    how = "take turns" if kind == "one by one" else "are generated together"
    return f"batched lane: replies {how} and reuse the beginnings they have in common; {by}{why}, {proof.sentence}"


def _limits(model: PreTrainedModel, cache: PagedCache) -> list[int]:
    """Lengths from which on a text is computed differently."""
    windows = {limit for pool in cache.pools if pool is not None for limit in (pool.window, pool.chunk) if limit}
    original = original_context(model)
    return sorted({*windows, *([original] if original else [])})


def _obstacle(model: PreTrainedModel) -> str | None:
    """Why this model cannot run in the batched lane, as a clause; None if it may."""
    if torch.device(model.device).type == "mps":
        return "paged attention is slow on Apple GPUs"
    if len(set(getattr(model, "hf_device_map", {}).values())) > 1:
        return "its layers are on several devices, but the paged cache is on one"
    return None


def _model_type(model: PreTrainedModel) -> str:
    return str(model.config.get_text_config().model_type)
