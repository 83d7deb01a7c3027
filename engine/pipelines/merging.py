"""Adds an adapter to the weights of a model in memory, and puts the head that it brings in its place.

Not peft's own loading: its configuration holds regular expressions and names of modules to import, and a stranger may have written it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..checkpoint.adapter import KEY, UnsupportedAdapter, place_of, read_matrices, read_whole, whole_name
from ..checkpoint.files import ADAPTER_WEIGHTS
from ..models.adapters import Adapter

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

def require_fitting(skeleton: PreTrainedModel, adapter: Adapter) -> None:
    """Check the adapter's sizes against those of the model. Raises UnsupportedAdapter."""
    modules, weights = dict(skeleton.named_modules()), dict(skeleton.named_parameters())
    for name, (into, _, out) in read_matrices(adapter.folder, adapter.name).items():
        _product(modules, name, (out, into), adapter)
    for name, sizes in read_whole(adapter.folder, adapter.name).items():
        _require_head(weights.get(name), name, sizes, adapter)


def merge(model: PreTrainedModel, adapter: Adapter) -> None:
    """W + scale B A for each product (checkpoint/adapter.py). Raises UnsupportedAdapter if it does not fit the model."""
    import torch
    from safetensors.torch import load_file

    tensors = load_file(adapter.folder / ADAPTER_WEIGHTS)
    matrices: dict[str, dict[str, torch.Tensor]] = {}
    modules, weights = dict(model.named_modules()), dict(model.named_parameters())
    with torch.no_grad():
        for key, tensor in tensors.items():
            if match := KEY.fullmatch(key):
                matrices.setdefault(match["module"], {})[match["matrix"]] = tensor.float()
            else:
                _replace(weights, key, tensor, adapter)
        for name, pair in matrices.items():
            if set(pair) != {"A", "B"}:
                raise UnsupportedAdapter(adapter.name, f"its matrices of {name} do not fit each other.")
            difference = pair["B"] @ pair["A"] * adapter.config.scale(name, len(pair["A"]))
            module = _product(modules, name, tuple(difference.shape), adapter)
            module.weight.copy_(module.weight.float() + (difference.T if _is_transposed(module) else difference))


def _product(modules: Mapping[str, Any], name: str, sizes: tuple[int, ...], adapter: Adapter) -> Any:
    """The module that an adapter changes. `sizes`: out, in. Raises UnsupportedAdapter."""
    place = place_of(name, modules)
    if place is None:
        raise UnsupportedAdapter(adapter.name, f"it changes {name}, which its base does not have.")
    module = modules[place]
    weight = getattr(module, "weight", None)
    if weight is None or tuple(weight.shape) != (sizes[::-1] if _is_transposed(module) else sizes):
        raise UnsupportedAdapter(adapter.name, f"it does not fit its base: {name} has another size there.")
    return module


def _is_transposed(module: Any) -> bool:
    """GPT-2 stores its weights the other way round."""
    return type(module).__name__ == "Conv1D"


def _require_head(weight: torch.Tensor | None, name: str, sizes: Sequence[int], adapter: Adapter) -> None:
    """Check that a tensor that is stored whole is one of the head. Raises UnsupportedAdapter."""
    if weight is None or list(weight.shape) != list(sizes) or not any(head in name.split(".") for head in adapter.config.heads):
        raise UnsupportedAdapter(adapter.name, f"it changes more than products and its head ({name[:100]}).")


def _replace(weights: Mapping[str, torch.Tensor], key: str, tensor: torch.Tensor, adapter: Adapter) -> None:
    """A tensor of a module that was trained as a whole: the head."""
    name = whole_name(key)
    _require_head(weights.get(name), name, tensor.shape, adapter)
    weights[name].copy_(tensor)
