"""The header of a GGUF file. No tensor is read here.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. transformers reads the weights, and expands all of them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..compat.gguf import is_gguf_architecture, reads_by_rows
from ..errors import UnsupportedModel
from .config import read_config
from .shape import GGUF_DTYPE, ModelShape, read_shape, shape_of
from .stored_quantization import Tensor

HEADER_BYTES = 64 * 2**20           # the largest header that is read: a vocabulary of 256,000 words with its merges takes 12 MB
MOST_ITEMS = 4_000_000              # of one list of numbers: more is a damaged file
# Of what is read one by one, so that no header takes longer than a second or two. Files of the largest vocabularies and models hold
# about 100 fields, 800,000 words and merges, and 2,000 tensors.
MOST_FIELDS, MOST_TEXTS, MOST_TENSORS = 4096, 3_000_000, 65_536
MOST_LAYERS = 1024                  # longer lists have a value for each token
# Types of tensors (ggml.h): values in a block, and its bytes.
BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84), 11: (256, 110),
          12: (256, 144), 13: (256, 176), 14: (256, 210), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
          21: (256, 110), 22: (256, 82), 23: (256, 136), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17)}
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
LENGTH = struct.Struct("<Q")
FIELDS = {"num_hidden_layers": "block_count", "hidden_size": "embedding_length", "num_attention_heads": "attention.head_count",
          "num_key_value_heads": "attention.head_count_kv", "head_dim": "attention.key_length", "intermediate_size": "feed_forward_length",
          "max_position_embeddings": "context_length", "vocab_size": "vocab_size", "num_local_experts": "expert_count",
          "num_experts_per_tok": "expert_used_count"}
# Names of tensors by which shape.py knows their kind.
KINDS = (("token_embd", "embed_tokens"), ("position_embd", "wpe"), ("output.weight", "lm_head.weight"), ("_exps", ".experts."),
         ("ffn_gate_inp.weight", "ffn.gate.weight"))


class _TooShort(Exception):
    """The header goes on after these bytes."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """`metadata`: of its lists only a number is kept: of short ones of whole numbers, which have a value for each layer, the largest;
    of others the length. `names`: of the tensors, as they stand in the file. `size`: of the whole file, as the header describes it.
    """

    architecture: str
    metadata: Mapping[str, Any]
    tensors: tuple[Tensor, ...]
    names: tuple[str, ...]
    size: int

    @property
    def has_chat_template(self) -> bool:
        return "tokenizer.chat_template" in self.metadata

    @property
    def obstacle(self) -> str:
        """Why transformers cannot read the file, as a sentence, or ""."""
        return "" if is_gguf_architecture(self.architecture) else \
            f"transformers does not read GGUF files of the architecture {self.architecture[:40]}."

    def shape(self, config: Mapping[str, Any] | None = None) -> ModelShape:
        """The shape after transformers has expanded the weights. `config`: of the model, if it is known; else it is read here."""
        dtype = "bfloat16" if reads_by_rows(self.architecture) else GGUF_DTYPE
        return replace(shape_of(config or self._config(), self.tensors), stored_dtype=dtype, file_bytes=self.size, stored_method="GGUF")

    def _config(self) -> dict[str, Any]:
        known = {field: self.metadata.get(f"{self.architecture}.{name}") for field, name in FIELDS.items()}
        known["vocab_size"] = known["vocab_size"] or self.metadata.get("tokenizer.ggml.tokens")
        return {field: value for field, value in known.items() if isinstance(value, int)}


def folder_shape(folder: Path, gguf: str, model: str) -> ModelShape:
    """The shape of the model in `folder`, or in this GGUF file of it. Raises UnsupportedModel."""
    return read_gguf(folder / gguf, model).shape() if gguf else read_shape(folder, read_config(folder, model).to_dict(), model)


def read_gguf(path: Path, model: str) -> GgufHeader:
    """The header of a file on this machine. Raises UnsupportedModel if it is damaged, cut off, or of an architecture that is not read."""
    try:
        with path.open("rb") as file:
            data, size = file.read(HEADER_BYTES), path.stat().st_size
    except OSError as error:
        raise UnsupportedModel(model, f"{path.name} cannot be read ({error.strerror}).") from error
    header = parse_gguf(data, path.name, model)
    if header is None or size < header.size:
        raise UnsupportedModel(model, f"{path.name} is not a complete GGUF file.")
    if header.obstacle:
        raise UnsupportedModel(model, header.obstacle)
    return header


def parse_gguf(data: bytes, name: str, model: str) -> GgufHeader | None:
    """The header at the start of a file; None if it goes on after these bytes. Raises UnsupportedModel."""
    try:
        return _Reader(data).header()
    except _TooShort:
        return None
    except (ValueError, KeyError, TypeError, OverflowError, struct.error) as error:
        raise UnsupportedModel(model, f"{name} is not a GGUF file that can be read ({error}).") from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._texts = data, 0, 0

    def header(self) -> GgufHeader:
        if self._bytes(4) != b"GGUF":
            raise ValueError("it does not begin with GGUF")
        version = self._number("I")
        if version not in (2, 3):
            raise ValueError(f"version {version}")
        num_tensors, num_fields = self._count(MOST_TENSORS, "tensors"), self._count(MOST_FIELDS, "fields")
        metadata = {self._string(): self._value(self._number("I")) for _ in range(num_fields)}
        tensors, names, ends = [], [], [0]
        for _ in range(num_tensors):
            name, num_sizes = self._string(), self._number("I")
            if num_sizes > 8:
                raise ValueError(f"a tensor of {num_sizes} dimensions")
            sizes = [self._number("Q") for _ in range(num_sizes)][::-1]      # the fastest-moving one is first in the file
            kind, offset = self._number("I"), self._number("Q")
            if kind not in BLOCKS:
                raise ValueError(f"tensors of the type {kind}")
            values, num_bytes = BLOCKS[kind]
            names.append(name)
            tensors.append((_kind_of(name), sizes, "BF16"))
            ends.append(offset + -(-math.prod(sizes) // values) * num_bytes)
        step = int(metadata.get("general.alignment", 32)) or 32
        return GgufHeader(str(metadata["general.architecture"]), metadata, tuple(tensors), tuple(names),
                          -(-self._at // step) * step + max(ends))

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind != ARRAY:
            return self._number(NUMBERS[kind])
        inner, count = self._number("I"), self._count(MOST_ITEMS, "items in one list")
        if inner == ARRAY:
            raise ValueError("a list of lists")
        if inner in NUMBERS:
            data, form = self._bytes(count * struct.calcsize(f"<{NUMBERS[inner]}")), NUMBERS[inner]
            if 0 < count <= MOST_LAYERS and form not in "fd?":
                return max(struct.unpack(f"<{count}{form}", data))
        elif inner == STRING:
            self._skip_texts(count)
        else:
            raise ValueError(f"a list of values of the type {inner}")
        return count

    def _skip_texts(self, count: int) -> None:
        self._texts += count
        if self._texts > MOST_TEXTS:
            raise ValueError(f"{self._texts:,} texts in its lists, where at most {MOST_TEXTS:,} are read")
        at, last, length_at = self._at, len(self._data) - LENGTH.size, LENGTH.unpack_from
        for _ in range(count):
            if at > last:
                raise _TooShort
            at += LENGTH.size + length_at(self._data, at)[0]
        if at > len(self._data):
            raise _TooShort
        self._at = at

    def _string(self) -> str:
        return self._bytes(self._number("Q")).decode("utf-8", "replace")

    def _count(self, most: int, what: str) -> int:
        count = int(self._number("Q"))
        if count > most:
            raise ValueError(f"{count:,} {what}, where at most {most:,} are read")
        return count

    def _number(self, form: str) -> Any:
        return struct.unpack(f"<{form}", self._bytes(struct.calcsize(f"<{form}")))[0]

    def _bytes(self, count: int) -> bytes:
        if count > HEADER_BYTES:
            raise ValueError(f"a field of {count:,} bytes")
        if self._at + count > len(self._data):
            raise _TooShort
        self._at += count
        return self._data[self._at - count:self._at]


def _kind_of(name: str) -> str:
    for old, new in KINDS:
        name = name.replace(old, new) if old != "output.weight" or name == old else name
    return name
