"""Adds an adapter to the weights of a model in memory, and puts the head that it brings in its place.

Not peft's own loading: its configuration holds regular expressions and names of modules to import, and a stranger may have written it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..checkpoint.adapter import KEY, UnsupportedAdapter, place_of
from ..checkpoint.files import ADAPTER_WEIGHTS
from ..models.adapters import Adapter

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

PREFIX = "base_model.model."    # of peft's names


def merge(model: PreTrainedModel, adapter: Adapter) -> None:
    """W + scale B A for each product (checkpoint/adapter.py). Raises UnsupportedAdapter if it does not fit the model."""
    import torch
    from safetensors.torch import load_file

    tensors = load_file(adapter.folder / ADAPTER_WEIGHTS)
    matrices: dict[str, dict[str, torch.Tensor]] = {}
    modules = dict(model.named_modules())
    with torch.no_grad():
        for key, tensor in tensors.items():
            if match := KEY.fullmatch(key):
                matrices.setdefault(match["module"], {})[match["matrix"]] = tensor.float()
            else:
                _replace(model, key, tensor, adapter)
        for name, pair in matrices.items():
            place = place_of(name, modules)
            if place is None or set(pair) != {"A", "B"}:
                raise UnsupportedAdapter(adapter.name, f"it changes {name}, which its base does not have.")
            _add(modules[place], name, pair["B"] @ pair["A"] * adapter.config.scale(name, len(pair["A"])), adapter)


def _add(module: Any, name: str, difference: torch.Tensor, adapter: Adapter) -> None:
    """`difference`: (out, in). GPT-2 stores its weights the other way round."""
    difference = difference.T if type(module).__name__ == "Conv1D" else difference
    weight = getattr(module, "weight", None)
    if weight is None or weight.shape != difference.shape:
        raise UnsupportedAdapter(adapter.name, f"it does not fit its base: {name} has another size there.")
    weight.copy_(weight.float() + difference)


def _replace(model: PreTrainedModel, key: str, tensor: torch.Tensor, adapter: Adapter) -> None:
    """A tensor of a module that was trained as a whole: the head."""
    name = key.removeprefix(PREFIX).replace(".modules_to_save.default", "").replace(".modules_to_save", "")
    weight = dict(model.named_parameters()).get(name)
    if weight is None or weight.shape != tensor.shape or not any(head in name.split(".") for head in adapter.config.heads):
        raise UnsupportedAdapter(adapter.name, f"it changes more than products and its head ({key[:100]}).")
    weight.copy_(tensor)
