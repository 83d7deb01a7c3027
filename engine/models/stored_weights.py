"""Weights that a repository stores quantized, expanded only where they are read.

A `StoredWeight` stands for a weight (out, in) whose parts are mapped from the files: `weight[...]` is all of it, `weight[start:stop]` some
rows. It holds no memory of its own but, where columns are ordered, a number for each: scales and zero points too are expanded only for
the rows that are read. Where its codes suit the kernels of integer.py they are passed on as they are, so that nothing is rounded a
second time. The formulas are those of the methods' own packages. tests/engine/models/test_stored_weights.py compares compressed-tensors,
bitsandbytes and MXFP4 with what compressed-tensors, bitsandbytes and transformers expand; GPTQ, AWQ and FP8 with weights that the tests
pack themselves, as those packages are not installed. Activations are not quantized, whatever the repository says: the results are at
least as exact.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping

import torch

from ..checkpoint.stored_quantization import SCALES, StoredQuantization, packed_columns
from ..checkpoint.stored_tensors import scale_block
from ..compat.gguf import StoredRows
from .rounding import GROUP
from .stored_weight import StoredWeight

AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)    # where in a word the columns 0 to 7 are (AutoAWQ, `gemm`)
# Values of OCP Microscaling Formats 1.0, E2M1: a sign, two bits of exponent, one of mantissa.
E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0)
E8M0_BIAS = 127         # scales of one byte are powers of two (ibid.)
INT8_MOST = 127         # bitsandbytes stores the largest value of a row, which is code 127
Parts = Mapping[str, torch.Tensor]


class Grouped(StoredWeight):
    """Whole numbers of `bits` with a scale and a zero point for each group of columns: value = (code - zero) x scale.

    `scales`: (out, groups). `group_of`: the group of each column; None where groups of equal size follow each other.
    """

    def __init__(self, shape: tuple[int, int], bits: int, scales: torch.Tensor, group_of: torch.Tensor | None, dtype: torch.dtype) -> None:
        self.shape, self.bits, self.dtype = shape, bits, dtype
        size = shape[1] // scales.shape[1]
        regular = torch.arange(shape[1]) // max(1, size)
        self._scales = scales
        self._group_of = None if group_of is None or torch.equal(group_of.long(), regular) else group_of.long()
        self.keeps_int4 = bits == 4 and self._group_of is None and size % GROUP == 0 and shape[1] % GROUP == 0

    @abstractmethod
    def codes(self, start: int, stop: int) -> torch.Tensor:
        """Rows of codes from 0 on: (stop - start, in) int32."""

    @abstractmethod
    def zeros(self, start: int, stop: int) -> torch.Tensor:
        """The zero points of these rows: (stop - start, groups)."""

    def rows(self, start: int, stop: int) -> torch.Tensor:
        scales, zeros = self._scales[start:stop].float(), self.zeros(start, stop).float()
        codes = self.codes(start, stop).float()
        if self._group_of is not None:
            return (codes - zeros[:, self._group_of]).mul_(scales[:, self._group_of])
        groups = codes.view(stop - start, scales.shape[1], -1)
        return groups.sub_(zeros[..., None]).mul_(scales[..., None]).flatten(1)

    def int4(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        scales = self._scales[start:stop].bfloat16().float()
        zeros = (8 - self.zeros(start, stop).float()) * scales          # value = (code - 8) x scale + zero
        pairs = torch.stack([scales, zeros], -1).bfloat16().repeat_interleave(self.shape[1] // GROUP // scales.shape[1], 1)
        return self.codes(start, stop).to(torch.uint8), pairs.transpose(0, 1).contiguous()


class Gptq(Grouped):
    """AutoGPTQ's tensors: `qweight` (in x bits / 32, out), `qzeros` (groups, out x bits / 32), `scales` (groups, out), `g_idx` (in)."""

    def __init__(self, parts: Parts, stored: StoredQuantization, dtype: torch.dtype) -> None:
        self._words, self._packed_zeros, self._zero_less = parts[".qweight"], parts[".qzeros"], stored.zero_less
        shape = self._words.shape[1], self._words.shape[0] * 32 // stored.bits
        super().__init__(shape, stored.bits, parts[".scales"].T, parts.get(".g_idx"), dtype)

    def codes(self, start: int, stop: int) -> torch.Tensor:
        return unpacked(self._words[:, start:stop].T, self.bits)

    def zeros(self, start: int, stop: int) -> torch.Tensor:
        return _columns(self._packed_zeros, self.bits, start, stop).T + self._zero_less


class Awq(Grouped):
    """AutoAWQ's tensors: `qweight` (in, out / 8), `qzeros` (groups, out / 8), `scales` (groups, out)."""

    def __init__(self, parts: Parts, stored: StoredQuantization, dtype: torch.dtype) -> None:
        self._words, self._packed_zeros = parts[".qweight"], parts[".qzeros"]
        super().__init__((self._words.shape[1] * 8, self._words.shape[0]), stored.bits, parts[".scales"].T, None, dtype)

    def codes(self, start: int, stop: int) -> torch.Tensor:
        return _in_order(self._words[:, start // 8:-(-stop // 8)]).T[:stop - start]

    def zeros(self, start: int, stop: int) -> torch.Tensor:
        return _in_order(self._packed_zeros[:, start // 8:-(-stop // 8)]).T[:stop - start]


class Packed(Grouped):
    """compressed-tensors' `pack-quantized`: `weight_packed` (out, in x bits / 32), `weight_scale` (out, groups), perhaps
    `weight_zero_point` (out x bits / 32, groups), and `weight_shape`. Codes and zero points count from the smallest number of `bits`.
    """

    def __init__(self, parts: Parts, stored: StoredQuantization, dtype: torch.dtype) -> None:
        self._words, scales = parts[".weight_packed"], parts[".weight_scale"]
        sizes = {suffix: part.tolist() if suffix == ".weight_shape" and part.shape == (2,) else part.shape
                 for suffix, part in parts.items()}
        shape = self._words.shape[0], packed_columns(sizes, stored)
        self._packed_zeros = parts.get(".weight_zero_point")
        super().__init__(shape, stored.bits, scales, parts.get(".weight_g_idx"), dtype)

    def codes(self, start: int, stop: int) -> torch.Tensor:
        return unpacked(self._words[start:stop], self.bits)[:, :self.shape[1]]

    def zeros(self, start: int, stop: int) -> torch.Tensor:
        if self._packed_zeros is None:
            return torch.full((stop - start, self._scales.shape[1]), 1 << (self.bits - 1))
        return _columns(self._packed_zeros.T, self.bits, start, stop).T


class Scaled(StoredWeight):
    """Values in 8 bits (FP8 or whole numbers) times a scale for all, for each row, for blocks of columns, or for blocks of both."""

    def __init__(self, values: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor | None, block: tuple[int, int] | None,
                 dtype: torch.dtype) -> None:
        self.shape, self.dtype, self._values, self._zeros = tuple(values.shape), dtype, values, zeros
        self._scales = scales.reshape(-1, 1) if scales.ndim < 2 else scales
        found = scale_block(values.shape, scales.shape, block)
        if found is None:
            raise ValueError(f"scales of the shape {list(scales.shape)} do not fit a weight of the shape {list(values.shape)}")
        self._block = found
        self.keeps_int8 = values.dtype == torch.int8 and zeros is None and self._scales.shape == (len(values), 1)

    def rows(self, start: int, stop: int) -> torch.Tensor:
        values = self._values[start:stop].float()
        if self._zeros is not None:
            values = values.sub_(self._spread(self._zeros.reshape(self._scales.shape), start, stop))
        return values.mul_(self._spread(self._scales, start, stop))

    def _spread(self, blocks: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        rows = blocks[torch.arange(start, stop) // self._block[0]]
        rows = torch.exp2(rows.float() - E8M0_BIAS) if blocks is self._scales and rows.dtype == torch.uint8 else rows.float()
        return rows if rows.shape[1] == 1 else rows[:, torch.arange(self.shape[1]) // self._block[1]]

    def int8(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self._values[start:stop], self._scales[start:stop, 0].bfloat16()


class Nf4(StoredWeight):
    """bitsandbytes' NF4 and FP4: a flat sequence of codes, the first of two in the high half of a byte, and the largest value of each
    block. With double quantization that is itself a code of a table, with a scale for each 256 (QLoRA, arXiv 2305.14314, section 3).
    """

    def __init__(self, parts: Parts, dtype: torch.dtype) -> None:
        state = next(tensor for suffix, tensor in parts.items() if ".quant_state." in suffix)
        facts = json.loads(bytes(state.tolist()).decode())
        self.shape, self.dtype = tuple(facts["shape"]), dtype
        self._codes, self._table = parts[".weight"].flatten().view(torch.uint8), parts[".weight.quant_map"].float()
        self._block = int(facts["blocksize"])
        out, into = self.shape
        if min(out, into, self._block) < 1 or -(-out * into // 2) != self._codes.numel():
            raise ValueError(f"{self._codes.numel()} bytes are no weight of the shape {list(self.shape)} in blocks of {self._block}")
        self._largest, self._nested = parts[".weight.absmax"], parts.get(".weight.nested_absmax")
        if self._nested is not None:
            self._nested_table = parts[".weight.nested_quant_map"]
            self._nested_block, self._nested_offset = int(facts["nested_blocksize"]), float(facts["nested_offset"])
            if self._nested_block < 1:
                raise ValueError(f"blocks of {self._nested_block} scales")

    def rows(self, start: int, stop: int) -> torch.Tensor:
        first, last = start * self.shape[1], stop * self.shape[1]
        pairs = self._codes[first // 2:-(-last // 2)]
        codes = torch.stack([pairs >> 4, pairs & 15], -1).flatten()[:last - first]
        begin, end = first // self._block, -(-last // self._block)
        values = self._table[codes.long()] * self._largest_of(begin, end)[torch.arange(first, last) // self._block - begin]
        return values.view(stop - start, self.shape[1])

    def _largest_of(self, begin: int, end: int) -> torch.Tensor:
        """The largest value of each of these blocks."""
        largest = self._largest[begin:end]
        if self._nested is None:
            return largest.float()
        nested = self._nested[torch.arange(begin, begin + len(largest)) // self._nested_block]
        return (self._nested_table[largest.long()] * nested + self._nested_offset).float()


class Mxfp4(StoredWeight):
    """Experts in MXFP4: `blocks` (experts, rows, in / 32, 16) of two values to a byte, the first in the low half, and a scale of a
    power of two for each block (experts, rows, in / 32). The model holds them with rows and columns exchanged.
    """

    def __init__(self, parts: Parts, dtype: torch.dtype) -> None:
        self._blocks, self._scales, self.dtype = parts["_blocks"], parts["_scales"], dtype
        experts, rows, groups, half = self._blocks.shape
        self.shape = experts, groups * 2 * half, rows

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """Experts start to stop."""
        table, blocks = torch.tensor(E2M1), self._blocks[start:stop]
        values = table[torch.stack([blocks & 15, blocks >> 4], -1).flatten(-2).long()]
        values.mul_(torch.exp2(self._scales[start:stop].float() - E8M0_BIAS)[..., None])
        return values.flatten(2).transpose(1, 2)

    def dense(self) -> torch.Tensor:
        result = torch.empty(self.shape, dtype=self.dtype)
        for expert in range(self.shape[0]):
            result[expert] = self.rows(expert, expert + 1)[0]
        return result


class GgufWeight(StoredWeight):
    """A matrix of a GGUF file, expanded by the format's own package."""

    def __init__(self, stored: StoredRows, dtype: torch.dtype) -> None:
        self._stored, self.shape, self.dtype = stored, (len(stored.order), stored.columns), dtype

    def rows(self, start: int, stop: int) -> torch.Tensor:
        return torch.from_numpy(self._stored.rows(start, stop))


def stored_weight(parts: Parts, stored: StoredQuantization, dtype: torch.dtype) -> StoredWeight:
    """`parts`: by what follows the base of their names (checkpoint/stored_quantization.py). Raises what unsuitable sizes raise."""
    match stored.layout:
        case "gptq":
            return Gptq(parts, stored, dtype)
        case "awq":
            return Awq(parts, stored, dtype)
        case "packed":
            return Packed(parts, stored, dtype)
        case "mxfp4":
            return Mxfp4(parts, dtype)
        case "bnb4":
            return Nf4(parts, dtype)
        case "bnb8":
            return Scaled(parts[".weight"], parts[".SCB"].float() / INT8_MOST, None, None, dtype)
        case _:
            scales = next(parts[suffix] for suffix in SCALES if suffix in parts)
            return Scaled(parts[".weight"], scales, parts.get(".weight_zero_point"), stored.block, dtype)


def unpacked(words: torch.Tensor, bits: int) -> torch.Tensor:
    """(rows, n) int32 words -> (rows, n x 32 / bits) whole numbers from 0 on, the lowest bits of a word first."""
    shifts = torch.arange(0, 32, bits, dtype=torch.int32)
    return (words.to(torch.int32)[..., None] >> shifts).bitwise_and_((1 << bits) - 1).flatten(-2)


def _columns(words: torch.Tensor, bits: int, start: int, stop: int) -> torch.Tensor:
    """Columns start to stop of (rows, n) packed words, unpacked."""
    per_word = 32 // bits
    first = start // per_word
    return unpacked(words[:, first:-(-stop // per_word)], bits)[:, start - first * per_word:stop - first * per_word]


def _in_order(words: torch.Tensor) -> torch.Tensor:
    """(rows, n) words of AutoAWQ -> (rows, 8 n) codes."""
    codes = unpacked(words, 4).view(len(words), -1, 8)
    return codes[..., AWQ_ORDER].flatten(1)
