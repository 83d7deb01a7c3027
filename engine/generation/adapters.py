"""LoRA adapters, chosen by each reply: replies with and without one are computed in the same step.

y = W x + scale B A x (Hu et al. 2021, arXiv 2106.09685), where the second term is added only to the rows of replies that name the
adapter. A step without such replies computes exactly what it computes when no adapter is loaded. Files are those of peft:
adapter_config.json and adapter_model.safetensors.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..errors import InvalidRequest
from ..models.linear import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<matrix>[AB])\.weight")
UNSUPPORTED = ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save", "fan_in_fan_out", "layer_replication")


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
    """The loaded adapters of one model. `active`: rows of the current step, with the adapter of their reply."""

    def __init__(self, model: nn.Module) -> None:
        self._names = {id(module): name for name, module in model.named_modules()}
        self._device, self._dtype = next((each.device, each.dtype) for each in model.parameters() if each.is_floating_point())
        self._sizes: dict[str, tuple[int, int]] = {}        # of each projection: in, out
        self._loaded: dict[str, tuple[int, dict[str, _Delta]]] = {}     # with a number that no other has
        self._next_number = itertools.count(1)
        self.active: list[tuple[slice, dict[str, _Delta]]] = []

    def projection(self, *modules: Any) -> Projection:
        """One function for modules that read the same input: their results side by side."""
        columns, begin = [], 0
        for module in modules:
            name = self._names[id(module)]
            self._sizes[name] = (module.in_features, module.out_features)
            columns.append((name, begin, begin + module.out_features))
            begin += module.out_features
        return Projection(_product(modules), tuple(columns), self)

    def add(self, name: str, folder: Path) -> None:
        """Load an adapter under a name; an older one of that name is replaced. Raises InvalidRequest."""
        if not name:
            raise InvalidRequest("adapter", name, "a name")
        self._loaded[name] = (next(self._next_number), self._read(folder))

    def remove(self, name: str) -> None:
        """Forget it. Replies that use it are computed again, and go on, without."""
        self._loaded.pop(name, None)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._loaded)

    def number(self, name: str) -> int:
        """Of the adapter that has this name now; 0 without one. What is cached depends on it."""
        return self._loaded[name][0] if name in self._loaded else 0

    def use(self, spans: list[tuple[slice, str]]) -> None:
        """The rows of the next step, with the names of their adapters."""
        self.active = [(rows, found[1]) for rows, name in spans if name and (found := self._loaded.get(name))]

    def _read(self, folder: Path) -> dict[str, _Delta]:
        from safetensors.torch import load_file

        try:
            config = json.loads((folder / CONFIG).read_text("utf-8"))
            tensors = load_file(folder / WEIGHTS)
            rank, alpha = int(config["r"]), float(config["lora_alpha"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidRequest("adapter", folder.name, f"a folder with {CONFIG} and {WEIGHTS} of peft ({str(error)[:200]})") from error
        special = [field for field in UNSUPPORTED if config.get(field)]
        if config.get("peft_type") != "LORA" or special or config.get("bias", "none") != "none":
            what = ", ".join(special) or "another type, or biases"
            raise InvalidRequest("adapter", folder.name, f"a plain LoRA adapter (this one has {what})")
        scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
        matrices: dict[str, dict[str, torch.Tensor]] = {}
        for key, tensor in tensors.items():
            found = KEY.fullmatch(key)
            if found is None or found["module"] not in self._sizes:
                raise InvalidRequest("adapter", folder.name, f"an adapter of this model's projections (it has {key})")
            matrices.setdefault(found["module"], {})[found["matrix"]] = tensor
        return {module: self._delta(module, pair, scale, folder.name) for module, pair in matrices.items()}

    def _delta(self, module: str, pair: dict[str, torch.Tensor], scale: float, folder: str) -> _Delta:
        into, out = self._sizes[module]
        if set(pair) != {"A", "B"} or pair["A"].shape[1] != into or pair["B"].shape != (out, pair["A"].shape[0]):
            raise InvalidRequest("adapter", folder, f"an adapter of this model: {module} is {into} to {out} here")
        down, up = pair["A"].float().T, pair["B"].float().T * scale
        return _Delta(*(each.contiguous().to(self._device, self._dtype) for each in (down, up)))


def require_adapter(name: str, adapters: Adapters | None) -> None:
    """Raise InvalidRequest if a reply names an adapter that it cannot have. adapters: None for a model that cannot have any."""
    if name and adapters is None:
        raise InvalidRequest("adapter", name, "left out: adapters need MindCubes' own forward pass, which does not run this model")
    if name and adapters is not None and name not in adapters.names:
        raise InvalidRequest("adapter", name, f"one that is loaded ({', '.join(adapters.names) or 'none is'})")


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
