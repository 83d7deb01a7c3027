"""What the library hands out: the machine, a model wherever it was found; and who asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..checkpoint.shape import ModelShape
from ..errors import EngineError
from ..hub.hub import HubListing
from ..models.catalog import CatalogEntry
from ..models.quantization import Quantization, QuantizationChoice
from ..models.spec import ModelSpec
from ..settings import Secret

Where = Literal["builtin", "folder", "disk", "hub", "catalog"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. `token`: what this visitor typed, for this visitor only. `name`: of whoever is signed in, "" for nobody."""

    owner: str = ""
    token: Secret = field(default_factory=lambda: Secret(""))
    name: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """`bandwidth`: bytes a second that memory was measured to copy at."""

    name: str
    kind: str
    total_bytes: int
    free_bytes: int
    bandwidth: float
    quantizations: tuple[QuantizationChoice, ...]
    devices: tuple[str, ...] = ()       # to choose from


@dataclass(frozen=True, slots=True)
class FoundModel:
    """One model, wherever it was found. `spec_model` and `revision` are what ModelSpec takes.

    `problem`: why the hub says no more about it; what is known from the catalog or from disk is there all the same.
    """

    spec_model: str
    where: Where
    revision: str | None = None
    shape: ModelShape | None = None
    listing: HubListing | None = None
    entry: CatalogEntry | None = None
    is_on_disk: bool = False
    partial_bytes: int = 0          # of what a download needs, is here already
    saved: frozenset[Quantization] = frozenset()        # kept in these: they load without their source
    problem: EngineError | None = None

    @property
    def name(self) -> str:
        return self.spec().name

    @property
    def can_load(self) -> bool:
        return self.is_on_disk or self.where in ("builtin", "folder")

    def can_load_as(self, quantization: Quantization) -> bool:
        return self.can_load or quantization in self.saved

    @property
    def download_bytes(self) -> int:
        return self.listing.needed_bytes if self.listing else 0

    def spec(self, quantization: Quantization = Quantization.NONE) -> ModelSpec:
        return ModelSpec(self.spec_model, self.revision, quantization)
