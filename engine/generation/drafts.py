"""Guesses the next tokens of a reply from what it repeats, so that one step can confirm several.

The tokens that followed the last few tokens the time before are the guess (prompt lookup, Saxena 2023). The forward pass reads them
behind the newest token; each is drawn as always, and the first that differs from the guess ends the step. So the reply is the same as
without guesses, for greedy and for drawn tokens. Guessing is given up for a while where it does not pay: repaired code and summaries
repeat their prompt, most other text does not.
"""

from __future__ import annotations

from collections.abc import Sequence as Values
from dataclasses import dataclass, field

NGRAM = 3
MOST = 7                # tokens guessed at once
LOOKED_BACK = 8192      # tokens of a prompt that are searched
REST_TOKENS = 24        # after guesses that did not pay, so many tokens without one; twice as many each time
MOST_REPLIES = 4        # with more at once, a step has no time to spare for guesses


@dataclass(slots=True)
class Drafts:
    """Of one reply. `places`: where each group of NGRAM tokens ended last."""

    places: dict[tuple[int, ...], int] = field(default_factory=dict)
    read: int = 0
    size: int = 2
    rest_until: int = 0
    rest: int = REST_TOKENS

    def guess(self, ids: Values[int], most: int) -> list[int]:
        """The tokens that may follow, at most `most`; often none."""
        for end in range(max(self.read, NGRAM, len(ids) - LOOKED_BACK), len(ids)):
            self.places[tuple(ids[end - NGRAM: end])] = end
        self.read = max(self.read, len(ids))
        if len(ids) < self.rest_until or len(ids) < NGRAM:
            return []
        place = self.places.get(tuple(ids[-NGRAM:]))
        return [] if place is None else list(ids[place: place + min(self.size, most)])

    def confirmed(self, guessed: int, right: int, length: int) -> None:
        """So many of the guessed tokens were right; the reply has `length` tokens now."""
        if right == guessed:
            self.size, self.rest = min(MOST, 2 * self.size), REST_TOKENS
        elif right == 0:
            self.size = 2
            self.rest_until, self.rest = length + self.rest, min(2 * self.rest, 16 * REST_TOKENS)
        else:
            self.size = max(2, right)
