"""The entries of catalog.toml, which explains their fields. Uses no network and no weights."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ...checkpoint.shape import ModelShape
from ...checkpoint.stored_quantization import METHODS

GROUPS = ("about", "use")       # inline tables that keep the lines of catalog.toml short
KINDS: dict[str, type | tuple[type, ...]] = {
    "str": str, "int": int, "bool": bool, "float": (int, float), "float | None": (int, float), "int | None": int, "tuple[str, ...]": list}
CHOICES = {"good_for": ("chat", "code", "reasoning"), "mlp": ("gated", "plain"), "stored_dtype": ("bfloat16", "float16", "float32"),
           "quantized": ("", *METHODS), "reads": ("text", "pictures", "sound")}


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

    def shape(self, stored_dtype: str, context: int) -> ModelShape:
        table = self.vocab_size * self.hidden_size
        return ModelShape(
            linear_weights=self.linear_weights, other_weights=self.other_weights, layers=self.layers, kv_heads=self.kv_heads,
            head_dim=self.head_dim, stored_dtype=stored_dtype, max_window=context, hidden_size=self.hidden_size,
            vocab_size=self.vocab_size, table_weights=table + self.learned_positions * self.hidden_size,
            head_weights=0 if self.tied_embeddings else table, largest_matrix=self.intermediate_size * self.hidden_size,
            intermediate_size=self.intermediate_size)


@dataclass(frozen=True, slots=True)
class Sampling:
    """What the author recommends in one mode."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One recommended model. `shape`: None where no source confirms the sizes; the library reads it from the hub then."""

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
    shape: ModelShape | None = None
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)
    sampling: Mapping[str, Sampling] = field(default_factory=dict, hash=False)
    reads: tuple[str, ...] = ("text",)
    safetensors: bool = True
    quantized: str = ""
    guide: bool = False
    stored_dtype: str = "bfloat16"
    sibling: str = ""
    note: str = ""
    source: str = ""

    @property
    def active_parameters(self) -> int:
        """Weights that are read for one token; of a model whose shape is not known, all."""
        return self.shape.active_parameters if self.shape else self.parameters

    @property
    def is_mixture(self) -> bool:
        return self.shape is not None and self.shape.expert_share < 1

    @property
    def can_load(self) -> bool:
        """Whether its main branch has weights that this program loads."""
        return self.safetensors


@cache
def catalog() -> tuple[CatalogEntry, ...]:
    return parse_catalog(Path(__file__).with_name("catalog.toml").read_text(encoding="utf-8"))


def entry_of(repo: str) -> CatalogEntry | None:
    return next((entry for entry in catalog() if entry.repo == repo), None)


def smaller_sibling(repo: str) -> CatalogEntry | None:
    """A smaller model of the same family, offered if `repo` does not fit."""
    entry = entry_of(repo)
    return entry_of(entry.sibling) if entry and entry.sibling else None


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
    architecture, sizes = facts.pop("architecture", None), facts.pop("shape", None)
    config, sampling = dict(facts.pop("config", {})), facts.pop("sampling", {})
    entry: CatalogEntry = _build(CatalogEntry, {**facts, "repo": repo}, repo)
    shape = None
    if architecture is not None and sizes is not None:
        raise _wrong(repo, "both a shape and an architecture")
    if architecture is not None:
        shape = _build(Architecture, architecture, repo).shape(entry.stored_dtype, entry.context)
    elif sizes is not None:
        shape = _build(ModelShape, {**sizes, "stored_dtype": entry.stored_dtype, "max_window": entry.context}, repo)
    modes = {mode: _build(Sampling, values, repo) for mode, values in sampling.items()}
    return replace(entry, shape=shape, config=config, sampling=modes)


Record = TypeVar("Record", Architecture, CatalogEntry, ModelShape, Sampling)


def _build(kind: type[Record], values: Mapping[str, Any], repo: str) -> Record:
    known = {each.name: each for each in fields(kind)}
    if unknown := sorted(values.keys() - known.keys()):
        raise _wrong(repo, f"unknown field {', '.join(unknown)}")
    if missing := sorted(name for name, each in known.items()
                         if each.default is MISSING and each.default_factory is MISSING and name not in values):
        raise _wrong(repo, f"missing field {', '.join(missing)}")
    for name, value in values.items():
        expected = KINDS[str(known[name].type)]
        if type(value) not in (expected if isinstance(expected, tuple) else (expected,)):
            words = expected[-1].__name__ if isinstance(expected, tuple) else expected.__name__
            raise _wrong(repo, f"{name} is {value!r}, which is not of type {words}")
        if name in CHOICES and (wrong := set(value if isinstance(value, list) else [value]) - set(CHOICES[name])):
            raise _wrong(repo, f"{name} is {wrong.pop()!r}, which is not one of {', '.join(CHOICES[name])}")
    arguments: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return kind(**arguments)


def _wrong(repo: str, what: str) -> ValueError:
    return ValueError(f"catalog.toml, {repo}: {what}.")
