"""Linear layers whose weights are packed once at load time into the layout that the CPU's matrix kernels read fastest.

PyTorch passes a bfloat16 weight to oneDNN in plain layout at every matrix multiplication; packed weights save the reordering
(measured by benchmarks/packing.py). For bfloat16 on x86-64 CPUs with bfloat16 arithmetic only; the results are equal up to the
order of summation. Not for training: a packed layer has no gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..compat.torch import has_bfloat16_kernels, pack_weight, packed_linear

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ROWS_HINT = 8       # the layout is chosen for this many rows at once; measured equal for 1 to 256


class PackedLinear(nn.Module):
    """y = x W^T + b, with W (out, in) in oneDNN's layout."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._packed = pack_weight(linear.weight.detach(), ROWS_HINT)
        self.bias = linear.bias

    @property
    def weight(self) -> torch.Tensor:
        """A copy of the weight in plain layout, for code that inspects it."""
        plain: torch.Tensor = self._packed.to_dense()
        return plain

    @property
    def num_bytes(self) -> int:
        return self.in_features * self.out_features * 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return packed_linear(x, self._packed, self.bias)


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
            packed = PackedLinear(plain)(x)
        except (AttributeError, RuntimeError):      # a build of torch without these kernels
            return False
        return bool(torch.allclose(packed, plain(x), atol=0.05))


def pack(model: PreTrainedModel) -> int:
    """Replace every linear layer, one at a time so that memory never holds two copies; returns the bytes packed.

    A head tied to the embedding stays as it is: packing it would duplicate that weight.
    """
    tied = {id(parameter) for parameter in model.get_input_embeddings().parameters()}
    packed_bytes = 0
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.Linear and layer.weight.dtype == torch.bfloat16 and id(layer.weight) not in tied:
                replacement = PackedLinear(layer)
                setattr(parent, name, replacement)
                packed_bytes += replacement.num_bytes
                del layer
    return packed_bytes
