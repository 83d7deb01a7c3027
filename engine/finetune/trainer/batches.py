"""Batches: rows filled up to the longest of them, in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Dataset, Sampler

from ..encoded import IGNORED, Encoded

GROUPED = 50            # batches whose examples are sorted by length together


class Examples(Dataset[Encoded]):
    def __init__(self, encoded: Sequence[Encoded]) -> None:
        self.encoded = encoded

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, at: int) -> Encoded:
        return self.encoded[at]


class Collate:
    """Makes the tensors of one batch, filled up on the right."""

    def __init__(self, pad_id: int) -> None:
        self._pad_id = pad_id

    def __call__(self, rows: Sequence[Encoded]) -> dict[str, torch.Tensor]:
        longest = max(len(row.input_ids) for row in rows)

        def filled(values: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
            return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in values])

        batch = {"input_ids": filled([row.input_ids for row in rows], self._pad_id),
                 "attention_mask": filled([[1] * len(row.input_ids) for row in rows], 0)}
        if rows[0].token_type_ids:
            batch["token_type_ids"] = filled([row.token_type_ids for row in rows], 0)
        if rows[0].label is not None:
            batch["labels"] = torch.tensor([row.label for row in rows])
        elif rows[0].labels:
            batch["labels"] = filled([row.labels for row in rows], IGNORED)
        else:
            batch["labels"] = torch.tensor([(row.start, row.end) for row in rows])
        return batch


class ByLength(Sampler[int]):
    """A new order for each epoch, in which the rows of a batch have similar lengths, so that little is filled up.

    The same for a run that was stopped and resumed: it depends on nothing that was drawn before. `epoch` is set before each one.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths, self._batch_size, self._seed = lengths, batch_size, seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        draw = random.Random(f"{self._seed} {self.epoch}")
        order = list(range(len(self._lengths)))
        draw.shuffle(order)
        size = self._batch_size * GROUPED
        batches: list[list[int]] = []
        for begin in range(0, len(order), size):
            group = sorted(order[begin:begin + size], key=lambda at: self._lengths[at])
            batches += [group[at:at + self._batch_size] for at in range(0, len(group), self._batch_size)]
        whole = [batch for batch in batches if len(batch) == self._batch_size]
        draw.shuffle(whole)
        rest = [at for batch in batches if len(batch) < self._batch_size for at in batch]     # the last batch of an epoch
        return iter([at for batch in whole for at in batch] + rest)


def moved(batch: dict[str, torch.Tensor], device: Any) -> dict[str, torch.Tensor]:
    return {name: values.to(device) for name, values in batch.items()}
