"""A model whose linear layers are rounded to 8 or 4 bits for PyTorch's CPU kernels (integer.py).

Rounding goes layer by layer over weights that are mapped from their files, so memory holds little more than the result. The output
head is rounded to 8 bits; a head that is tied to the embedding becomes a copy in 8 bits, because it is read as a whole for every
token, and the embedding, of which a token reads one row, stays. Layers that the kernel cannot compute stay in the compute dtype, and
so does the part that reads pictures: it is small, runs once for a picture, and what it gets wrong no later token can mend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..compat.torch import INT8_COLUMNS
from .integer import Int4Product, Int8Product, IntegerProduct
from .linear import PackedLinear, Product, replace_layers
from .model_class import vision_parts
from .quantization import Quantization
from .rounding import GROUP

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FEWEST_ROWS = 16        # layers with fewer decide something (a router, a gate) and are small; 4 bits are packed in blocks of 16 rows
SIZES = {Quantization.INT8: f"columns in multiples of {INT8_COLUMNS} and at least {FEWEST_ROWS} rows",
         Quantization.INT4: f"columns in multiples of {GROUP} and rows in multiples of {FEWEST_ROWS}"}
Report = Callable[[int, int], None]     # weights rounded, of how many


def can_round(out_features: int, in_features: int, quantization: Quantization) -> bool:
    """Whether a layer of this size has a kernel in this quantization."""
    if quantization is Quantization.INT8:
        return out_features >= FEWEST_ROWS and in_features % INT8_COLUMNS == 0
    return out_features % FEWEST_ROWS == 0 and in_features % GROUP == 0


def linear_layers(model: PreTrainedModel) -> Iterator[tuple[str, int, int]]:
    """Names, rows and columns of the layers of `model` that can be rounded, except its head and those that read pictures."""
    from transformers.pytorch_utils import Conv1D

    head, vision = model.get_output_embeddings(), vision_layers(model)
    for name, layer in model.named_modules():
        if layer in vision:
            continue
        if type(layer) is nn.Linear and layer is not head:
            yield name, layer.out_features, layer.in_features
        elif isinstance(layer, Conv1D):
            yield name, layer.weight.shape[1], layer.weight.shape[0]


def vision_layers(model: PreTrainedModel) -> set[nn.Module]:
    return {layer for name in vision_parts(model) for layer in model.get_submodule(name).modules()}


def round_model(model: PreTrainedModel, quantization: Quantization, dtype: torch.dtype, report: Report) -> int:
    """Replace the linear layers of a model that was loaded in the dtype of its files; everything else is converted to `dtype`.

    Returns the bytes of the products, which no parameter counts.
    """
    unify(model)
    head, vision, stored = model.get_output_embeddings(), vision_layers(model), model.dtype
    total = sum(rows * columns for _, rows, columns in linear_layers(model))
    done = 0

    def make(weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
        nonlocal done
        product = _rounded(weight, bias, quantization, dtype)
        done += weight.numel()
        report(done, total)
        return product

    with torch.no_grad():
        made: list[Product] = replace_layers(
            model, make, skip=lambda layer: layer is head or layer in vision or not can_round(
                layer.out_features, layer.in_features, quantization))
        if type(head) is nn.Linear and can_round(head.out_features, head.in_features, Quantization.INT8):
            product = _rounded(head.weight, head.bias, Quantization.INT8, dtype)
            model.set_output_embeddings(PackedLinear(product))
            made.append(product)
        _own(model, stored, dtype)
    return sum(product.num_bytes for product in made)


def _rounded(weight: torch.Tensor, bias: torch.Tensor | None, quantization: Quantization, dtype: torch.dtype) -> IntegerProduct:
    own = None if bias is None else bias.detach().to(dtype, copy=True)
    return (Int8Product if quantization is Quantization.INT8 else Int4Product).of(weight.detach(), own)


def unify(model: nn.Module) -> None:
    """Turn GPT-2's layers, which hold their weights transposed, into linear ones that share the memory."""
    from transformers.pytorch_utils import Conv1D

    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, Conv1D):
                columns, rows = layer.weight.shape
                linear = nn.Linear(columns, rows, device="meta")
                linear.weight, linear.bias = nn.Parameter(layer.weight.detach().T, requires_grad=False), layer.bias
                setattr(parent, name, linear)


def _own(model: PreTrainedModel, stored: torch.dtype, dtype: torch.dtype) -> None:
    """Copy what is left out of the mapped files, so that they are released; what has the stored dtype becomes `dtype`.

    transformers keeps some weights in float32 on purpose.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype if parameter.dtype == stored else parameter.dtype, copy=True)
    for buffer in model.buffers():
        buffer.data = buffer.data.clone()
    model.config.dtype = dtype
