"""Which of transformers' automatic classes builds a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..compat.transformers import is_causal_architecture

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def auto_class(config: PretrainedConfig) -> Any:
    """AutoModelForCausalLM, or the class for pictures and text where a family has only models that read both."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    return AutoModelForCausalLM if is_causal_architecture(config.model_type) else AutoModelForImageTextToText
