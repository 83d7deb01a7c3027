"""A weight that is stored quantized, as the loader reads it: whole, or a few rows at a time. stored_weights.py has one for each method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import EllipsisType

import torch

EXPANDED_AT_ONCE = 2**20        # weights: 4 MB in 32 bits


class StoredWeight(ABC):
    """`dtype`: of the expanded weight. Reads are independent of each other, from any number of threads."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    keeps_int4 = False      # its codes can be used by the kernels for 4 bits, and by those for 8 bits
    keeps_int8 = False

    def __getitem__(self, key: slice | EllipsisType) -> torch.Tensor:
        return self.rows(key.start, key.stop) if isinstance(key, slice) else self.dense()

    @abstractmethod
    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Rows of the weight in float32. `start`: a multiple of 8."""

    def int4(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Codes and scales of these rows as `rounding.to_int4` returns them, if `keeps_int4`."""
        raise NotImplementedError

    def int8(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Codes and scales of these rows as `rounding.to_int8` returns them, if `keeps_int8`."""
        raise NotImplementedError

    def dense(self) -> torch.Tensor:
        result = torch.empty(self.shape, dtype=self.dtype)
        step = max(8, EXPANDED_AT_ONCE // self.shape[-1] // 8 * 8)
        for start in range(0, self.shape[0], step):
            stop = min(self.shape[0], start + step)
            result[start:stop] = self.rows(start, stop)
        return result


class Stacked(StoredWeight):
    """Weights of sibling layers, the rows of one after those of the other."""

    def __init__(self, weights: Sequence[StoredWeight]) -> None:
        self._weights = weights
        self.shape, self.dtype = (sum(weight.shape[0] for weight in weights), weights[0].shape[1]), weights[0].dtype
        self.keeps_int4 = all(weight.keeps_int4 for weight in weights)
        self.keeps_int8 = all(weight.keeps_int8 for weight in weights)

    def rows(self, start: int, stop: int) -> torch.Tensor:
        return torch.cat([weight.rows(*span) for weight, *span in self._spans(start, stop)])

    def int4(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        codes, scales = zip(*(weight.int4(*span) for weight, *span in self._spans(start, stop)), strict=True)
        return torch.cat(codes), torch.cat(scales, 1)

    def int8(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        codes, scales = zip(*(weight.int8(*span) for weight, *span in self._spans(start, stop)), strict=True)
        return torch.cat(codes), torch.cat(scales)

    def _spans(self, start: int, stop: int) -> list[tuple[StoredWeight, int, int]]:
        first, found = 0, []
        for weight in self._weights:
            rows = weight.shape[0]
            if start < first + rows and stop > first:
                found.append((weight, max(0, start - first), min(rows, stop - first)))
            first += rows
        return found
