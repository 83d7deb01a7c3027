"""From the scores of an answer's first and last token to its text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from .encoded import Encoded
from .examples import Answered

LONGEST = 30            # tokens of an answer, as in BERT's own code for SQuAD
BEST = 20               # starts and ends that are combined


def best_answers(examples: Sequence[Answered], rows: Sequence[Encoded],
                 scores: Sequence[tuple[Sequence[float], Sequence[float]]]) -> list[str]:
    """For each example the text whose start and end have the highest sum, over all its windows; "" if no answer has a higher one.

    `rows`: of `encode_all` on these examples. `scores`: of each row, for every token as start and as end; those of the first token
    stand for no answer, which is not chosen if every example has one.
    """
    has_none = any(not example.answers for example in examples)
    found: dict[int, tuple[float, str]] = {}
    none: dict[int, float] = defaultdict(lambda: float("inf"))
    for row, (starts, ends) in zip(rows, scores, strict=True):
        none[row.example] = min(none[row.example], starts[0] + ends[0])
        best = _best(row, starts, ends)
        if best is not None and (row.example not in found or best[0] > found[row.example][0]):
            score, begin, end = best
            found[row.example] = score, examples[row.example].context[begin:end].strip()
    return ["" if at not in found or (has_none and none[at] >= found[at][0]) else found[at][1] for at in range(len(examples))]


def _best(row: Encoded, starts: Sequence[float], ends: Sequence[float]) -> tuple[float, int, int] | None:
    """The highest sum, and the characters of the context; None if this window has no context."""
    inside = [at for at, (begin, end) in enumerate(row.offsets) if begin >= 0 and end > begin]
    first = sorted(inside, key=lambda at: -starts[at])[:BEST]
    last = sorted(inside, key=lambda at: -ends[at])[:BEST]
    pairs = [(starts[begin] + ends[end], begin, end) for begin in first for end in last if begin <= end < begin + LONGEST]
    if not pairs:
        return None
    score, begin, end = max(pairs, key=lambda pair: pair[0])
    return score, row.offsets[begin][0], row.offsets[end][1]
