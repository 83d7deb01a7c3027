"""Which of transformers' automatic classes builds a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..compat.transformers import is_causal_architecture, reads_pictures

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


def auto_class(config: PretrainedConfig) -> Any:
    """AutoModelForCausalLM, or the class for pictures and text where the configuration describes a part that reads pictures.

    That class also where a family has only models that read both.
    """
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    has_vision = getattr(config, "vision_config", None) is not None and reads_pictures(config.model_type)
    return AutoModelForImageTextToText if has_vision or not is_causal_architecture(config.model_type) else AutoModelForCausalLM


def vision_parts(model: PreTrainedModel) -> tuple[str, ...]:
    """The names of the modules that read pictures and sounds, beside the one that continues text."""
    if not reads_pictures(model.config.model_type):
        return ()
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    prefix = "" if model.base_model is model else f"{model.base_model_prefix}."
    return () if model.base_model is decoder else tuple(
        f"{prefix}{name}" for name, part in model.base_model.named_children()
        if part is not head and all(each is not decoder for each in part.modules()))
