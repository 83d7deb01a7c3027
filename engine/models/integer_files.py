"""The files of a model that integer_model.py rounded: safetensors, and the same on every processor.

A product is stored as `codes`, `scales` and perhaps `bias`, named after the layers that share it:
model.layers.0.self_attn.q_proj+k_proj+v_proj.codes. Codes are int8, or 4 bits, two to a byte.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from .integer import Int4Product, Int8Product, IntegerProduct
from .integer_model import unify
from .linear import SIBLINGS, PackedLinear, Part, put
from .loaded import Candidate
from .weight_files import class_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

FILE_BYTES = 2**30      # of one file, so that saving needs little memory
Tensors = dict[str, torch.Tensor]


def write(model: PreTrainedModel, folder: Path) -> None:
    """Write configuration and weights, one file after the other."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder)
    held: Tensors = {}
    count = 0
    for name, tensor in _tensors(model):
        if held and sum(each.nbytes for each in held.values()) + tensor.nbytes > FILE_BYTES:
            save_file(held, folder / f"model-{count:05}.safetensors", metadata={"format": "pt"})
            held, count = {}, count + 1
        held[name] = tensor
    save_file(held, folder / f"model-{count:05}.safetensors", metadata={"format": "pt"})


def read(candidate: Candidate, dtype: torch.dtype) -> tuple[PreTrainedModel, int]:
    """The model in the candidate's folder, written by `write`, and the bytes of its products.

    Raises ValueError if the files lack a tensor, and what safetensors raises for a damaged file.
    """
    from transformers import GenerationConfig

    folder = candidate.folder
    found, rest = _stored(folder, tuple(f"{part}." for part in candidate.vision_parts) if candidate.text_only else ())
    model = _empty(class_of(candidate), candidate.config, dtype)
    if (folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder)
    num_bytes = 0
    for key in list(found):
        product = _product(found.pop(key), key)
        path, _, names = key.rpartition(".")
        _place(model.get_submodule(path), names.split("+"), product)
        num_bytes += product.num_bytes
    if missing := sorted(set(model.state_dict()) - set(rest)):
        raise ValueError(f"the files lack {len(missing)} tensors, for example {missing[0]}")
    model.load_state_dict({name: tensor.clone() for name, tensor in rest.items()}, assign=True)
    return model, num_bytes


def _tensors(model: PreTrainedModel) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in model.state_dict().items():
        yield name, tensor.contiguous()
    for path, parent in model.named_modules():
        for names, product in _products(parent):
            key = f"{path}.{'+'.join(names)}".lstrip(".")
            for kind, tensor in product.tensors().items():
                yield f"{key}.{kind}", tensor
            if product.bias is not None:
                yield f"{key}.bias", product.bias


def _products(parent: nn.Module) -> Iterator[tuple[tuple[str, ...], IntegerProduct]]:
    """The products of a module's children, with the names of the children that share each."""
    for name, layer in parent.named_children():
        if isinstance(layer, PackedLinear) and isinstance(layer.product, IntegerProduct):
            yield (name,), layer.product
        elif isinstance(layer, Part) and layer.start == 0 and isinstance(layer.shared.product, IntegerProduct):
            yield next(names for names in SIBLINGS if name == names[0]), layer.shared.product


def _stored(folder: Path, left_out: tuple[str, ...]) -> tuple[dict[str, Tensors], Tensors]:
    """The tensors of each product, and all others. They are mapped from the files, not read. `left_out`: beginnings of names."""
    from safetensors.torch import load_file

    tensors = {name: tensor for path in sorted(folder.glob("model-*.safetensors")) for name, tensor in load_file(path).items()
               if not name.startswith(left_out)}
    keys = {name.removesuffix(".codes") for name in tensors if name.endswith(".codes")}
    found: dict[str, Tensors] = {key: {} for key in keys}
    for key in keys:
        for kind in ("codes", "scales", "bias"):
            if f"{key}.{kind}" in tensors:
                found[key][kind] = tensors.pop(f"{key}.{kind}")
    return found, tensors


def _empty(kind: type[PreTrainedModel], config: PretrainedConfig, dtype: torch.dtype) -> PreTrainedModel:
    """The model of this class with its buffers; each weight is one zero that is read again and again, which takes no memory."""
    from ..compat.transformers import weights_progress

    with torch.device("meta"):
        skeleton = kind(copy.deepcopy(config))
    zeros = {name: torch.zeros((), dtype=dtype).expand(tensor.shape) for name, tensor in skeleton.state_dict().items()}
    with weights_progress(iter):
        model: PreTrainedModel = kind.from_pretrained(None, config=copy.deepcopy(config), state_dict=zeros, dtype=dtype)
    unify(model)
    return model.eval()


def _product(tensors: Tensors, key: str) -> IntegerProduct:
    codes, scales, bias = tensors["codes"], tensors.get("scales"), tensors.get("bias")
    if scales is None:
        raise ValueError(f"the files lack {key}.scales")
    own = None if bias is None else bias.clone()
    if codes.dtype == torch.int8:
        return Int8Product(codes.clone(), scales.clone(), own)
    return Int4Product.of_tensors(codes, scales, own)


def _place(parent: nn.Module, names: list[str], product: IntegerProduct) -> None:
    if len(names) == 1:
        setattr(parent, names[0], PackedLinear(product))
    else:
        put(parent, names, [int(getattr(parent, name).out_features) for name in names], product)
