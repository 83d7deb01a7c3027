"""What a config.json says about whether and how transformers can load the model. Code from a repository is never run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..compat.transformers import is_causal_architecture, is_known_architecture
from ..errors import UnsupportedModel

PACKAGES = {"gptq": "gptqmodel", "awq": "gptqmodel", "compressed-tensors": "compressed_tensors"}     # by quantization method


def read_config(folder: Path, model: str) -> dict[str, Any]:
    """config.json of a causal language model that transformers knows, with the defaults of its architecture.

    Raises UnsupportedModel.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (ValueError, OSError, KeyError) as error:
        why = ("its architecture is unknown to transformers, or needs code from the repository, which is never run."
               if (folder / "config.json").is_file() else "it has no config.json.")
        raise UnsupportedModel(model, why) from error
    if not is_causal_architecture(config.model_type):
        raise UnsupportedModel(model, f"{config.model_type} is not a causal language model.")
    return dict(config.to_dict())


def read_raw_config(folder: Path, model: str) -> dict[str, Any]:
    """config.json as it is written, read without transformers. Raises UnsupportedModel."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except FileNotFoundError as error:
        raise UnsupportedModel(model, "it has no config.json.") from error
    except (OSError, ValueError) as error:
        raise UnsupportedModel(model, "its config.json cannot be read.") from error
    if not isinstance(config, dict):
        raise UnsupportedModel(model, "its config.json is not a model's.")
    return config


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same with the defaults of its architecture, which config.json may leave out. Raises UnsupportedModel."""
    from transformers import CONFIG_MAPPING

    try:
        return dict(CONFIG_MAPPING[config["model_type"]].from_dict(dict(config)).to_dict())
    except Exception as error:      # any failure that a configuration can provoke
        raise UnsupportedModel(str(config["model_type"]), "its config.json makes no sense.") from error


def unsupported_reason(config: Mapping[str, Any]) -> str:
    """Why config.json alone rules the model out, or "". Nothing is known of an empty one."""
    if not config:
        return ""
    kind = config.get("model_type")
    if not is_known_architecture(kind):
        return f"its architecture ({kind}) is unknown to transformers, or needs code from the repository, which is never run."
    if not is_causal_architecture(kind):
        return f"{kind} is not a causal language model."
    quantization = config.get("quantization_config")
    method = str(quantization.get("quant_method", "")) if isinstance(quantization, dict) else ""
    if method in PACKAGES and find_spec(PACKAGES[method]) is None:
        return f"it is stored in {method}, which needs the package {PACKAGES[method]}."
    return ""
