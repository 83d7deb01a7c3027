"""Linear layers whose products the engine computes itself, and one product for sibling layers that read the same input.

A `Product` is a weight in the layout of its kernel. `PackedLinear` takes the place of one layer of a model. A `Part` takes the place of
one of several siblings, such as q_proj, k_proj and v_proj, whose weights are one `Product`: the first sibling that is called
computes it for all. Not for training: no product has a gradient. Only one thread may compute with a model at a time.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

# Names of layers of one parent that read the same input, in the order in which their rows follow each other.
SIBLINGS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"), ("w1", "w3"))


class Product(ABC):
    """y = x W^T + b for x (..., in) and W (out, in); the result has the dtype of x."""

    kind: str               # how the weight is stored, for people
    rounds_inputs = False   # to bfloat16 where few rows are multiplied, so results depend a little on how many there are

    def __init__(self, out_features: int, in_features: int, bias: torch.Tensor | None) -> None:
        self.out_features, self.in_features = out_features, in_features
        self.bias = None if bias is None else bias.detach()

    @abstractmethod
    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...

    @property
    @abstractmethod
    def num_bytes(self) -> int:
        """Of the weight, its scales and the bias."""

    @abstractmethod
    def dense(self) -> torch.Tensor:
        """A copy of the weight in plain layout."""

    @property
    def bias_bytes(self) -> int:
        return 0 if self.bias is None else self.bias.nbytes


class PlainProduct(Product):
    """A weight in plain layout: on GPUs, and in dtypes that have no other layout."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        super().__init__(weight.shape[0], weight.shape[1], bias)
        self.weight = weight.detach()
        self.kind = str(weight.dtype).removeprefix("torch.")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.weight, self.bias)

    @property
    def num_bytes(self) -> int:
        return self.weight.nbytes + self.bias_bytes

    def dense(self) -> torch.Tensor:
        return self.weight.clone()


class PackedLinear(nn.Module):
    """One layer, computed by a product of its own."""

    def __init__(self, product: Product) -> None:
        super().__init__()
        self.product = product
        self.in_features, self.out_features = product.in_features, product.out_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.product(x)

    @property
    def weight(self) -> torch.Tensor:
        """A copy of the weight in plain layout, for code that inspects it."""
        return self.product.dense()

    @property
    def bias(self) -> torch.Tensor | None:
        return self.product.bias

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, {self.product.kind}"


class Shared:
    """One product for several layers. Remembers its last result until every layer has read it, or until its input is gone.

    A layer that reads twice, or another input object, computes again. An input that is changed in place between the layers
    is not noticed.
    """

    def __init__(self, product: Product, num_parts: int) -> None:
        self.product = product
        self._parts = num_parts
        self._read: set[int] = set()
        self._result: torch.Tensor | None = None
        self._input: weakref.ref[torch.Tensor] | None = None

    def read(self, part: int, x: torch.Tensor) -> torch.Tensor:
        """The result for all layers, of which `part` reads its columns."""
        result = self._result
        if result is None or self._input is None or self._input() is not x or part in self._read:
            result = self.product(x)
            self._read, self._result, self._input = set(), result, weakref.ref(x, self._drop)
        self._read.add(part)
        if len(self._read) == self._parts:
            self._drop(self._input)
        return result

    @property
    def holds_result(self) -> bool:
        return self._result is not None

    def _drop(self, gone: weakref.ref[torch.Tensor] | None) -> None:
        if gone is self._input:
            self._result = self._input = None


class Part(nn.Module):
    """One of several sibling layers: columns start to stop of a shared product."""

    def __init__(self, shared: Shared, index: int, start: int, stop: int) -> None:
        super().__init__()
        self.shared, self.start, self.stop = shared, start, stop
        self._index = index
        self.in_features, self.out_features = shared.product.in_features, stop - start

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shared.read(self._index, x)[..., self.start:self.stop]

    @property
    def weight(self) -> torch.Tensor:
        """A copy of the weight in plain layout, for code that inspects it."""
        return self.shared.product.dense()[self.start:self.stop].clone()

    @property
    def bias(self) -> torch.Tensor | None:
        bias = self.shared.product.bias
        return None if bias is None else bias[self.start:self.stop]

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, part of {self.shared.product.kind}"


Make = Callable[[Any, torch.Tensor | None], Product]


def joined(layers: Sequence[nn.Linear]) -> torch.Tensor:
    """The weights of layers as one, the rows of one layer after those of the other."""
    return layers[0].weight.detach() if len(layers) == 1 else torch.cat([layer.weight.detach() for layer in layers])


def replace_layers(model: nn.Module, make: Make, skip: Callable[[nn.Linear], bool],
                   weight_of: Callable[[Sequence[nn.Linear]], Any] = joined) -> list[Product]:
    """Replace the linear layers of `model` by products that `make` builds from weight and bias, siblings by one product.

    Each weight is freed before the next product is built, so memory never holds two copies of more than one. `skip`: layers to keep.
    `weight_of`: what `make` gets for a layer, or for siblings.
    """
    made: list[Product] = []
    for parent in [module for module in model.modules() if next(module.children(), None) is not None]:
        for names in SIBLINGS:
            if product := _fuse(parent, names, make, skip, weight_of):
                made.append(product)
        for name in list(dict(parent.named_children())):
            if product := _replace(parent, name, make, skip, weight_of):
                made.append(product)
    return made


def products(model: nn.Module) -> Iterator[Product]:
    """Every product of a model, a shared one once."""
    seen: set[int] = set()
    for module in model.modules():
        product = module.shared.product if isinstance(module, Part) else module.product if isinstance(module, PackedLinear) else None
        if product is not None and id(product) not in seen:
            seen.add(id(product))
            yield product


def _replace(parent: nn.Module, name: str, make: Make, skip: Callable[[nn.Linear], bool],
             weight_of: Callable[[Sequence[nn.Linear]], Any]) -> Product | None:
    layer = getattr(parent, name)
    if type(layer) is not nn.Linear or skip(layer):
        return None
    product = make(weight_of([layer]), layer.bias)
    setattr(parent, name, PackedLinear(product))
    return product


def _fuse(parent: nn.Module, names: Sequence[str], make: Make, skip: Callable[[nn.Linear], bool],
          weight_of: Callable[[Sequence[nn.Linear]], Any]) -> Product | None:
    layers = [getattr(parent, name, None) for name in names]
    linears = [layer for layer in layers if type(layer) is nn.Linear and not skip(layer)]
    if len(linears) < len(names) or not _are_alike(linears):
        return None
    biases = [layer.bias.detach() for layer in linears if layer.bias is not None]
    sizes = [layer.out_features for layer in linears]
    product = make(weight_of(linears), torch.cat(biases) if biases else None)
    put(parent, names, sizes, product)
    return product


def put(parent: nn.Module, names: Sequence[str], sizes: Sequence[int], product: Product) -> None:
    """Set parts of `product`, with these numbers of columns, in the places of sibling layers."""
    shared, start = Shared(product, len(names)), 0
    for index, (name, size) in enumerate(zip(names, sizes, strict=True)):
        setattr(parent, name, Part(shared, index, start, start + size))
        start += size


def _are_alike(linears: Sequence[nn.Linear]) -> bool:
    first = linears[0]
    return all((layer.in_features, layer.weight.dtype, layer.weight.device, layer.bias is None) ==
               (first.in_features, first.weight.dtype, first.weight.device, first.bias is None) for layer in linears)
