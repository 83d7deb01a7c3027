"""LoRA adapters, chosen by each reply: replies with and without one are computed in the same step.

y = W x + scale B A x (Hu et al. 2021, arXiv 2106.09685), where the second term is added only to the rows of replies that name the
adapter. A step without such replies computes exactly what it computes when no adapter is loaded. Files: checkpoint/adapter.py.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..checkpoint.adapter import KEY, AdapterConfig, UnsupportedAdapter, other_tensors, place_of, read_adapter_config
from ..checkpoint.files import ADAPTER_WEIGHTS
from ..errors import GenerationFailed, InvalidRequest
from ..models.linear import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


class AdapterRemoved(GenerationFailed):
    def __init__(self, name: str) -> None:
        super().__init__(f"the adapter {name} was removed.", "Load it again, or continue without it.")
        self.name = name


@dataclass(frozen=True, slots=True)
class _Delta:
    """down: (in, rank), up: (rank, out), with the scale in it."""

    down: torch.Tensor
    up: torch.Tensor


@dataclass(frozen=True, slots=True)
class Projection:
    """One product, and the columns of the modules in it: (name, begin, end)."""

    product: Callable[[torch.Tensor], torch.Tensor]
    columns: tuple[tuple[str, int, int], ...]
    adapters: Adapters

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        y = self.product(x)
        for rows, deltas in self.adapters.active:
            for name, begin, end in self.columns:
                if delta := deltas.get(name):
                    y[rows, begin:end] += x[rows] @ delta.down @ delta.up
        return y


class Adapters:
    """The loaded adapters of one model. `active`: rows of the current step, with the adapter of their reply.

    Our own forward pass asks for its products here (`projection`); a pass that calls the model's own code has the difference added to
    what its modules return (`attach`), for one adapter at a time.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names = {id(module): name for name, module in model.named_modules()}
        self._device, self._dtype = next((each.device, each.dtype) for each in model.parameters() if each.is_floating_point())
        self._sizes: dict[str, tuple[int, int]] = {}        # of each module that can be changed: in, out
        self._loaded: dict[str, tuple[int, dict[str, _Delta]]] = {}     # with a number that no other has
        self._ends: dict[str, frozenset[int]] = {}
        self._next_number = itertools.count(1)
        self.active: list[tuple[slice, dict[str, _Delta]]] = []
        self._for_all: dict[str, _Delta] = {}
        self._is_attached = False

    def attach(self, model: nn.Module) -> None:
        """Add the adapter of `use_for_all` to the results of the model's linear layers, those that its code calls as modules."""
        if self._is_attached:
            return
        self._is_attached, self._sizes = True, {}
        for name, module in model.named_modules():
            if sizes := _sizes_of(module):
                module.register_forward_hook(partial(self._after, name, sizes))

    def _after(self, name: str, sizes: tuple[int, int], module: nn.Module, inputs: tuple[torch.Tensor, ...],
               y: torch.Tensor) -> torch.Tensor | None:
        if not inputs:
            return None
        self._sizes[name] = sizes       # known from its first call: weights that are read without one cannot be changed
        delta = self._for_all.get(name)
        return None if delta is None else y + (inputs[0].to(delta.down.dtype) @ delta.down @ delta.up).to(y.dtype)

    def projection(self, *modules: Any) -> Projection:
        """One function for modules that read the same input: their results side by side."""
        columns, begin = [], 0
        for module in modules:
            name = self._names[id(module)]
            self._sizes[name] = (module.in_features, module.out_features)
            columns.append((name, begin, begin + module.out_features))
            begin += module.out_features
        return Projection(_product(modules), tuple(columns), self)

    def add(self, name: str, folder: Path, ends: frozenset[int] = frozenset()) -> None:
        """Load an adapter under a name; an older one of that name is replaced. `ends`: tokens that end its replies too.

        Raises InvalidRequest and UnsupportedAdapter.
        """
        if not name:
            raise InvalidRequest("adapter", name, "a name")
        deltas = self._read(name, folder)
        self._ends[name] = ends
        self._loaded[name] = (next(self._next_number), deltas)

    def remove(self, name: str) -> None:
        """Forget it. Replies that use it end with AdapterRemoved."""
        self._loaded.pop(name, None)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._loaded)

    def number(self, name: str | None) -> int:
        """Of the adapter that has this name now; 0 without one. What is cached depends on it."""
        found = self._loaded.get(name or "")
        return found[0] if found else 0

    def ends(self, name: str | None) -> frozenset[int]:
        """Tokens that end a reply of this adapter, beside those of the model."""
        return self._ends.get(name or "", frozenset())

    def use(self, spans: list[tuple[slice, str | None]]) -> None:
        """The rows of the next step, with the names of their adapters. Raises AdapterRemoved."""
        self.active = [(rows, self._find(name)[1]) for rows, name in spans if name]

    def use_for_all(self, name: str | None) -> int:
        """The adapter of all rows from now on, or none. Returns its number (see `number`). Raises AdapterRemoved."""
        number, self._for_all = self._find(name) if name else (0, {})
        return number

    def require(self, name: str | None, number: int) -> None:
        """Raises AdapterRemoved if the adapter of this name is no longer the one with this number."""
        if self.number(name) != number:
            raise AdapterRemoved(name or "")

    def _find(self, name: str) -> tuple[int, dict[str, _Delta]]:
        found = self._loaded.get(name)
        if found is None:
            raise AdapterRemoved(name)
        return found

    def _read(self, name: str, folder: Path) -> dict[str, _Delta]:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        config = read_adapter_config(folder, name)
        if config.obstacle:
            raise UnsupportedAdapter(name, config.obstacle)
        try:
            tensors = load_file(folder / ADAPTER_WEIGHTS)
        except (OSError, ValueError, SafetensorError) as error:
            raise UnsupportedAdapter(name, f"its {ADAPTER_WEIGHTS} cannot be read ({str(error)[:200]}).") from error
        if others := other_tensors(tensors):
            raise UnsupportedAdapter(name, f"it is an adapter that changes more than products ({others[0][:100]}).")
        matrices: dict[str, dict[str, torch.Tensor]] = {}
        for key, tensor in tensors.items():
            if match := KEY.fullmatch(key):
                matrices.setdefault(match["module"], {})[match["matrix"]] = tensor
        return dict(self._delta(module, pair, config, name) for module, pair in matrices.items())

    def _delta(self, module: str, pair: dict[str, torch.Tensor], config: AdapterConfig, adapter: str) -> tuple[str, _Delta]:
        place = place_of(module, self._sizes)
        if place is None:
            raise UnsupportedAdapter(adapter, f"it changes {module}, which is no product that this model computes for text.")
        into, out = self._sizes[place]
        if set(pair) != {"A", "B"} or pair["A"].shape[1] != into or pair["B"].shape != (out, pair["A"].shape[0]):
            raise UnsupportedAdapter(adapter, f"it is an adapter of another model: {module} is {into} to {out} here.")
        down, up = pair["A"].float().T, pair["B"].float().T * config.scale(module, len(pair["A"]))
        return place, _Delta(*(each.contiguous().to(self._device, self._dtype) for each in (down, up)))


def require_adapter(name: str | None, adapters: Adapters | None) -> None:
    """Raise InvalidRequest if a reply names an adapter that it cannot have. adapters: None for a model that cannot have any."""
    if name and adapters is None:
        raise InvalidRequest("adapter", name, "left out: this model has no adapters here")
    if name and adapters is not None and name not in adapters.names:
        raise InvalidRequest("adapter", name, f"one that is loaded ({', '.join(adapters.names) or 'none is'})")


def _sizes_of(module: Any) -> tuple[int, int] | None:
    """Columns in and rows out of a linear layer, also GPT-2's; None for other modules."""
    sizes = [getattr(module, name, None) for name in ("in_features", "out_features")]
    if type(module).__name__ == "Conv1D":
        sizes = [getattr(module, name, None) for name in ("nx", "nf")]
    return (sizes[0], sizes[1]) if all(isinstance(size, int) for size in sizes) else None      # type: ignore[return-value]


def _product(modules: tuple[Any, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
    """The modules' shared product, or their own ones side by side."""
    shared = {id(module.shared): module.shared for module in modules if isinstance(module, Part)}
    if len(shared) == 1 and all(isinstance(module, Part) for module in modules):
        joint: Callable[[torch.Tensor], torch.Tensor] = next(iter(shared.values())).product
        return joint
    products = [getattr(module, "product", None) or module for module in modules]
    if len(products) == 1:
        only: Callable[[torch.Tensor], torch.Tensor] = products[0]
        return only
    return lambda x: torch.cat([product(x) for product in products], dim=-1)
