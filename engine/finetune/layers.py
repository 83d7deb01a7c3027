"""Which modules of a model are trained: its head, and the linear layers that an adapter is put on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Read by their weights alone in these families, so an adapter beside them would change nothing (peft refuses them too).
UNREACHED = frozenset({"out_proj", "dt_proj", "conv1d"})
RECURRENT = ("mamba", "falcon_mamba", "falcon_h1", "nemotron_h")
ROUTERS = ("router", "gate")


def head_modules(model: PreTrainedModel) -> tuple[str, ...]:
    """The modules of a headed model beside its base: those that the task brings, with random weights."""
    return tuple(name for name, part in model.named_children()
                 if part is not model.base_model and next(part.parameters(), None) is not None)


def linear_modules(model: PreTrainedModel, skipped: tuple[str, ...]) -> list[str]:
    """The linear layers that an adapter is put on: all but the output head, routers, and modules in `skipped`.

    By the last part of their names where that names no other layer.
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    output = model.get_output_embeddings()
    unreached = UNREACHED if str(model.config.model_type).startswith(RECURRENT) else frozenset()
    chosen: dict[str, bool] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | Conv1D):
            last = name.rpartition(".")[2]
            is_skipped = any(name == part or name.startswith(f"{part}.") for part in skipped)
            chosen[name] = not (module is output or is_skipped or last in unreached or last in ROUTERS)
    others = {name.rpartition(".")[2] for name, is_target in chosen.items() if not is_target}
    targets = [name for name, is_target in chosen.items() if is_target]
    ends = {name.rpartition(".")[2] for name in targets}
    return targets if ends & others or any(end.isdigit() for end in ends) else sorted(ends)
