"""Weights rounded to 8 and to 4 bits. Used once at load time, a block of rows at a time, so that little memory is needed.

8 bits: whole numbers of -127 to 127 and a scale for each row, symmetric. 4 bits: whole numbers of 0 to 15 with a scale and a zero
for each 32 weights of a row; value = (code - 8) x scale + zero. Scales and zeros are bfloat16, as the kernels read them, and the codes are
chosen for the rounded ones.
"""

from __future__ import annotations

import torch

GROUP = 32          # weights that share a scale and a zero: the smallest group of the kernel, and so the most exact
# Shares of a group's range that are tried. A smaller range cuts off its outermost weights and represents the others more finely: the
# search of GPTQ's quantizer (arXiv 2210.17323, the `mse` option of its code). Built-in model, error relative to the weights: 7.83 % for the
# plain range, 7.50 % with the fit below, 7.40 % with these shares, 7.31 % with seven, for twice the time.
SHARES = (1.0, 0.9, 0.8)


def to_int8(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes (out, in) int8 and scales (out,) bfloat16 of a weight (out, in)."""
    values = weight.float()
    scales = (values.abs().amax(1) / 127).clamp(min=1e-12).bfloat16()
    return (values / scales.float()[:, None]).round_().clamp_(-127, 127).to(torch.int8), scales


def to_int4(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes (out, in) uint8, and scales and zeros (in / 32, out, 2) bfloat16, of a weight (out, in).

    For each group, of the ranges tried, the one with the smallest sum of squared errors. After the codes are chosen, scale and zero
    are fitted to them by least squares and the codes chosen again, as llama.cpp does (ggml-quants.c, make_qkx2_quants).
    """
    groups = weight.float().reshape(len(weight), -1, GROUP)
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    middle, half = (low + high) / 2, (high - low) / 2
    best, found = torch.full_like(low, float("inf")), torch.zeros_like(torch.cat([low, low], -1))
    for share in SHARES:
        wide = (2 * share * half / 15).clamp(min=1e-12)
        for scale, zero in _fits(groups, wide, middle + wide / 2):      # code 7.5 is the middle
            error = (_values(groups, scale, zero) - groups).square_().sum(-1, keepdim=True)
            better = error < best
            best = torch.where(better, error, best)
            found = torch.where(better, torch.cat([scale, zero], -1), found)
    codes = _codes(groups, found[..., :1], found[..., 1:]).to(torch.uint8).flatten(1)
    return codes, found.bfloat16().transpose(0, 1).contiguous()


def _fits(groups: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The given scale and zero of each group, and those fitted to their codes, rounded to bfloat16."""
    scale, zero = _rounded(scale), _rounded(zero)
    codes = _codes(groups, scale, zero) - 8
    mean_code, mean = codes.mean(-1, keepdim=True), groups.mean(-1, keepdim=True)
    spread = (codes - mean_code).square_().sum(-1, keepdim=True)
    slope = ((codes - mean_code) * (groups - mean)).sum(-1, keepdim=True) / spread.clamp(min=1e-12)
    fitted = torch.where((spread > 0) & (slope > 0), slope, scale)
    return [(scale, zero), (_rounded(fitted), _rounded(mean - fitted * mean_code))]


def _codes(groups: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
    return ((groups - zero) / scale).round_().add_(8).clamp_(0, 15)


def _values(groups: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
    return _codes(groups, scale, zero).sub_(8).mul_(scale).add_(zero)


def _rounded(values: torch.Tensor) -> torch.Tensor:
    return values.bfloat16().float()
