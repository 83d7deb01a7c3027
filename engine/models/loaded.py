"""A model that was checked and may be loaded, and the same model in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoint.shape import ModelShape
from ..hardware import DType
from .cache_budget import CacheBudget
from .spec import ModelSpec

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that passed every check: it is supported here, and it fits."""

    spec: ModelSpec
    folder: Path
    sha: str | None
    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerBase
    shape: ModelShape
    dtype: DType
    dtype_reason: str
    budget: CacheBudget
    is_saved: bool = False      # the weights in the folder are quantized already
    quantization_note: str = ""     # a sentence: which layers are not quantized, and why
    vision_parts: tuple[str, ...] = ()      # names of the modules that read pictures and sounds; they are not quantized
    text_only: str = ""     # a sentence: why those are not loaded


@dataclass(slots=True)
class LoadedModel:
    candidate: Candidate
    model: PreTrainedModel
    weight_bytes: int

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.candidate.tokenizer
