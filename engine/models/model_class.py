"""Which of transformers' automatic classes builds a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..compat.transformers import is_causal_architecture, reads_pictures

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def auto_class(config: PretrainedConfig) -> Any:
    """AutoModelForCausalLM, or the class for pictures and text where the configuration describes a part that reads pictures.

    That class also where a family has only models that read both.
    """
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    has_vision = getattr(config, "vision_config", None) is not None and reads_pictures(config.model_type)
    return AutoModelForImageTextToText if has_vision or not is_causal_architecture(config.model_type) else AutoModelForCausalLM
