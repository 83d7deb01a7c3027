"""The defaults of a model's author: sampling parameters, and the tokens that end a reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from ..messages import GenerationOptions

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Return the tokens that end a reply: those of the model and of the tokenizer."""
    config: Any = model.generation_config
    named = config.eos_token_id if config is not None else None
    if named is None:
        named = getattr(model.config.get_text_config(), "eos_token_id", None)
    ids = set(named if isinstance(named, list) else [named])
    ids.add(tokenizer.eos_token_id)
    return frozenset(token_id for token_id in ids if token_id is not None)


def first_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Tokens that the tokenizer puts before every text: a begin-of-sequence token, or none."""
    begin, ids = tokenizer.bos_token_id, tokenizer("a")["input_ids"]
    return (begin,) if begin is not None and ids[:1] == [begin] else ()


def default_options(model: PreTrainedModel) -> GenerationOptions:
    """Return the sampling parameters of generation_config.json, without top_k 50, which is only the library's default."""
    config: Any = model.generation_config
    if config is None:
        return GenerationOptions()
    if config.do_sample is False:
        return GenerationOptions(temperature=0.0)
    sensible: dict[str, Any] = {}
    for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty"):
        value = getattr(config, name, None)
        try:
            GenerationOptions(**{name: value})      # type: ignore[arg-type]
        except EngineError:     # left out, or a value that means "off" elsewhere, such as top_k -1
            continue
        sensible[name] = value
    return GenerationOptions(**sensible)
