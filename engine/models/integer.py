"""Products of weights in 8 and 4 bits, by PyTorch's kernels for x86-64 CPUs, with bfloat16 activations.

With few rows, as when replies are generated, the kernels read the integers and are limited by memory: fewer bytes, more tokens per
second. They reuse little, so with many rows, as in prompts, the weights are expanded a block at a time and multiplied by the kernels
for 16 or 32 bits, rounded as the others round, so that a row's result hardly depends on how many there are. rounding.py chooses the
integers, unless the files hold some that the kernels can read (stored_weights.py).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch

from ..compat.torch import int4_linear, int8_linear, pack_int4, unpack_int4
from .linear import Product
from .rounding import GROUP, to_int4, to_int8
from .stored_weight import StoredWeight

ROUNDED_AT_ONCE = 2**17     # weights: their 32-bit copies stay in the processor's cache (40 M/s on one core; 7 M/s with a matrix at once)
EXPANDED_AT_ONCE = 2**19    # weights: 2 MB in 32 bits
STEP = 64               # blocks of rows start at multiples of this, as pack_int4 demands


class IntegerProduct(Product):
    """Shared by both widths. `few_rows`: up to so many, the kernel for integers is faster (measured by benchmarks/packing.py)."""

    few_rows: int
    rounds_inputs = True

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, self.in_features).bfloat16().contiguous()
        result = (self._few(rows) if len(rows) <= self.few_rows else self._many(rows.to(x.dtype)).bfloat16()).to(x.dtype)
        if self.bias is not None:
            result = result + self.bias
        return result.view(*x.shape[:-1], self.out_features)

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """What a saved copy holds: `codes` (out, in) or two to a byte, and `scales`, independent of the processor."""

    @abstractmethod
    def _few(self, x: torch.Tensor) -> torch.Tensor: ...

    @abstractmethod
    def _expanded(self, start: int, stop: int) -> torch.Tensor:
        """Rows start to stop of the weight in 32 bits, transposed: (in, stop - start)."""

    def _many(self, x: torch.Tensor) -> torch.Tensor:
        result = x.new_empty(len(x), self.out_features)
        for start, stop in blocks(self.out_features, self.in_features, EXPANDED_AT_ONCE):
            result[:, start:stop] = x @ self._expanded(start, stop).to(x.dtype)
        return result

    def dense(self) -> torch.Tensor:
        return self._expanded(0, self.out_features).T.contiguous()


class Int8Product(IntegerProduct):
    """`codes`: (out, in) int8; `scales`: (out,) bfloat16."""

    kind = "int8"
    few_rows = 24

    def __init__(self, codes: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        super().__init__(codes.shape[0], codes.shape[1], bias)
        self._codes, self._scales = codes, scales

    @classmethod
    def of(cls, weight: torch.Tensor | StoredWeight, bias: torch.Tensor | None = None) -> Int8Product:
        codes = torch.empty(weight.shape, dtype=torch.int8)
        scales = torch.empty(weight.shape[0], dtype=torch.bfloat16)

        def work(start: int, stop: int) -> None:
            codes[start:stop], scales[start:stop] = weight.int8(start, stop) if isinstance(weight, StoredWeight) and weight.keeps_int8 \
                else to_int8(weight[start:stop])

        in_threads(work, blocks(weight.shape[0], weight.shape[1], ROUNDED_AT_ONCE))
        return cls(codes, scales, bias)

    @property
    def num_bytes(self) -> int:
        return self._codes.nbytes + self._scales.nbytes + self.bias_bytes

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"codes": self._codes, "scales": self._scales}

    def _few(self, x: torch.Tensor) -> torch.Tensor:
        return int8_linear(x, self._codes, self._scales)

    def _expanded(self, start: int, stop: int) -> torch.Tensor:
        return (self._codes[start:stop].float() * self._scales[start:stop, None]).T


class Int4Product(IntegerProduct):
    """`packed`: of pack_int4; `scales`: scales and zeros, (in / 32, out, 2) bfloat16."""

    kind = f"int4, groups of {GROUP}"
    few_rows = 64

    def __init__(self, packed: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        super().__init__(packed.shape[0], packed.shape[1] * 2, bias)
        self._packed, self._scales = packed, scales

    @classmethod
    def of(cls, weight: torch.Tensor | StoredWeight, bias: torch.Tensor | None = None) -> Int4Product:
        out, into = weight.shape
        packed = torch.empty(out, into // 2, dtype=torch.uint8)
        scales = torch.empty(into // GROUP, out, 2, dtype=torch.bfloat16)

        def work(start: int, stop: int) -> None:
            codes, scales[:, start:stop] = weight.int4(start, stop) if isinstance(weight, StoredWeight) and weight.keeps_int4 \
                else to_int4(weight[start:stop])
            packed[start:stop] = pack_int4(codes.to(torch.int32))

        in_threads(work, blocks(out, into, ROUNDED_AT_ONCE))
        return cls(packed, scales, bias)

    @classmethod
    def of_tensors(cls, codes: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor | None = None) -> Int4Product:
        """From `tensors` of another one."""
        packed = torch.empty(codes.shape, dtype=torch.uint8)

        def work(start: int, stop: int) -> None:
            part = codes[start:stop].to(torch.int32)
            packed[start:stop] = pack_int4(torch.stack([part & 15, part >> 4], -1).flatten(1))

        in_threads(work, blocks(codes.shape[0], codes.shape[1] * 2, ROUNDED_AT_ONCE))
        return cls(packed, scales.clone(), bias)

    @property
    def num_bytes(self) -> int:
        return self._packed.nbytes + self._scales.nbytes + self.bias_bytes

    def tensors(self) -> dict[str, torch.Tensor]:
        codes = torch.empty_like(self._packed)
        for start, stop in blocks(self.out_features, self.in_features, EXPANDED_AT_ONCE):
            part = unpack_int4(self._packed[start:stop]).T.reshape(stop - start, -1, 2)
            codes[start:stop] = part[..., 0] | part[..., 1] << 4
        return {"codes": codes, "scales": self._scales}

    def _few(self, x: torch.Tensor) -> torch.Tensor:
        return int4_linear(x, self._packed, GROUP, self._scales)

    def _expanded(self, start: int, stop: int) -> torch.Tensor:
        scale, zero = self._scales[:, None, start:stop].float().unbind(-1)
        codes = unpack_int4(self._packed[start:stop]).float().view(-1, GROUP, stop - start)
        return codes.mul_(scale).add_(zero - 8 * scale).flatten(0, 1)


def blocks(rows: int, columns: int, weights: int) -> Iterator[tuple[int, int]]:
    """Start and stop of blocks of rows of about so many weights; each starts at a multiple of STEP."""
    size = max(STEP, weights // columns // STEP * STEP)
    for start in range(0, rows, size):
        yield start, min(rows, start + size)


def in_threads(work: Callable[[int, int], None], spans: Iterable[tuple[int, int]]) -> None:
    """Do the work of each block in threads of their own, in each of which PyTorch has one thread.

    Beside other programs, its own threads wait for each other in every small operation: 110 M weights took 68 s, and 11 s so, both at
    a load of 8.
    """
    num_threads = torch.get_num_threads()
    with ThreadPoolExecutor(num_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for _ in pool.map(lambda span: work(*span), spans):
            pass        # raises what the work raised
    torch.set_num_threads(num_threads)


@cache
def has_kernels() -> bool:
    """Whether both kernels run here and give the same results as plain products, tested on a small layer."""
    weight, x = torch.randn(112, 64) / 8, torch.randn(3, 64)
    try:
        made: list[IntegerProduct] = [Int8Product.of(weight), Int4Product.of(weight)]
        return all(torch.allclose(product(x), x @ product.dense().T, atol=0.1) for product in made)
    except (AttributeError, RuntimeError):      # a build of PyTorch without them
        return False
