"""One row as the trainer gets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

IGNORED = -100          # a label that no loss counts (torch's default)


@dataclass(frozen=True, slots=True)
class Encoded:
    """`example`: its place among the examples; several rows of one example for long contexts, and for chats that a template changes later.

    `label`: of a whole text. `labels`: of each token, IGNORED where nothing is trained. `words`: of each token with a label, the place of
    its word. `start`, `end`: first and last token of an answer; both 0 if this window has none. `offsets`: for each token the
    characters of the context, (-1, -1) for others.
    """

    example: int
    input_ids: Sequence[int]
    token_type_ids: Sequence[int] = ()
    label: int | None = None
    labels: Sequence[int] = ()
    words: Sequence[int] = ()
    start: int = 0
    end: int = 0
    offsets: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an example as the model sees it. `tag`: the label that is trained at it, for tasks with labels."""

    text: str
    is_trained: bool = False
    tag: str = ""
