"""Draws the next token of several replies at once, each by its own options.

A reply with a seed has its own source of random numbers and uses one number for each token, so it does not depend on other replies.
A token is drawn by inverting the cumulative distribution at that number. Penalties follow transformers (repetition) and the OpenAI
API (presence, frequency: of generated tokens).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..errors import NotANumber
from .base import Score

if TYPE_CHECKING:
    from .sequence import Sequence


@dataclass(frozen=True, slots=True)
class Drawn:
    token: int
    score: Score | None = None


def draw(logits: torch.Tensor, sequences: list[Sequence]) -> list[Drawn | NotANumber]:
    """logits: (sequences, vocabulary), float32. A row that is not finite gives an error for its reply only.

    What the shape of an answer does not allow becomes minus infinity in its row, in place. A token that a reply requires next is taken
    instead of the drawn one, with its score.
    """
    largest, tokens = logits.max(-1)
    is_finite = largest.isfinite().tolist()     # the largest is NaN if any is
    if any(needs_counts(sequence) or sequence.options.logit_bias for sequence in sequences):
        logits = torch.stack([_penalized(row, sequence) for row, sequence in zip(logits, sequences, strict=True)])
        tokens = logits.argmax(-1)
    for number, sequence in enumerate(sequences):
        if (allowed := sequence.allowed(logits.shape[-1])) is not None:
            row = logits[number].masked_fill_(torch.from_numpy(~allowed).to(logits.device), float("-inf"))
            if sequence.options.is_greedy:
                tokens[number] = row.argmax()
    drawn = [number for number, sequence in enumerate(sequences) if not sequence.options.is_greedy and is_finite[number]]
    if drawn:
        rows = torch.tensor(drawn, device=logits.device)
        tokens[rows] = _draw(logits[rows], [sequences[number] for number in drawn])
    chosen = [token if sequence.required is None else sequence.required for token, sequence in zip(tokens.tolist(), sequences, strict=True)]
    return [Drawn(token, _score(row, token, sequence.options.top_logprobs)) if fine else NotANumber()
            for token, row, sequence, fine in zip(chosen, logits, sequences, is_finite, strict=True)]


def needs_counts(sequence: Sequence) -> bool:
    options = sequence.options
    return bool(options.repetition_penalty != 1 or options.presence_penalty or options.frequency_penalty)


def _penalized(row: torch.Tensor, sequence: Sequence) -> torch.Tensor:
    """row: (vocabulary,)."""
    options = sequence.options
    if needs_counts(sequence):
        if sequence.seen is None or sequence.counts is None:
            _count(sequence, row)
        assert sequence.seen is not None
        assert sequence.counts is not None
        if options.repetition_penalty != 1:     # section 4.1 of CTRL (arXiv 1909.05858), over prompt and reply
            penalty = options.repetition_penalty
            row = torch.where(sequence.seen, torch.where(row > 0, row / penalty, row * penalty), row)
        if options.presence_penalty or options.frequency_penalty:
            row = row - options.presence_penalty * (sequence.counts > 0) - options.frequency_penalty * sequence.counts
    if options.logit_bias:
        row = row.clone()
        for token, bias in dict(options.logit_bias).items():
            if token < len(row):
                row[token] += bias
    return row


def _count(sequence: Sequence, row: torch.Tensor) -> None:
    ids = torch.tensor(sequence.ids, device=row.device).clamp_max(len(row) - 1)     # some models embed more tokens than they generate
    sequence.seen = torch.zeros_like(row, dtype=torch.bool)
    sequence.seen[ids[ids >= 0]] = True     # those of pictures are below zero
    generated = ids[sequence.num_prompt:]
    sequence.counts = torch.zeros_like(row).index_add_(0, generated, torch.ones_like(generated, dtype=row.dtype))


def _draw(logits: torch.Tensor, sequences: list[Sequence]) -> torch.Tensor:
    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=logits.device)[:, None]

    options = [sequence.options for sequence in sequences]
    logits = keep_likely(logits / column([each.temperature for each in options]), column([each.top_k for each in options]),
                         column([each.top_p for each in options]), column([each.min_p for each in options]))
    cumulative = logits.softmax(-1).cumsum(-1)
    total = cumulative[:, -1:]
    numbers = column([sequence.next_number() for sequence in sequences]) * total
    numbers = numbers.minimum(total.nextafter(torch.zeros_like(total)))      # in 32 bits, a number just below 1 is 1
    # The first token whose cumulative probability is above the number, so one with probability 0 is never drawn.
    return torch.searchsorted(cumulative, numbers, right=True).clamp_max(logits.shape[-1] - 1).squeeze(-1)


def keep_likely(logits: torch.Tensor, top_k: torch.Tensor, top_p: torch.Tensor, min_p: torch.Tensor) -> torch.Tensor:
    """Minus infinity outside top-k and the nucleus of top-p, and below min-p of the likeliest. logits: (n, vocabulary), others: (n, 1)."""
    if bool((top_k > 0).any()) or bool((top_p < 1).any()):
        ordered, order = torch.sort(logits, dim=-1, descending=True)
        rank = torch.arange(ordered.shape[-1], device=logits.device)[None]
        outside = (top_k > 0) & (rank >= top_k)
        share = ordered.masked_fill(outside, float("-inf")).softmax(-1)
        before = share.cumsum(-1) - share       # probability of all likelier tokens; 0 for the first, which is always kept
        outside |= (before >= top_p) & (top_p < 1) & (rank > 0)
        logits = logits.masked_fill(outside.scatter(-1, order, outside), float("-inf"))
    if bool((min_p > 0).any()):
        logits = logits.masked_fill(logits < logits.max(-1, keepdim=True).values + min_p.log(), float("-inf"))
    return logits


def _score(row: torch.Tensor, token: int, count: int | None) -> Score | None:
    if count is None:
        return None
    scores = row.log_softmax(-1)
    values, ids = scores.topk(min(count, len(row)))
    return Score(float(scores[token]), tuple((each, value) for each, value in zip(ids.tolist(), values.tolist(), strict=True)
                                             if value > float("-inf")))
