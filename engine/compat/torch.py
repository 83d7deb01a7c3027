"""Undocumented parts of PyTorch that the engine uses, each with the reason.

tests/engine/compat/test_torch.py checks every use against the installed version.
"""

from __future__ import annotations

import torch


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
