"""The recommended models of catalog.toml, ranked for a machine. Uses no network and no weights."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ..checkpoint.shape import ModelShape
from ..hardware import BYTES_PER_VALUE, Hardware
from .memory import Fit, Verdict, judge
from .quantization import Quantization

GROUPS = ("about", "use")       # inline tables that keep the lines of catalog.toml short
CHOICES = {"good_for": ("chat", "code", "reasoning"), "mlp": ("gated", "plain"), "stored_dtype": ("bfloat16", "float16", "float32")}

SMALL_PARAMETERS = 4.5e9        # the largest models that are fast enough on a CPU: nominal 4 B
CPU_BYTES = 4e9                 # read per token: 2 to 9 tokens/s at the 8 to 35 GB/s measured on small CPUs
HANDICAP = 0.4                  # of models that are gated or not made for chat: they rank first only if 2.5 times as large as the next
NOMINAL = 0.1                   # models named "7B" have 6.7 to 7.7 billion parameters


@dataclass(frozen=True, slots=True)
class Architecture:
    """The sizes that memory depends on. `mlp`: three matrices (gated) or two (plain). `learned_positions`: rows of a position table."""

    layers: int
    hidden_size: int
    intermediate_size: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab_size: int
    tied_embeddings: bool
    mlp: str = "gated"
    learned_positions: int = 0

    @property
    def linear_weights(self) -> int:
        """Query, key, value and output projections, and the MLP, of all layers."""
        attention = 2 * (self.heads + self.kv_heads) * self.head_dim * self.hidden_size
        mlp = (3 if self.mlp == "gated" else 2) * self.intermediate_size * self.hidden_size
        return self.layers * (attention + mlp)

    @property
    def other_weights(self) -> int:
        """Embeddings, an untied output head, two norms per layer. Biases are left out (about 0.1 %)."""
        rows = self.vocab_size * (1 if self.tied_embeddings else 2) + self.learned_positions
        return self.hidden_size * (rows + 2 * self.layers + 1)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters that an author recommends, with the names of GenerationOptions."""

    temperature: float
    top_p: float
    top_k: int
    min_p: float


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One recommended model. catalog.toml explains the fields."""

    repo: str
    name: str
    parameters: int
    released: str       # YYYY-MM
    licence: str
    gated: bool
    current: bool
    context: int        # tokens
    chat_template: bool
    good_for: tuple[str, ...]
    languages: tuple[str, ...]
    architecture: Architecture
    safetensors: bool = True
    stored_dtype: str = "bfloat16"
    sibling: str = ""
    note: str = ""
    without_thinking: Sampling | None = None

    @property
    def shape(self) -> ModelShape:
        sizes = self.architecture
        return ModelShape(
            linear_weights=sizes.linear_weights, other_weights=sizes.other_weights, layers=sizes.layers, kv_heads=sizes.kv_heads,
            head_dim=sizes.head_dim, stored_dtype=self.stored_dtype, max_window=self.context, hidden_size=sizes.hidden_size,
            vocab_size=sizes.vocab_size)


KINDS: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool, "tuple[str, ...]": list, "Architecture": Architecture,
                          "Sampling | None": Sampling}


@cache
def catalog() -> tuple[CatalogEntry, ...]:
    return parse_catalog(Path(__file__).with_name("catalog.toml").read_text(encoding="utf-8"))


def entry_of(repo: str) -> CatalogEntry | None:
    return next((entry for entry in catalog() if entry.repo == repo), None)


def smaller_sibling(repo: str) -> CatalogEntry | None:
    """A smaller model of the same family, offered if `repo` does not fit."""
    entry = entry_of(repo)
    return entry_of(entry.sibling) if entry and entry.sibling else None


@dataclass(frozen=True, slots=True)
class SizeAdvice:
    """Advice for an amount of memory. The bounds are nominal: a "7B" model may have 7.7 billion parameters."""

    min_parameters: float
    max_parameters: float
    quantization: Quantization

    def includes(self, parameters: float) -> bool:
        return (1 - NOMINAL) * self.min_parameters <= parameters <= (1 + NOMINAL) * self.max_parameters


def default_choice(memory_bytes: int) -> SizeAdvice:
    """Default size and quantization for a device with this much memory in total: the table of the guide, its GB taken as GiB."""
    memory_gib = memory_bytes / 2**30
    if memory_gib < 4:
        return SizeAdvice(1e9, 2e9, Quantization.NF4)
    if memory_gib < 8:
        return SizeAdvice(2e9, 7e9, Quantization.NF4)
    if memory_gib <= 16:
        return SizeAdvice(7e9, 13e9, Quantization.INT8)
    return SizeAdvice(13e9, math.inf, Quantization.NONE)


@dataclass(frozen=True, slots=True)
class Recommendation:
    entry: CatalogEntry
    quantization: Quantization
    fit: Fit


def recommend(hardware: Hardware, free_bytes: int, *, context_tokens: int = 4096, concurrent: int = 1,
              supported: Collection[Quantization]) -> tuple[Recommendation, ...]:
    """Every model of the catalog in its best quantization: the best choice for this machine first, models that are too large last."""
    def weigh(entry: CatalogEntry, quantization: Quantization) -> Recommendation:
        window = min(context_tokens, entry.context)
        return Recommendation(entry, quantization, judge(entry.shape, quantization, hardware, dtype=hardware.dtype,
                                                         context_tokens=window, concurrent=concurrent, free_bytes=free_bytes))

    possible = [quantization for quantization in Quantization if quantization is Quantization.NONE or quantization in supported]
    found = [_best([weigh(entry, quantization) for quantization in possible]) for entry in catalog()]
    return tuple(sorted(found, key=lambda choice: _rank(choice, hardware)))


def _best(choices: Sequence[Recommendation]) -> Recommendation:
    """The weakest quantization that fits comfortably; if none does, the one that needs the least memory."""
    comfortable = (choice for choice in choices if choice.fit.verdict is Verdict.FITS)
    return next(comfortable, min(choices, key=lambda choice: choice.fit.needed_bytes))


def _rank(choice: Recommendation, hardware: Hardware) -> tuple[float, ...]:
    """Sort key, smaller is better. Ties keep the catalog's order."""
    entry = choice.entry
    if choice.fit.verdict is Verdict.TOO_LARGE:
        return 3, choice.fit.needed_bytes
    standing = 2 if not entry.safetensors else 1 if choice.fit.verdict is Verdict.TIGHT else 0
    if hardware.kind == "cpu":
        return standing, entry.parameters > SMALL_PARAMETERS, not entry.current, _cpu_distance(choice, hardware)
    is_advised = default_choice(hardware.total_bytes).includes(entry.parameters)
    return standing, not entry.current, not is_advised, -entry.parameters * _handicap(entry)


def _cpu_distance(choice: Recommendation, hardware: Hardware) -> float:
    """The factor by which a model is too slow or too small for this CPU.

    Speed is bandwidth divided by the bytes of the weights. bitsandbytes dequantizes them at every step.
    """
    is_read = choice.quantization.kernel(hardware) == "pytorch"
    ratio = choice.entry.parameters * (choice.quantization.bytes_per_weight(hardware) if is_read else BYTES_PER_VALUE[hardware.dtype])
    ratio /= CPU_BYTES
    return max(ratio, 1 / ratio) / _handicap(choice.entry)


def _handicap(entry: CatalogEntry) -> float:
    return HANDICAP ** (entry.gated + ("chat" not in entry.good_for))


def parse_catalog(text: str) -> tuple[CatalogEntry, ...]:
    """Parse catalog.toml. Raises ValueError with the model and the field that is unknown, missing or of the wrong type."""
    entries = {repo: _entry(repo, table) for repo, table in tomllib.loads(text).items()}
    for entry in entries.values():
        sibling = entries.get(entry.sibling)
        if entry.sibling and (sibling is None or sibling.parameters >= entry.parameters):
            raise _wrong(entry.repo, f"sibling is {entry.sibling!r}, which is not a smaller model of the catalog")
    return tuple(entries.values())


def _entry(repo: str, table: Mapping[str, Any]) -> CatalogEntry:
    facts = {name: value for name, value in table.items() if name not in GROUPS}
    for group in GROUPS:
        facts |= table.get(group, {})
    architecture = _build(Architecture, facts.pop("architecture", {}), repo)
    if "without_thinking" in facts:
        facts["without_thinking"] = _build(Sampling, facts["without_thinking"], repo)
    return _build(CatalogEntry, {**facts, "repo": repo, "architecture": architecture}, repo)


Record = TypeVar("Record", Architecture, Sampling, CatalogEntry)


def _build(kind: type[Record], values: Mapping[str, Any], repo: str) -> Record:
    known = {field.name: field for field in fields(kind)}
    if unknown := sorted(values.keys() - known.keys()):
        raise _wrong(repo, f"unknown field {', '.join(unknown)}")
    if missing := sorted(name for name, field in known.items() if field.default is MISSING and name not in values):
        raise _wrong(repo, f"missing field {', '.join(missing)}")
    for name, value in values.items():
        expected = KINDS[str(known[name].type)]
        if type(value) is not expected:
            raise _wrong(repo, f"{name} is {value!r}, which is not of type {expected.__name__}")
        if name in CHOICES and (wrong := set(value if isinstance(value, list) else [value]) - set(CHOICES[name])):
            raise _wrong(repo, f"{name} is {wrong.pop()!r}, which is not one of {', '.join(CHOICES[name])}")
    arguments: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return kind(**arguments)


def _wrong(repo: str, what: str) -> ValueError:
    return ValueError(f"catalog.toml, {repo}: {what}.")
