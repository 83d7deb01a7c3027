"""Reads from config.json whether and how transformers can load the model. Code from a repository is never run."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compat.transformers import is_causal_architecture, is_causal_class, is_known_architecture, reads_pictures
from ..errors import UnsupportedModel
from .stored_quantization import obstacle

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# The attention kernel that a model was saved with is irrelevant on this machine: transformers chooses one that is installed here.
KERNELS = ("_attn_implementation", "attn_implementation", "_attn_implementation_internal")
# Fields that change the attention of any architecture, though only some define them: the cache of others would drop tokens.
ATTENTION_FIELDS = ("sliding_window", "attention_chunk_size", "layer_types")
DTYPES = ("dtype", "torch_dtype")


def read_config(folder: Path, model: str) -> PretrainedConfig:
    """The configuration of a causal language model that transformers knows. Raises UnsupportedModel."""
    raw = read_raw_config(folder, model)
    if reason := unsupported_reason(raw):
        raise UnsupportedModel(model, reason)
    return parse_config(raw, model)


def read_gguf_config(folder: Path, gguf: str, model: str) -> PretrainedConfig:
    """The configuration that transformers makes of the header of a GGUF file. Raises UnsupportedModel."""
    from importlib.util import find_spec

    from transformers import AutoConfig

    if find_spec("gguf") is None:
        raise UnsupportedModel(model, "GGUF files are read with the package gguf, which is not installed (pip install gguf).")
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder, gguf_file=gguf, trust_remote_code=False)
    except Exception as error:      # any failure that a file can provoke
        raise UnsupportedModel(model, f"transformers cannot read {gguf} ({str(error).strip()[:200]}).") from error
    if reason := unsupported_reason(config.to_dict()):
        raise UnsupportedModel(model, reason)
    return config


def parse_config(raw: Mapping[str, Any], model: str) -> PretrainedConfig:
    """Return a config.json as transformers reads it, with the defaults of its architecture, without fields that must not apply here.

    Raises UnsupportedModel.
    """
    from transformers import CONFIG_MAPPING

    try:
        kind = CONFIG_MAPPING[raw["model_type"]]
        return kind.from_dict(_cleaned(raw, frozenset(kind().to_dict())))
    except Exception as error:      # any failure that a configuration can provoke
        raise UnsupportedModel(model, f"its config.json makes no sense ({str(error).strip().splitlines()[-1][:200]}).") from error


def _cleaned(raw: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """`known`: the fields that this architecture has."""
    kept = {name: value for name, value in raw.items()
            if name not in KERNELS and not (name in ATTENTION_FIELDS and name not in known)}
    for name in DTYPES:
        if isinstance(kept.get(name), str):
            kept[name] = kept[name].removeprefix("torch.")
    if isinstance(kept.get("text_config"), dict):
        kept["text_config"] = {name: value for name, value in kept["text_config"].items() if name not in KERNELS}
    return kept


def read_raw_config(folder: Path, model: str) -> dict[str, Any]:
    """config.json as it is written, read without transformers. Raises UnsupportedModel."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"), object_hook=_special_float)
    except FileNotFoundError as error:
        raise UnsupportedModel(model, "it has no config.json.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UnsupportedModel(model, "its config.json cannot be read.") from error
    if not isinstance(config, dict):
        raise UnsupportedModel(model, "its config.json is not a model's.")
    return config


def _special_float(value: dict[str, Any]) -> Any:
    """transformers writes infinity, which JSON does not have, as {"__float__": "Infinity"}."""
    return float(value["__float__"]) if value.keys() == {"__float__"} else value


def unsupported_reason(config: Mapping[str, Any]) -> str:
    """Return why config.json alone excludes the model, or ""; an empty one excludes nothing."""
    if not config:
        return ""
    kind = config.get("model_type")
    if not is_known_architecture(kind):
        return f"its architecture ({kind}) is unknown to transformers, or needs code from the repository, which is never run."
    if not is_causal_architecture(kind) and not _continues_text_beside_pictures(config):
        return f"{kind} is not a causal language model."
    classes = config.get("architectures")
    if isinstance(classes, list) and classes and not any(is_causal_class(name, kind) for name in classes):
        return f"it was trained for another task ({classes[0]}) and has no output for text."
    return obstacle(config)


def _continues_text_beside_pictures(config: Mapping[str, Any]) -> bool:
    """Whether it is a causal language model with a part that reads pictures, not one that translates a picture to text."""
    inner = config.get("text_config")
    return (reads_pictures(config.get("model_type")) and isinstance(inner, dict)
            and not any(part.get("is_encoder_decoder") for part in (config, inner)))


def unquantized(config: PretrainedConfig) -> PretrainedConfig:
    """A copy of a configuration without what it says about how its weights are stored: that of the model after they are expanded."""
    plain = copy.deepcopy(config)
    for part in (plain, plain.get_text_config()):
        if hasattr(part, "quantization_config"):
            del part.quantization_config
    return plain
