"""Weights that are packed once at load time into the layout that the CPU's bfloat16 kernels read fastest.

PyTorch passes a bfloat16 weight to oneDNN in plain layout at every matrix multiplication; packed weights save the reordering
(measured by benchmarks/packing.py). For bfloat16 on x86-64 CPUs with bfloat16 arithmetic only; the results are equal up to the
order of summation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..compat.torch import has_bfloat16_kernels, pack_weight, packed_linear
from .linear import Product, replace_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ROWS_HINT = 8       # the layout is chosen for this many rows at once; measured equal for 1 to 256


class PackedProduct(Product):
    """A bfloat16 weight in oneDNN's layout."""

    kind = "bfloat16 packed"

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        super().__init__(weight.shape[0], weight.shape[1], bias)
        self._packed = pack_weight(weight.detach(), ROWS_HINT)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return packed_linear(x, self._packed, self.bias)

    @property
    def num_bytes(self) -> int:
        return self.in_features * self.out_features * 2 + self.bias_bytes

    def dense(self) -> torch.Tensor:
        plain: torch.Tensor = self._packed.to_dense()
        return plain


def can_pack(model: PreTrainedModel) -> bool:
    """Whether packed layers run here and give the same results as plain ones, tested on a small layer."""
    if model.device.type != "cpu" or model.dtype != torch.bfloat16:
        return False
    with torch.no_grad():
        plain = nn.Linear(64, 96, dtype=torch.bfloat16)
        x = torch.randn(3, 64, dtype=torch.bfloat16)
        try:
            if not has_bfloat16_kernels():
                return False
            packed = PackedProduct(plain.weight, plain.bias)(x)
        except (AttributeError, RuntimeError):      # a build of torch without these kernels
            return False
        return bool(torch.allclose(packed, plain(x), atol=0.05))


def pack(model: PreTrainedModel) -> int:
    """Replace the linear layers, siblings by one product each; returns the bytes packed, which no parameter counts any more.

    A head tied to the embedding stays as it is: packing it would duplicate that weight.
    """
    tied = {id(parameter) for parameter in model.get_input_embeddings().parameters()}
    made = replace_layers(model, PackedProduct, skip=lambda layer: layer.weight.dtype != torch.bfloat16 or id(layer.weight) in tied)
    return sum(product.num_bytes for product in made)
