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
NEVER = float("-inf")


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

    scores, begins, stops = _all_spans(starts, ends, windows)
    # The window that least denies an answer decides, as in the paper's script for SQuAD 2.0.
    unanswered = (starts[:, 0] + ends[:, 0]).min() if may_be_unanswered else torch.tensor(NEVER)
    total = torch.stack([scores.flatten().logsumexp(0), unanswered]).logsumexp(0)
    highest = scores.flatten(1).amax(1)     # of each window
    opening = torch.where(begins < 0, len(context), begins).amin(1)
    closing = stops.flatten(1).amax(1)
    found: list[Span] = []
    while len(found) < top:
        window = int(highest.argmax())
        score = highest[window]
        if max(score, unanswered) == NEVER:
            break
        if unanswered >= score:
            found.append(span_of(context, *NO_ANSWER, float((unanswered - total).exp())))
            unanswered = torch.tensor(NEVER)
            continue
        more, first = divmod(int(scores[window].argmax()), scores.shape[2])
        begin, stop = int(begins[window, first]), int(stops[window, more, first])
        found.append(span_of(context, begin, stop, float((score - total).exp())))
        for each in ((opening < stop) & (closing > begin)).nonzero().flatten().tolist():
            scores[each].masked_fill_((begins[each] < stop) & (stops[each] > begin), NEVER)
            highest[each] = scores[each].max()
    return tuple(found)


def _all_spans(starts: torch.Tensor, ends: torch.Tensor, windows: Windows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The score of the span of each length from each token on, (windows, lengths, tokens), NEVER for none; the characters at which it
    begins, (windows, tokens), -1 for no token of the text, and ends, (windows, lengths, tokens).
    """
    import torch

    first, last = (torch.tensor([[place[side] if place else -1 for place in row] for row in windows.places]) for side in (0, 1))
    width = starts.shape[1]
    scores = torch.full((len(starts), min(MOST_TOKENS, width), width), NEVER)
    stops = torch.full_like(scores, -1, dtype=torch.long)
    for more in range(scores.shape[1]):     # tokens after the first
        until = width - more
        is_span = (first[:, :until] >= 0) & (first[:, more:] >= 0)
        scores[:, more, :until] = torch.where(is_span, starts[:, :until] + ends[:, more:], NEVER)
        stops[:, more, :until] = last[:, more:]
    return scores, first, stops
