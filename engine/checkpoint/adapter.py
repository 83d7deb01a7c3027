"""The files of a LoRA adapter, as peft writes them: what they say, and which products they change. No tensor is read.

y = W x + scale B A x (Hu et al. 2021, arXiv 2106.09685), with scale = alpha / rank, or alpha / sqrt(rank) (rsLoRA, arXiv 2312.03732).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import LoadError, UnsupportedModel
from .files import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from .shape import header_tensors
from .stored_quantization import Tensor

KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<matrix>[AB])(?:\.default)?\.weight")
PREFIX = "base_model.model."        # of peft's names
# Kinds of LoRA that compute something else, or change more than products. modules_to_save: heads, for tasks other than text.
UNSUPPORTED = ("use_dora", "layer_replication", "lora_bias", "trainable_token_indices", "target_parameters", "alora_invocation_tokens",
               "use_qalora", "use_bdlora", "megatron_config", "arrow_config", "kasa_config", "velora_config", "monteclora_config")
HARMLESS_STARTS = ("gaussian", "orthogonal", "eva")     # other named beginnings also change the base's weights
PLAIN_NAME = re.compile(r"\^?[\w.]+")                   # of a module in alpha_pattern; peft reads regular expressions
TEXT_TASKS = ("", "CAUSAL_LM")
MOST_NAME = 300


class UnsupportedAdapter(UnsupportedModel):
    def __init__(self, adapter: str, why: str) -> None:
        LoadError.__init__(self, adapter, why, "Choose a LoRA adapter with safetensors weights, made for the model that it is loaded with.")


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """`base`: as it was written, a name on the hub or a folder. `heads`: modules that are stored whole, beside the products.

    `obstacle`: why it cannot be used, a clause with its full stop, or "". `task`: peft's task_type, or "".
    """

    base: str
    base_revision: str | None
    rank: int
    alpha: float
    is_root_scaled: bool = False
    alphas: Mapping[str, float] = field(default_factory=dict)
    heads: tuple[str, ...] = ()
    task: str = ""
    obstacle: str = ""

    @property
    def is_for_text(self) -> bool:
        """Whether it changes a model that writes text, and not one with the head of another task."""
        return self.task in TEXT_TASKS

    def scale(self, module: str, rank: int) -> float:
        """`rank`: of this module's matrices."""
        alpha = next((value for name, value in self.alphas.items() if _names(name, module)), self.alpha)
        return alpha / (math.sqrt(rank) if self.is_root_scaled else rank)


def read_adapter_config(folder: Path, name: str) -> AdapterConfig:
    """Raises UnsupportedAdapter if the file cannot be read; what cannot be used is its `obstacle`."""
    try:
        raw = json.loads((folder / ADAPTER_CONFIG).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnsupportedAdapter(name, f"its {ADAPTER_CONFIG} cannot be read.") from error
    return parse_adapter_config(raw)


def parse_adapter_config(raw: object) -> AdapterConfig:
    if not isinstance(raw, dict):
        return _unusable(f"its {ADAPTER_CONFIG} is not peft's.")
    base, revision, heads = raw.get("base_model_name_or_path"), raw.get("revision"), raw.get("modules_to_save") or ()
    try:
        rank, alpha = int(raw["r"]), float(raw.get("lora_alpha", 8))
        alphas = {str(name): float(value) for name, value in (raw.get("alpha_pattern") or {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return _unusable(f"its {ADAPTER_CONFIG} is not that of a LoRA adapter of peft (it has no rank).")
    return AdapterConfig(
        base=base.strip()[:MOST_NAME] if isinstance(base, str) else "", base_revision=revision if isinstance(revision, str) else None,
        rank=rank, alpha=alpha, is_root_scaled=bool(raw.get("use_rslora")), alphas=alphas,
        heads=tuple(str(head) for head in heads) if isinstance(heads, list) else (), task=str(raw.get("task_type") or ""),
        obstacle=_obstacle(raw, rank, [alpha, *alphas.values()]))


def read_matrices(folder: Path, name: str) -> dict[str, tuple[int, int, int]]:
    """The products that an adapter changes, by the names of their modules: columns in, rank, rows out.

    Tensors that are not LoRA matrices are left out. Raises UnsupportedAdapter.
    """
    found: dict[str, dict[str, list[int]]] = {}
    for key, sizes, _ in _tensors(folder, name):
        if match := KEY.fullmatch(key):
            found.setdefault(match["module"], {})[match["matrix"]] = sizes
    matrices = {}
    for module, pair in found.items():
        down, up = pair.get("A", []), pair.get("B", [])
        if len(down) != 2 or len(up) != 2 or down[0] != up[1]:
            raise UnsupportedAdapter(name, f"its matrices of {module} do not fit each other.")
        matrices[module] = (down[1], down[0], up[0])
    if not matrices:
        raise UnsupportedAdapter(name, f"its {ADAPTER_WEIGHTS} has no LoRA matrices.")
    return matrices


def _tensors(folder: Path, name: str) -> list[Tensor]:
    try:
        return list(header_tensors(folder / ADAPTER_WEIGHTS, name))
    except UnsupportedModel as error:
        raise UnsupportedAdapter(name, error.what) from error


def read_whole(folder: Path, name: str) -> dict[str, list[int]]:
    """The sizes of the tensors that take the place of the model's own, by its names of them. Raises UnsupportedAdapter."""
    return {whole_name(key): sizes for key, sizes, _ in _tensors(folder, name) if not KEY.fullmatch(key)}


def whole_name(key: str) -> str:
    """The model's name of a tensor that peft stores as a whole."""
    return key.removeprefix(PREFIX).replace(".modules_to_save.default", "").replace(".modules_to_save", "")


def other_tensors(names: Iterable[str]) -> list[str]:
    """Those that are no LoRA matrices."""
    return [name for name in names if not KEY.fullmatch(name)]


def place_of(module: str, known: Collection[str]) -> str | None:
    """The module of a model that an adapter's module is: of the same name, or the only one with the same place in its layers.

    A model that also reads pictures has its layers elsewhere than the same model for text alone.
    """
    if module in known:
        return module
    _, mark, tail = module.rpartition("layers.") if module.count("layers.") == 1 else ("", "", "")
    found = [name for name in known if mark and name.endswith(f".{mark}{tail}")]
    return found[0] if len(found) == 1 else None


def _obstacle(raw: Mapping[str, Any], rank: int, alphas: list[float]) -> str:
    kind, begun = raw.get("peft_type"), raw.get("init_lora_weights")
    special = [name for name in UNSUPPORTED if raw.get(name)]
    if kind != "LORA":
        return f"it is an adapter of another kind ({str(kind)[:40]}); LoRA adapters can be used."
    if special:
        return f"it is not a plain LoRA adapter ({', '.join(special)})."
    if raw.get("bias", "none") != "none":
        return "it is an adapter that also changes biases."
    if isinstance(begun, str) and not begun.lower().startswith(HARMLESS_STARTS):
        return f"it is an adapter whose training also changed the base's weights ({begun[:40]})."
    if not all(PLAIN_NAME.fullmatch(str(name)) for name in raw.get("alpha_pattern") or {}):
        return "it is an adapter whose alpha_pattern has regular expressions."
    if raw.get("modules_to_save") and str(raw.get("task_type") or "") in TEXT_TASKS:
        return f"it is an adapter that also replaces whole modules ({', '.join(map(str, raw['modules_to_save']))[:100]})."
    if rank < 1 or not all(math.isfinite(alpha) for alpha in alphas):
        return f"its {ADAPTER_CONFIG} has numbers that make no sense."
    return ""


def _names(pattern: str, module: str) -> bool:
    """Whether a name of alpha_pattern means this module: its end, or all of it after a ^ (peft's get_pattern_key)."""
    if pattern.startswith("^"):
        return module == pattern[1:]
    return module == pattern or module.endswith(f".{pattern}")


def _unusable(obstacle: str) -> AdapterConfig:
    return AdapterConfig("", None, 0, 0.0, obstacle=obstacle)
