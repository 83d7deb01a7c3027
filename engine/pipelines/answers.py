"""Extractive question answering: the likeliest spans of a text that is read in windows.

The score of a span is the logit of its first token plus that of its last one (Devlin et al. 2019, arXiv 1810.04805, section 4.2); its
probability is its share of the exponentials of all spans of all windows. transformers 5 has no pipeline for this any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import InvalidRequest
from .results import Span, span_of

if TYPE_CHECKING:
    import torch

MOST_TOKENS = 30        # of an answer
STRIDE = 128            # tokens that two windows share, at most
MOST_WINDOWS = 64
AT_ONCE = 8             # windows of one call
NO_ANSWER = (-1, -1)


@dataclass(frozen=True, slots=True)
class Windows:
    """`inputs`: of the model, (windows, tokens). `places`: the characters of each token of the context; None for other tokens."""

    inputs: Any
    places: list[list[tuple[int, int] | None]]


def read_windows(tokenizer: Any, question: str, context: str, window: int) -> Windows:
    """Raises InvalidRequest for a question that fills the window, and for a text of too many windows."""
    asked = len(tokenizer(question, add_special_tokens=False)["input_ids"])
    room = window - asked - tokenizer.num_special_tokens_to_add(pair=True)
    if room < min(16, window // 4):
        raise InvalidRequest("question", f"{asked:,} tokens", f"shorter: the model reads {window:,} tokens at once, with the text")
    if len(context) > MOST_WINDOWS * room * 16:       # no text has more characters for a token
        raise InvalidRequest("text", f"{len(context):,} characters", "shorter")
    encoded = tokenizer(question, context, truncation="only_second", max_length=window, stride=min(STRIDE, room // 2), padding=True,
                        return_overflowing_tokens=True, return_offsets_mapping=True, return_tensors="pt")
    offsets, count = encoded.pop("offset_mapping").tolist(), len(encoded.encodings)
    encoded.pop("overflow_to_sample_mapping", None)
    if count > MOST_WINDOWS:
        raise InvalidRequest("text", f"{count} windows of {window:,} tokens", f"at most {MOST_WINDOWS} windows long")
    places = [[(begin, end) if part == 1 and end > begin else None for part, (begin, end) in zip(encoding.sequence_ids, row, strict=True)]
              for encoding, row in zip(encoded.encodings, offsets, strict=True)]
    return Windows(encoded, places)


def best_spans(starts: torch.Tensor, ends: torch.Tensor, windows: Windows, context: str, top: int, *,
               may_be_unanswered: bool) -> tuple[Span, ...]:
    """`starts`, `ends`: logits of every token, (windows, tokens), float32. At most `top` spans that do not overlap, the likeliest first."""
    import torch

    scores, spans = [], []
    for start, end, places in zip(starts, ends, windows.places, strict=True):
        inside = torch.tensor([place is not None for place in places])
        both = start[:, None] + end[None, :]
        allowed = (inside[:, None] & inside[None, :]).triu() & ~torch.ones_like(both, dtype=torch.bool).triu(MOST_TOKENS)
        rows, columns = allowed.nonzero(as_tuple=True)
        scores.append(both[rows, columns])
        spans += [(places[row][0], places[column][1]) for row, column in zip(rows.tolist(), columns.tolist(), strict=True)]
    if may_be_unanswered:       # the window that least denies an answer decides, as in the paper's script for SQuAD 2.0
        scores.append((starts[:, 0] + ends[:, 0]).min()[None])
        spans.append(NO_ANSWER)
    if not spans:
        return ()
    shares: dict[tuple[int, int], float] = {}
    for span, share in zip(spans, torch.cat(scores).softmax(0).tolist(), strict=True):
        shares[span] = max(share, shares.get(span, 0.0))       # windows overlap
    found: list[Span] = []
    for (begin, stop), share in sorted(shares.items(), key=lambda item: -item[1]):
        if all(stop <= other.begin or begin >= other.end or NO_ANSWER in ((begin, stop), (other.begin, other.end)) for other in found):
            found.append(span_of(context, begin, stop, share))
        if len(found) == top:
            break
    return tuple(found)
