"""Undocumented parts of transformers that the engine uses, each with the reason.

What the generation core uses is in kv_cache.py. tests/engine/compat/test_transformers.py checks every use against the installed version.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WEIGHTS_BAR = "Loading weights"     # the description of from_pretrained()'s progress bar


def attention_kernel(model: PreTrainedModel) -> str:
    """The attention kernel in use. `set_attn_implementation` sets it, and no public function returns it."""
    return str(model.config._attn_implementation)


def is_stateful(model: PreTrainedModel) -> bool:
    """Whether the model keeps a recurrent state instead of a key-value cache. The configuration does not say."""
    return bool(getattr(model, "_is_stateful", False))


def original_context(model: PreTrainedModel) -> int | None:
    """Tokens from which on LongRoPE rotates differently; None for models without it. Families keep it in different places."""
    config: Any = model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") != "longrope":
        return None
    return int(rope.get("original_max_position_embeddings") or getattr(config, "original_max_position_embeddings", 0)
               or config.max_position_embeddings)


def is_known_architecture(model_type: object) -> bool:
    """Whether transformers has this architecture. AutoConfig reports it only by an error, and only for files on this disk."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    return model_type in CONFIG_MAPPING_NAMES


def is_causal_architecture(model_type: object) -> bool:
    """Whether it is a causal language model. The public mapping imports each model's code to answer; this one has names only."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES


def predicts_next_token(model_type: str) -> bool:
    """Whether the loss of an architecture's causal language model compares each output with the token after it.

    That of BART's relatives and some older models compares it with the token itself. Only the source says so: those that do what is
    expected leave it to `loss_function`, which does not know whether it is called.
    """
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    found = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[model_type]
    kind = getattr(transformers, found if isinstance(found, str) else found[0])
    return ".loss_function(" in inspect.getsource(kind.forward)


def reads_pictures(model_type: object) -> bool:
    """Whether transformers has a model of it that reads pictures and text and writes text; from the names, as above."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    return model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES


def head_class(auto_class: str, model_type: object) -> str:
    """The class of an architecture for one of transformers' automatic classes, or ""; from the names, as above."""
    from transformers.models.auto import modeling_auto

    names = {"AutoModelForSequenceClassification": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
             "AutoModelForQuestionAnswering": modeling_auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
             "AutoModelForTokenClassification": modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
             "AutoModelForMaskedLM": modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
             "AutoModelForSeq2SeqLM": modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES}
    found = names[auto_class].get(model_type)
    return found if isinstance(found, str) else ""


def axes_of(model: PreTrainedModel) -> Callable[[dict[str, Any]], Any] | None:
    """From the processor's inputs of one text to its positions on three axes, (3, tokens); None for models that count on one.

    No public function says how a model counts; those with M-RoPE have this one, which is called with the processor's output.
    """
    count = getattr(model.base_model, "get_rope_index", None)
    if count is None:
        return None
    names = set(inspect.signature(count).parameters) - {"attention_mask"}
    return lambda inputs: count(**{name: value for name, value in inputs.items() if name in names})[0][:, 0]


def is_causal_class(name: object, model_type: object) -> bool:
    """Whether a class that config.json names generates text: a causal language model, or one that also reads pictures.

    The public mappings import each model's code to answer. Classes of other libraries follow transformers' names.
    """
    from transformers.models.auto import modeling_auto

    causal, pictures = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    known = {found for found in (causal.get(model_type), pictures.get(model_type)) if isinstance(found, str)}
    return isinstance(name, str) and (name in known or name.endswith(("ForCausalLM", "LMHeadModel")))


def places_of(model: PreTrainedModel, names: Iterable[str]) -> dict[str, str]:
    """Where from_pretrained() puts tensors with these names: name in a file -> name in the model. It leaves out those that it converts.

    Only the loading itself tells, and only afterwards.
    """
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

    mapping, weights = get_model_conversion_mapping(model), model.state_dict()
    renamings = [entry for entry in mapping if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in mapping if isinstance(entry, WeightConverter)]
    found = {}
    for name in names:
        place, pattern = rename_source_key(name, renamings, converters, model.base_model_prefix, weights)
        if pattern is None:
            found[name] = place if place in weights else name
    return found


def without_parts(kind: type[PreTrainedModel], parts: Sequence[str]) -> type[PreTrainedModel]:
    """The class without these modules: their weights are not read. No option of from_pretrained() leaves a module out.

    The names and `_keys_to_ignore_on_load_unexpected` are set because transformers finds the renaming of a family's weights by the
    class, and lists weights that have no place as a mistake.
    """
    def build(self: PreTrainedModel, config: Any, *inputs: Any, **options: Any) -> None:
        kind.__init__(self, config, *inputs, **options)
        for part in parts:
            owner, _, name = part.rpartition(".")
            delattr(self.get_submodule(owner), name)

    expected = [re.escape(part.rpartition(".")[2]) for part in parts] + list(kind._keys_to_ignore_on_load_unexpected or [])
    return type(kind.__name__, (kind,), {"__init__": build, "__module__": kind.__module__, "__qualname__": kind.__qualname__,
                                         "_keys_to_ignore_on_load_unexpected": expected})


@contextmanager
def weights_progress(follow: Callable[[list[Any]], Iterator[Any]]) -> Iterator[None]:
    """Let from_pretrained() iterate over its weights through `follow`. It has no callback for progress, only a progress bar."""
    from transformers.utils import logging

    def hook(factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if kwargs.get("desc") != WEIGHTS_BAR or not args:
            return factory(*args, **kwargs)
        return follow(list(args[0]))

    previous = logging.set_tqdm_hook(hook)
    try:
        yield
    finally:
        logging.set_tqdm_hook(previous)
