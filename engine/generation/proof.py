"""Checks at load that a forward pass over the paged cache computes what transformers computes with the same weights.

Two texts of different lengths: the longer is read in two slices, the second beside the shorter one, then both go on token by token.
Where a window or the original context is short enough, the texts cross it.
"""

from __future__ import annotations

import inspect
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from ..errors import NotANumber
from ..messages import GenerationOptions
from ..models.linear import products
from ..pictures import picture_of
from .batched import Forward
from .paged_cache import PagedCache
from .pictures import PictureReader
from .sequence import Part, Sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from transformers import PreTrainedModel

SHORT, LONG, STEPS = 7, 24, 2
PICTURE = (48, 64)      # pixels, height and width
LONGEST = 640           # tokens: a window is crossed up to here; a longer text would take too much of the load
# Largest accepted difference as a share of the range of the logits. Data types with fewer bits round at other places in both passes.
TOLERANCE = {torch.float32: 1e-3, torch.float16: 0.02, torch.bfloat16: 0.05}


@dataclass(frozen=True, slots=True)
class Proof:
    """difference: the largest, as a share of the range of the logits. uncrossed: a window too long to be crossed, or None."""

    difference: float
    tolerance: float
    seconds: float
    uncrossed: int | None

    @property
    def is_equal(self) -> bool:
        return self.difference <= self.tolerance

    @property
    def sentence(self) -> str:
        rest = f"; the window of {self.uncrossed:,} tokens was not crossed" if self.uncrossed else ""
        return (f"equal to transformers within {self.difference:.1e} of the logits' range (limit {self.tolerance:g}), "
                f"checked in {self.seconds:.2f} s{rest}")


def prove(forward: Forward, model: PreTrainedModel, cache: PagedCache, vocabulary: int, limits: list[int],
          root_of: Callable[[Sequence], Hashable], window_tokens: int) -> Proof:
    """limits: lengths from which on a text is computed differently. window_tokens: the longest text that `forward` can compute.

    Raises NotANumber, and what `forward` raises.
    """
    started = time.monotonic()
    room = min(LONGEST, window_tokens, cache.blocks.num_blocks * 8)        # half of the cache
    crossed = [limit for limit in limits if limit + LONG + STEPS <= room]
    length = max([LONG, *(limit + LONG // 2 for limit in crossed)])
    ids = torch.randint(0, vocabulary, (2, length + STEPS), generator=torch.Generator().manual_seed(0))
    texts = [Sequence(row, count, GenerationOptions(), frozenset()) for row, count in zip(ids.tolist(), (length, SHORT), strict=True)]
    for text in texts:
        del text.ids[text.num_prompt + STEPS:]
    try:
        ours = _forward_in_parts(forward, texts, cache, root_of)
    finally:
        for text in texts:
            cache.blocks.release(text.table)
    # The logits of all tokens would take more memory than a small model with a large vocabulary.
    kept = {"logits_to_keep": STEPS + 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    with torch.no_grad():       # each text alone, because the length of one could change how the other is computed
        theirs = [model(input_ids=torch.tensor([text.ids], device=model.device), use_cache=False, **kept).logits[0, -STEPS - 1:].float()
                  for text in texts]
    expected = torch.stack([rows[step] for step in range(STEPS + 1) for rows in theirs])
    uncrossed = max((limit for limit in limits if limit not in crossed and limit < window_tokens), default=None)
    return Proof(_difference(ours, expected), _tolerance(model), time.monotonic() - started, uncrossed)


def prove_pictures(forward: Forward, model: PreTrainedModel, cache: PagedCache, reader: PictureReader,
                   root_of: Callable[[Sequence], Hashable], *, whole: bool = False) -> Proof:
    """As `prove`, for a text around a picture: the logits after it, and after one more token.

    whole: the picture is read in one slice; else a slice ends within it, and the logits there are compared, too.
    Raises what the parts of the model raise.
    """
    started = time.monotonic()
    draw = torch.Generator().manual_seed(0)
    picture = picture_of(torch.randint(0, 256, (*PICTURE, 3), generator=draw, dtype=torch.uint8).numpy())
    tokens, inputs = reader.read(picture), reader.inputs(picture)
    before, after = torch.randint(0, reader.features.token, (2, SHORT), generator=draw)
    ids = [*before.tolist(), *tokens.ids, *after.tolist()]
    ends = (SHORT + len(tokens.ids) // 2, len(ids) - 1, len(ids))[whole:]
    text = Sequence(ids, len(ids), GenerationOptions(), frozenset())
    text.table.root = root_of(text)
    cache.blocks.extend(text.table, len(ids))
    try:
        rows = []
        for first, last in pairwise((0, *ends)):
            text.ids = ids[:last]
            rows.append(forward([Part(text, first, last)]).float())
        ours = torch.cat(rows)
    finally:
        cache.blocks.release(text.table)
    count = len(tokens.ids)         # what has a value for each token gets values for the text
    inputs = {name: torch.nn.functional.pad(tensor, (SHORT, SHORT), value=name == "attention_mask")
              if tensor.shape == (1, count) else tensor for name, tensor in inputs.items()}
    inputs["input_ids"][0, :SHORT], inputs["input_ids"][0, -SHORT:] = before, after
    with torch.no_grad():
        theirs = model(**inputs, use_cache=False).logits[0, [end - 1 for end in ends]].float()
    return Proof(_difference(ours, theirs), _tolerance(model), time.monotonic() - started, None)


def _difference(ours: torch.Tensor, expected: torch.Tensor) -> float:
    if not bool(expected.isfinite().any(-1).all()) or bool(expected.isnan().any()):
        raise NotANumber
    fine = expected.isfinite()
    spread = (expected[fine].max() - expected[fine].min()).clamp_min(1e-6)
    difference = float((ours.to(expected.device) - expected)[fine].abs().max() / spread)
    return difference if difference == difference else float("inf")


def _tolerance(model: PreTrainedModel) -> float:
    return TOLERANCE[torch.bfloat16 if any(product.rounds_inputs for product in products(model)) else model.dtype]


def _forward_in_parts(forward: Forward, texts: list[Sequence], cache: PagedCache, root_of: Callable[[Sequence], Hashable]) -> torch.Tensor:
    """(steps x texts, vocabulary): the logits at the end of each prompt, and after each further token."""
    long = texts[0]
    for text in texts:
        text.table.root = root_of(text)
        cache.blocks.extend(text.table, len(text.ids))
    whole = [text.ids for text in texts]
    half = long.num_prompt * 2 // 3
    forward([Part(long, 0, half)])
    rows = []
    for step in range(STEPS + 1):
        for text, ids in zip(texts, whole, strict=True):
            text.ids = ids[: text.num_prompt + step]
        begin = [half, 0] if step == 0 else [len(text.ids) - 1 for text in texts]
        rows.append(forward([Part(text, first, len(text.ids)) for text, first in zip(texts, begin, strict=True)]).float())
    return torch.cat(rows)
