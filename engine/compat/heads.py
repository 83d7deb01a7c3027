"""Models with a head for one of the classic tasks: transformers' own class, or its general head on families that have none.

tests/engine/compat/test_heads.py checks every use against the installed version.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from transformers import PretrainedConfig

HeadedTask = Literal["text-classification", "question-answering", "token-classification"]


def head_class(task: HeadedTask, config: PretrainedConfig) -> Any | None:
    """The class that `from_pretrained` is called on; None where this kind of model cannot have such a head.

    The automatic classes know their models by a private mapping; asking for one that is missing imports every family.
    """
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForQuestionAnswering,
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
    )

    auto = {"text-classification": AutoModelForSequenceClassification, "question-answering": AutoModelForQuestionAnswering,
            "token-classification": AutoModelForTokenClassification}[task]
    kind = type(config)
    if kind in auto._model_mapping:
        return auto._model_mapping[kind]
    return _general(task, AutoModelForCausalLM._model_mapping[kind]) if kind in AutoModelForCausalLM._model_mapping else None


@cache
def _general(task: HeadedTask, causal: Any) -> Any:
    """The general head over the family's own base model, as transformers builds it for most families (modeling_layers.py, not public)."""
    from transformers.modeling_layers import GenericForQuestionAnswering, GenericForSequenceClassification, GenericForTokenClassification

    head, name = {"text-classification": (GenericForSequenceClassification, "ForSequenceClassification"),
                  "question-answering": (GenericForQuestionAnswering, "ForQuestionAnswering"),
                  "token-classification": (GenericForTokenClassification, "ForTokenClassification")}[task]
    family = next(each for each in causal.__mro__ if each.__name__.endswith("PreTrainedModel"))
    return type(causal.__name__.removesuffix("ForCausalLM").removesuffix("LMHeadModel") + name, (_Completed, head, family),
                {"base_model_prefix": causal.base_model_prefix})


class _Completed:
    """The general heads read outputs that recurrent families do not have: they are None then."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)        # type: ignore[call-arg]
        model: Any = self
        model.base_model.register_forward_hook(_complete)


def _complete(module: Any, inputs: Any, output: Any) -> None:
    for name in ("past_key_values", "hidden_states", "attentions"):
        if not hasattr(output, name):
            setattr(output, name, None)
