"""Unique prompts, which no prefix cache contains: random token ids, and random words."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...runtime.active_model import ActiveModel
    from ...runtime.serving_model import ServingModel

SYLLABLES = "ka ro mi tel dun sha vor lin pe gus ar zo fen bri ta nol".split()


def unique_ids(active_model: ActiveModel, count: int) -> list[int]:
    """Return `count` random ids, without special tokens: random, so that no prefix cache shortens the measurement (as in llama-bench)."""
    vocabulary, special = active_model.vocabulary
    drawn = random.SystemRandom()
    ids: list[int] = []
    while len(ids) < count:
        token_id = drawn.randrange(vocabulary)
        if token_id not in special:
            ids.append(token_id)
    return ids


def unique_text(model: ServingModel, tokens: int) -> str:
    """Return random words of at most `tokens` tokens, as the model counts or estimates them; the chat template adds its own."""
    drawn = random.SystemRandom()
    words = ["".join(drawn.choices(SYLLABLES, k=3)) for _ in range(max(1, tokens))]
    low, high = 1, len(words)
    while low < high:       # the largest number of words that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if model.count_tokens(" ".join(words[:middle])) <= tokens else (low, middle - 1)
    return " ".join(words[:low])
