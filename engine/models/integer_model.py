"""A model whose linear layers are rounded to 8 or 4 bits for PyTorch's CPU kernels (integer.py).

Rounding goes layer by layer over weights that are mapped from their files, so memory holds little more than the result. The output
head is rounded to 8 bits; a head that is tied to the embedding becomes a copy in 8 bits, because it is read as a whole for every
token, and the embedding, of which a token reads one row, stays. Layers that the kernel cannot compute stay in the compute dtype, and
so does the part that reads pictures: it is small, runs once for a picture, and what it gets wrong no later token can mend.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..compat.torch import INT8_COLUMNS
from .integer import Int4Product, Int8Product, IntegerProduct
from .linear import PackedLinear, Product, joined, replace_layers
from .model_class import vision_parts
from .quantization import Quantization
from .rounding import GROUP
from .stored_weight import Stacked, StoredWeight

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


def round_model(model: PreTrainedModel, quantization: Quantization, dtype: torch.dtype, report: Report,
                stored: Mapping[nn.Module, StoredWeight] | None = None) -> int:
    """Replace the linear layers of a model that was loaded in the dtype of its files; everything else is converted to `dtype`.

    `stored`: layers whose weights are read here from their stored form, and are not in the model. Returns the bytes of the products,
    which no parameter counts.
    """
    unify(model)
    stored = stored or {}
    head, vision, original = model.get_output_embeddings(), vision_layers(model), model.dtype
    total = sum(rows * columns for _, rows, columns in linear_layers(model))
    done = 0

    def weight_of(layers: Sequence[nn.Linear]) -> torch.Tensor | StoredWeight:
        if all(layer in stored for layer in layers):
            return Stacked([stored[layer] for layer in layers])
        _expand(layers, stored)
        return joined(layers)

    def make(weight: torch.Tensor | StoredWeight, bias: torch.Tensor | None) -> Product:
        nonlocal done
        product = _rounded(weight, bias, quantization, dtype)
        done += math.prod(weight.shape)
        report(done, total)
        return product

    with torch.no_grad():
        made: list[Product] = replace_layers(
            model, make, lambda layer: layer is head or layer in vision or not can_round(
                layer.out_features, layer.in_features, quantization), weight_of)
        if type(head) is nn.Linear and can_round(head.out_features, head.in_features, Quantization.INT8):
            product = _rounded(weight_of([head]), head.bias, Quantization.INT8, dtype)
            model.set_output_embeddings(PackedLinear(product))
            made.append(product)
        _expand(model.modules(), stored)
        _own(model, original, dtype)
    return sum(product.num_bytes for product in made)


def _rounded(weight: torch.Tensor | StoredWeight, bias: torch.Tensor | None, quantization: Quantization,
             dtype: torch.dtype) -> IntegerProduct:
    own = None if bias is None else bias.detach().to(dtype, copy=True)
    return (Int8Product if quantization is Quantization.INT8 else Int4Product).of(weight, own)


def _expand(layers: Iterable[nn.Module], stored: Mapping[nn.Module, StoredWeight]) -> None:
    """Put the weights of those layers that are stored into the model."""
    for layer in layers:
        if layer in stored:
            layer.weight = nn.Parameter(stored[layer].dense(), requires_grad=False)


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


def _own(model: PreTrainedModel, original: torch.dtype, dtype: torch.dtype) -> None:
    """Copy what is left out of the mapped files, so that they are released; what has the original dtype becomes `dtype`.

    transformers keeps some weights in float32 on purpose.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype if parameter.dtype == original else parameter.dtype, copy=True)
    for buffer in model.buffers():
        buffer.data = buffer.data.clone()
    model.config.dtype = dtype
