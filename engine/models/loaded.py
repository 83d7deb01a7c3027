"""A model that was checked and may be loaded, and the same model in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoint.shape import ModelShape
from ..checkpoint.stored_quantization import StoredQuantization
from ..hardware import DType
from .adapters import Adapter
from .cache_budget import CacheBudget
from .quantization import Quantization
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
    is_saved: bool = False      # this app quantized the weights in the folder
    held: Quantization = Quantization.NONE      # of the weights in memory
    stored: StoredQuantization | None = None    # of the weights in the folder, if the repository stores them quantized
    quantization_note: str = ""     # sentences: what becomes of stored weights, which layers are not quantized, and why
    is_as_stored: bool = False      # bitsandbytes reads the weights of the folder as they are
    gguf: str = ""              # the file of the folder that is loaded, if it is a GGUF file
    vision_parts: tuple[str, ...] = ()      # names of the modules that read pictures and sounds; they are not quantized
    adapters: tuple[Adapter, ...] = ()      # first the one of the spec, if it has one
    text_only: str = ""     # a sentence: why those are not loaded


@dataclass(slots=True)
class LoadedModel:
    candidate: Candidate
    model: PreTrainedModel
    weight_bytes: int

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.candidate.tokenizer
