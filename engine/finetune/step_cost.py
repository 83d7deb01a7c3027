"""What one training step keeps in memory and computes, counted on a model without weights.

The model is built with PyTorch's fake tensors, which have shapes and no memory, and runs one step forwards and backwards: every tensor
that the backward pass will need is counted once (autograd's saved-tensor hooks), and every product of matrices (FlopCounterMode). So
the numbers are those of this model's own code. Where that code depends on values, as the choice of experts does, formulas take its place.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..checkpoint.shape import ModelShape
from .plan import HEADED, Method, Task

if TYPE_CHECKING:
    from ..compat.heads import HeadedTask

VALUE_BYTES = 4
# Values that a layer keeps for each token: in multiples of its width (two norms with their inputs, query, key, value, attention's and the
# layer's output) and of the width of its feed-forward part (gate, up, their activation and product). Korthikanti et al. 2022 (arXiv
# 2205.05198) count 34 bytes of 16-bit values for a width with a feed-forward part of four times that width: 17 values.
WIDTH_COPIES, INNER_COPIES = 12, 4
BACKWARD = {"full": 2.0, "lora": 1.15, "qlora": 1.15}       # products of the backward pass, in those of the forward pass; adapters beside


@dataclass(frozen=True, slots=True)
class StepCost:
    """Of one token in a row of the given length. `kept_bytes`: without logits, in 32 bits. `flops`: forwards and backwards.

    `input_bytes`: of one layer's input, which is all that a layer keeps if its activations are computed again. `is_counted`: not by
    formulas.
    """

    kept_bytes: float
    layer_bytes: float
    input_bytes: float
    flops: float
    forward_flops: float
    adapter_values: int
    head_values: int
    is_counted: bool


@lru_cache(maxsize=32)
def step_cost(folder: Path | None, shape: ModelShape, task: Task, method: Method, rank: int, labels: int, tokens: int) -> StepCost:
    """`folder`: None for a model that is not on this disk. `tokens`: of a row."""
    if folder is not None and not shape.expert_weights:
        with suppress(Exception):       # the code of any model: what it raises on fake tensors is no fault of the run
            return _counted(folder, shape, task, method, rank, labels, tokens)
    return _by_formula(shape, task, method, rank, labels)


def _by_formula(shape: ModelShape, task: Task, method: Method, rank: int, labels: int) -> StepCost:
    layer = VALUE_BYTES * (WIDTH_COPIES * shape.hidden_size + INNER_COPIES * shape.intermediate_size * shape.expert_share)
    linear, _ = shape.weights_per_token
    head = 0 if task in HEADED else shape.vocab_size * shape.hidden_size
    forward = 2.0 * (linear + shape.expert_weights * shape.expert_share + head)
    per_layer = 2 * (4 * shape.hidden_size + 3 * (shape.hidden_size + shape.intermediate_size) // 2)     # in + out of its matrices
    adapter = 0 if method == "full" else rank * shape.layers * per_layer
    return StepCost(layer * shape.layers, layer, VALUE_BYTES * shape.hidden_size, forward * (1 + BACKWARD[method]), forward, adapter,
                    shape.hidden_size * labels if task in HEADED else 0, is_counted=False)


def _counted(folder: Path, shape: ModelShape, task: Task, method: Method, rank: int, labels: int, tokens: int) -> StepCost:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    with FakeTensorMode():
        model, adapter, head = _fake_model(folder, task, method, rank, labels)
        own = {_storage(each) for each in (*model.parameters(), *model.buffers())}
        kept: dict[int, tuple[int, bool]] = {}

        def keep(tensor: Any) -> Any:
            if _storage(tensor) not in own:
                is_logits = task not in HEADED and shape.vocab_size in tensor.shape[-1:]
                kept[_storage(tensor)] = (tensor.untyped_storage().nbytes(), is_logits)
            return tensor

        ids = torch.zeros(1, tokens, dtype=torch.long)
        with FlopCounterMode(display=False) as forward, torch.autograd.graph.saved_tensors_hooks(keep, lambda each: each):
            loss = model(input_ids=ids, attention_mask=torch.ones_like(ids), **_labels(task, ids)).loss
        with FlopCounterMode(display=False) as backward:
            loss.backward()
    size = sum(count for count, is_logits in kept.values() if not is_logits) / tokens
    ahead = forward.get_total_flops() / tokens
    return StepCost(size, size / max(1, shape.layers), VALUE_BYTES * shape.hidden_size, ahead + backward.get_total_flops() / tokens, ahead,
                    adapter, head, is_counted=True)


def _fake_model(folder: Path, task: Task, method: Method, rank: int, labels: int) -> tuple[Any, int, int]:
    """The model in training mode, with the values of its adapter and of its head."""
    import torch

    from ..checkpoint.config import parse_config, read_raw_config
    from ..compat.heads import head_class
    from ..models.model_class import auto_class, vision_parts
    from .layers import head_modules, linear_modules

    config: Any = parse_config(read_raw_config(folder, folder.name), folder.name)
    text: Any = config.get_text_config()
    text.pad_token_id = text.pad_token_id or 0
    config.use_cache = False
    if task in HEADED:
        config.num_labels = max(2, labels)
        config.problem_type = "single_label_classification" if task == "text-classification" else None
        kind = head_class(cast("HeadedTask", task), config)
        assert kind is not None     # refused by bases.py
        model = kind(config)
    else:
        model = auto_class(config).from_config(config, dtype=torch.float32)
    heads = head_modules(model) if task in HEADED else ()
    head = sum(each.numel() for name in heads for each in model.get_submodule(name).parameters())
    adapter = 0
    if method != "full":
        model.requires_grad_(False)
        for name in heads:
            model.get_submodule(name).requires_grad_(True)
        adapter = _adapt(model, linear_modules(model, (*heads, *vision_parts(model))), rank)
    return model.train(), adapter, head


def _adapt(model: Any, targets: list[str], rank: int) -> int:
    """Put pairs of small matrices beside layers, computed as peft does; return how many values they have."""
    import torch
    from torch import nn

    class Adapted(nn.Module):
        def __init__(self, base: nn.Module) -> None:
            super().__init__()
            into, out = _sizes(base)
            self.base, self.weight = base, cast(Any, base).weight
            self.down, self.up = nn.Parameter(torch.empty(rank, into)), nn.Parameter(torch.empty(out, rank))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            added = nn.functional.linear(nn.functional.linear(x, self.down), self.up) * 1.0
            return cast(torch.Tensor, self.base(x)) + added

    count = 0
    for name in [name for name, _ in model.named_modules() if name in targets or name.rpartition(".")[2] in targets]:
        parent, _, last = name.rpartition(".")
        adapted = Adapted(model.get_submodule(name))
        setattr(model.get_submodule(parent), last, adapted)
        count += adapted.down.numel() + adapted.up.numel()
    return count


def _sizes(layer: Any) -> tuple[int, int]:
    """Inputs and outputs; of GPT-2's own layer, whose matrix lies the other way, too."""
    if hasattr(layer, "in_features"):
        return layer.in_features, layer.out_features
    return int(layer.weight.shape[0]), int(layer.weight.shape[1])


def _labels(task: Task, ids: Any) -> dict[str, Any]:
    if task == "question-answering":
        return {"start_positions": ids[:, 0], "end_positions": ids[:, 0]}
    return {"labels": ids[:, 0] if task == "text-classification" else ids}


def _storage(tensor: Any) -> int:
    return cast(int, tensor.untyped_storage()._cdata)
