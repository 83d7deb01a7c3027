"""Undocumented parts of PyTorch that the engine uses, each with the reason.

tests/engine/compat/test_torch.py checks every use against the installed version.
"""

from __future__ import annotations

from functools import cache

import torch

INT8_COLUMNS = 16
ALIGNMENT = 32      # bytes; PyTorch allocates at multiples of 64


def has_bfloat16_kernels() -> bool:
    """Whether this CPU multiplies matrices in bfloat16. `torch.cpu` has no public function for it."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def pack_weight(weight: torch.Tensor, rows: int) -> torch.Tensor:
    """The weight in oneDNN's own layout for inputs of about `rows` rows. torch.compile uses it; there is no public function."""
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    return packed


def packed_linear(x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """x W^T + b with a weight of `pack_weight`, which the public `linear` does not accept."""
    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return result


def int8_linear(x: torch.Tensor, codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """x (rows, in) times codes (out, in) int8, each row of which has a scale. No public function multiplies int8 by bfloat16.

    It reads 16 columns at a time from addresses that it takes for multiples of 32 (ATen/native/cpu/int8mm_kernel.cpp), and the
    process ends where they are not: `in` must be a multiple of 16, and x that starts elsewhere is copied.
    """
    if codes.shape[1] % INT8_COLUMNS or codes.data_ptr() % ALIGNMENT:
        raise ValueError(f"int8 codes need columns in multiples of {INT8_COLUMNS} and an aligned start")
    result: torch.Tensor = torch.ops.aten._weight_int8pack_mm(x.clone() if x.data_ptr() % ALIGNMENT else x, codes, scales)
    return result


def pack_int4(codes: torch.Tensor) -> torch.Tensor:
    """Codes 0 to 15 (out, in) int32, packed for `int4_linear`: (out, in / 2) bytes, in blocks of rows. There is no public function."""
    packed: torch.Tensor = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 2)     # 2: its tile size on GPUs, not used here
    return packed


def int4_linear(x: torch.Tensor, packed: torch.Tensor, group: int, scales_and_zeros: torch.Tensor) -> torch.Tensor:
    """x (rows, in) times weights of `pack_int4`: (code - 8) x scale + zero, given as (in / group, out, 2). There is no public function."""
    result: torch.Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, group, scales_and_zeros)
    return result


@cache
def int4_block_rows() -> int:
    """The number of rows in a block of `pack_int4`, which depends on the processor, found by packing: no function tells it.

    Raises RuntimeError if the layout is not the one that `unpack_int4` reads.
    """
    codes = (torch.arange(112)[:, None] * 7 + torch.arange(32) * 3).remainder(16).to(torch.int32)      # 112: also rows after the last block
    packed = pack_int4(codes)
    for rows in (64, 32, 16):       # AVX-512, AVX2, others
        if torch.equal(_unpacked(packed, rows).T, codes.to(torch.uint8)):
            return rows
    raise RuntimeError("this version of PyTorch packs 4-bit weights in an unknown layout")


def unpack_int4(packed: torch.Tensor) -> torch.Tensor:
    """The codes of `pack_int4`, transposed: (in, out) uint8. `packed`: all rows, or a part that starts at a multiple of 64."""
    return _unpacked(packed, int4_block_rows())


def _unpacked(packed: torch.Tensor, rows: int) -> torch.Tensor:
    """ATen/native/cpu/int4mm_kernel.cpp, weight_to_int4pack_kernel: in a block, each column is one run of bytes. The low halves are the
    first rows of the block and the high halves the others; in a last, smaller block they alternate.
    """
    out, columns = packed.shape[0], packed.shape[1] * 2
    whole = out // rows * rows
    blocks = packed[:whole].reshape(-1, columns, rows // 2)
    parts = [torch.cat([blocks & 15, blocks >> 4], -1).permute(1, 0, 2).reshape(columns, whole)]
    if whole < out:
        rest = packed[whole:].reshape(columns, (out - whole) // 2)
        parts.append(torch.stack([rest & 15, rest >> 4], -1).reshape(columns, out - whole))
    return parts[0] if len(parts) == 1 else torch.cat(parts, -1)
