"""A model as the library found it: built in, in a folder, in the cache or on the hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..checkpoint.adapter import AdapterConfig
from ..checkpoint.files import gguf_named, split_file
from ..checkpoint.shape import ModelShape
from ..checkpoint.tasks import Task
from ..errors import EngineError
from ..hub.hub import HubListing
from ..models.catalog import CatalogEntry
from ..models.quantization import Quantization
from ..models.spec import ModelSpec

Where = Literal["builtin", "folder", "disk", "hub", "catalog"]


@dataclass(frozen=True, slots=True)
class GgufFile:
    """One of the GGUF files of a folder or repository. `model`: what ModelSpec takes."""

    model: str
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FoundAdapter:
    """A LoRA adapter; the model that is found with it is its base. `source`: what ModelSpec takes."""

    source: str
    config: AdapterConfig
    is_on_disk: bool
    size_bytes: int
    listing: HubListing | None = None

    @property
    def name(self) -> str:
        return Path(self.source).name


@dataclass(frozen=True, slots=True)
class FoundModel:
    """`spec_model` and `revision` are what ModelSpec takes.

    `problem`: why the hub gave no more information; facts from the catalog or the disk are still included.
    """

    spec_model: str
    where: Where
    revision: str | None = None
    shape: ModelShape | None = None
    listing: HubListing | None = None
    entry: CatalogEntry | None = None
    is_on_disk: bool = False
    partial_bytes: int = 0          # bytes on disk, of those that a download needs
    saved: frozenset[Quantization] = frozenset()        # saved in these: they load without the original weights
    problem: EngineError | None = None
    tasks: tuple[Task, ...] = ()            # of a model that does not chat, the likeliest first
    adapter: FoundAdapter | None = None     # everything else describes its base
    gguf_files: tuple[GgufFile, ...] = ()       # of a model without safetensors weights: those to choose from

    @property
    def name(self) -> str:
        return self.spec().name

    @property
    def base_name(self) -> str:
        return self.spec().base.name

    @property
    def gguf(self) -> str:
        """The GGUF file that is loaded, or ""."""
        return gguf_named(self.spec_model) or (self.gguf_files[0].name if self.gguf_files else "")

    @property
    def repo(self) -> str:
        """owner/name, also of a GGUF file."""
        return split_file(self.spec_model)[0]

    @property
    def source(self) -> str:
        """What was asked for: the adapter, or the model."""
        return self.adapter.source if self.adapter else self.spec_model

    @property
    def is_base_here(self) -> bool:
        return self.is_on_disk or self.where in ("builtin", "folder")

    @property
    def can_load(self) -> bool:
        return self.is_base_here and (self.adapter is None or self.adapter.is_on_disk)

    def can_load_as(self, quantization: Quantization) -> bool:
        return self.can_load or (quantization in self.saved and (self.adapter is None or self.adapter.is_on_disk))

    @property
    def listings(self) -> tuple[HubListing, ...]:
        """Of what has to be downloaded, in that order: the adapter, which is small, and the model."""
        adapter = self.adapter.listing if self.adapter and not self.adapter.is_on_disk else None
        return tuple(filter(None, (adapter, None if self.adapter and self.is_base_here else self.listing)))

    @property
    def download_bytes(self) -> int:
        return sum(listing.needed_bytes for listing in self.listings)

    def spec(self, quantization: Quantization = Quantization.NONE) -> ModelSpec:
        return ModelSpec(self.spec_model, self.revision, quantization, self.adapter.source if self.adapter else None,
                         task=self.tasks[0] if self.tasks else "")
