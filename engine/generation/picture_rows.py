"""The rows of pictures in a step: which tokens are theirs, what stands in the place of their embeddings, and where they are.

Each row of a picture's features has an id of its own, below zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from weakref import WeakValueDictionary

import torch

from .layers import Function
from .sequence import Part

ROWS = 2**20                    # ids of one picture
AXES = 3                        # time, height, width


@dataclass(frozen=True, eq=False)
class PictureTokens:
    """ids: what the picture is in a prompt, its own ids below zero and the tokens between them. features: (own ids, hidden size).

    deep: (layers, own ids, hidden size), added to what the first layers compute (DeepStack, Meng et al. 2024, arXiv 2406.04334).
    places: (AXES, own ids), positions from the picture's first on, where a model counts them on three axes (M-RoPE, Wang et al. 2024,
    arXiv 2409.12191).
    """

    ids: tuple[int, ...]
    features: torch.Tensor
    deep: torch.Tensor | None = None
    places: torch.Tensor | None = None

    @property
    def nbytes(self) -> int:
        return self.features.nbytes + (0 if self.deep is None else self.deep.nbytes)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of pictures among the tokens of a step: their indices there, features: (rows, hidden size), deep: see PictureTokens."""

    at: list[int]
    features: torch.Tensor
    deep: torch.Tensor | None

    def add_deep(self, x: torch.Tensor, layer: int) -> torch.Tensor:
        """x: what a layer computed, (tokens, hidden size)."""
        if self.deep is not None and layer < len(self.deep):
            x[self.at] += self.deep[layer].to(x.dtype)
        return x


class PictureFeatures:
    """The features of the pictures in use, by their ids. Read by the generation thread while visitors add to it.

    token: the one that stands for a row in the model's own inputs. has_axes: whether the model counts positions on three axes.
    """

    def __init__(self, token: int = 0, *, has_axes: bool = False) -> None:
        self.token, self.has_axes = token, has_axes
        self.are_listed = True          # whether the model's own code keeps the features of pictures apart, in a list
        self._known: WeakValueDictionary[int, PictureTokens] = WeakValueDictionary()
        self._numbers: dict[str, int] = {}      # of every picture so far, by its digest: it keeps its ids

    def add(self, digest: str, tokens: Sequence[int], features: torch.Tensor, deep: torch.Tensor | None = None,
            places: torch.Tensor | None = None) -> PictureTokens:
        """`tokens`: what the processor wrote, with `token` as often as there are rows."""
        number, rows = self._numbers.setdefault(digest, len(self._numbers)), iter(range(len(features)))
        ids = tuple(-1 - number * ROWS - next(rows) if each == self.token else each for each in tokens)
        added = self._known[number] = PictureTokens(ids, features, deep, places)
        return added

    def __contains__(self, token: object) -> bool:
        return isinstance(token, int) and token < 0 and (-1 - token) // ROWS in self._known

    def rows(self, ids: Sequence[int]) -> Rows | None:
        """None if no token is a picture's."""
        if min(ids) >= 0:
            return None
        runs = [(range(begin, end), self._known[number], slice(row, row + end - begin)) for begin, end, number, row in _runs(ids)]
        deep = [known.deep[:, rows] for _, known, rows in runs if known.deep is not None]
        return Rows([index for indices, _, _ in runs for index in indices], torch.cat([known.features[rows] for _, known, rows in runs]),
                    torch.cat(deep, dim=1) if deep else None)

    def embed(self, table: Function, ids: Sequence[int], rows: Rows | None, device: torch.device) -> torch.Tensor:
        """The embeddings of ids: (ids, hidden size). `table`: the model's own, for ids from zero on."""
        x = table(torch.tensor([max(0, token) for token in ids], device=device))
        if rows is not None:
            x = x.clone()
            x[rows.at] = rows.features.to(x.dtype)
        return x

    def encoded(self, rows: Rows) -> SimpleNamespace:
        """As the model's own code expects what its vision part computed."""
        deep = [] if rows.deep is None else [[layer] for layer in rows.deep]
        return SimpleNamespace(pooler_output=[rows.features] if self.are_listed else rows.features, deepstack_features=deep)

    def axes(self, parts: Sequence[Part]) -> torch.Tensor | None:
        """The positions of the tokens of a step on each axis: (AXES, tokens). None if each token's is its index in the text."""
        if not self.has_axes or not any(part.sequence.has_pictures for part in parts):
            return None
        return torch.cat([self._axes_of(part) for part in parts], dim=1)

    def _axes_of(self, part: Part) -> torch.Tensor:
        sequence = part.sequence
        if not sequence.has_pictures:
            return torch.arange(part.first, part.end).expand(AXES, -1)
        if sequence.axes is None or sequence.axes.shape[1] < min(part.last, sequence.num_prompt):
            sequence.axes = self._count(sequence.ids)
        known = sequence.axes[:, part.first: part.end]
        after = int(sequence.axes.max()) + 1 - sequence.axes.shape[1]       # what follows is text
        rest = torch.arange(part.first + known.shape[1], part.end) + after
        return torch.cat([known, rest.expand(AXES, -1)], dim=1)

    def _count(self, ids: Sequence[int]) -> torch.Tensor:
        """The positions of a text from its first token on. After a picture they go on after the largest in it."""
        found, position, done = [], 0, 0
        for begin, end, number, row in [*_runs(ids), (len(ids), len(ids), 0, 0)]:
            found.append(torch.arange(position, position + begin - done).expand(AXES, -1))
            position += begin - done
            places = self._known[number].places if end > begin else None
            if places is not None:
                found.append(places[:, row: row + end - begin] + position)
                position = int(found[-1].max()) + 1
            done = end
        return torch.cat(found, dim=1)


def _runs(ids: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    """Consecutive rows of one picture: the index of the first, that after the last, the picture's number, and its row."""
    begin = 0
    while begin < len(ids):
        end = begin + 1
        if ids[begin] < 0:
            while end < len(ids) and ids[end] == ids[end - 1] - 1:
                end += 1
            yield begin, end, *divmod(-1 - ids[begin], ROWS)
        begin = end
