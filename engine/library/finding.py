"""Finds the model that a visitor typed: built in, in a folder, in the cache, on the hub, or only in the catalog."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..checkpoint.adapter import UnsupportedAdapter, read_adapter_config
from ..checkpoint.config import parse_config, read_raw_config
from ..checkpoint.files import (
    ADAPTER_WEIGHTS,
    gguf_choices,
    gguf_in,
    is_adapter,
    is_complete,
    missing_files,
    names_in,
    split_file,
)
from ..checkpoint.gguf import folder_shape
from ..checkpoint.shape import ModelShape, read_shape
from ..checkpoint.tasks import tasks_of, tasks_of_adapter
from ..errors import EngineError, HubUnreachable, LoadError, ModelAccessDenied, UnsupportedModel
from ..hub.hub import Hub, HubListing, StoredModel
from ..models.adapters import base_of
from ..models.catalog import entry_of
from ..models.quantization import Quantization
from ..models.resolve import LocalModel, resolve
from ..models.saved import all_saved, find_saved
from ..pipelines import without_cache
from ..runtime.engine import Engine
from ..settings import BUILTIN
from .found_model import FoundAdapter, FoundModel, GgufFile, Where
from .permissions import Permissions, Visitor


class Finder:
    def __init__(self, engine: Engine, hub: Hub, permissions: Permissions) -> None:
        self._engine, self._hub, self._permissions = engine, hub, permissions

    def find(self, typed: str, visitor: Visitor, revision: str | None) -> FoundModel:
        place = resolve(typed, self._engine.settings)
        if isinstance(place, LocalModel) and not place.gguf and is_adapter(names_in(place.folder)):
            return self._with_base(_adapter_in(place.name, place.folder), visitor)
        if isinstance(place, LocalModel):
            return _in_folder(place.name, place.folder, place.gguf, "builtin" if place.name == BUILTIN else "folder")
        try:
            listing = self._hub.describe(place.name, revision, self._permissions.hub_token(visitor))
        except LoadError as error:      # also if the repository was deleted or made private since it was downloaded
            known = self._without_hub(place.name, error, visitor)
            if known is None:
                raise
            return known
        has_token = bool(self._permissions.hub_token(visitor))
        if listing.adapter is not None:
            return self._listed_adapter(listing, visitor, has_token=has_token)
        return self._listed(listing, has_token=has_token)

    def _listed_adapter(self, listing: HubListing, visitor: Visitor, *, has_token: bool) -> FoundModel:
        """An adapter of the hub with its base; alone, if it cannot be used or may not be read."""
        assert listing.adapter is not None
        is_here = self._hub.stored(listing.repo, listing.sha) is not None
        adapter = FoundAdapter(listing.repo, listing.adapter, is_here, listing.needed_bytes, listing)
        problem: EngineError | None = UnsupportedAdapter(listing.repo, listing.obstacle) if listing.obstacle else None
        if not listing.gated_access:
            problem = ModelAccessDenied(listing.repo, listing.licence_url, has_token=has_token)
        if problem is not None:
            return FoundModel(listing.repo, "hub", listing.sha, listing=listing, problem=problem)
        return self._with_base(adapter, visitor)

    def _with_base(self, adapter: FoundAdapter, visitor: Visitor) -> FoundModel:
        """Raises UnsupportedAdapter if no base can be found."""
        if adapter.config.obstacle:
            raise UnsupportedAdapter(adapter.source, adapter.config.obstacle)
        base, revision = base_of(adapter.source, adapter.config, self._engine.settings)
        found = self.find(base, visitor, revision) if adapter.config.is_for_text else self._for_task(base, revision, adapter, visitor)
        if found.adapter is not None:
            raise UnsupportedAdapter(adapter.source, f"it was made for another adapter ({base}).")
        return replace(found, adapter=adapter)

    def _for_task(self, base: str, revision: str | None, adapter: FoundAdapter, visitor: Visitor) -> FoundModel:
        """The base of an adapter that brings the head of a task. It need not have one itself. Raises UnsupportedAdapter."""
        place = resolve(base, self._engine.settings)
        folder = place.folder if isinstance(place, LocalModel) else self._hub.stored(base, revision)
        if folder is not None:
            tasks = tasks_of_adapter(adapter.config.task, read_raw_config(folder, base).get("model_type"))
            where: Where = "disk" if not isinstance(place, LocalModel) else "builtin" if base == BUILTIN else "folder"
            found = FoundModel(base, where, revision, _shape_in(folder, base), is_on_disk=True, tasks=tasks)
        else:
            listing = self._hub.describe(base, revision, self._permissions.hub_token(visitor))
            listing = replace(listing, tasks=tasks_of_adapter(adapter.config.task, listing.architecture),
                              obstacle="" if listing.is_whole else listing.obstacle)
            found = self._listed(listing, has_token=bool(self._permissions.hub_token(visitor)))
        if not found.tasks:
            raise UnsupportedAdapter(adapter.source, f"no head for its task ({adapter.config.task}) fits its base ({base}).")
        return found

    def _without_hub(self, repo: str, error: LoadError, visitor: Visitor) -> FoundModel | None:
        """Return what is known from the disk or the catalog about a model that the hub does not describe."""
        entry, stored, gguf = entry_of(repo), self._stored(split_file(repo)[0]), split_file(repo)[1]
        if stored is not None and stored.path is not None and is_complete(stored.path) and is_adapter(names_in(stored.path)):
            return replace(self._with_base(_adapter_in(repo, stored.path), visitor), problem=error)
        if stored is not None and stored.path is not None and is_complete(stored.path, gguf):
            known = _in_folder(repo, stored.path, gguf or gguf_in(stored.path), "disk")
            return replace(known, revision=stored.sha, entry=entry, problem=error)
        saved = next((each for each in all_saved(self._engine.settings) if each.model == repo), None)
        if saved is not None:
            return self.refreshed(FoundModel(repo, "disk", saved.source, saved.shape, entry=entry, problem=error))
        if isinstance(error, ModelAccessDenied) or (entry is not None and isinstance(error, HubUnreachable)):
            return FoundModel(repo, "catalog", shape=entry.shape if entry else None, entry=entry, problem=error)
        return None

    def _listed(self, listing: HubListing, *, has_token: bool) -> FoundModel:
        entry = entry_of(listing.repo)
        problem: EngineError | None = UnsupportedModel(listing.repo, listing.obstacle) if listing.obstacle else None
        if not listing.gated_access:
            problem = ModelAccessDenied(listing.repo, listing.licence_url, has_token=has_token)
        shape = listing.shape or (entry.shape if entry else None)
        files = tuple(GgufFile(f"{listing.repo}/{file.path}", file.path, file.size_bytes) for file in listing.gguf_files)
        shape = without_cache(shape) if shape and listing.tasks else shape
        return self.refreshed(FoundModel(listing.name, "hub", listing.sha, shape, listing, entry, problem=problem, gguf_files=files,
                                         tasks=listing.tasks))

    def refreshed(self, model: FoundModel) -> FoundModel:
        """Return `model` with the files that are on disk now."""
        if model.adapter is not None and model.adapter.listing is not None:
            is_there = self._hub.stored(model.adapter.source, model.adapter.listing.sha) is not None
            model = replace(model, adapter=replace(model.adapter, is_on_disk=is_there))
        if model.where in ("builtin", "folder", "catalog"):
            return model
        is_here = self._hub.stored(model.spec_model, model.revision) is not None
        partial = 0 if is_here or model.listing is None else self._partial_bytes(model.listing)
        saved = frozenset(each for each in Quantization if find_saved(model.spec(each), self._engine.settings, self._engine.hardware))
        return replace(model, where="disk" if is_here or saved else "hub", is_on_disk=is_here, partial_bytes=partial, saved=saved)

    def _partial_bytes(self, listing: HubListing) -> int:
        """Return the bytes of an unfinished download, or of files that an older revision shares with this one."""
        stored = self._stored(listing.repo)
        if stored is None or stored.path is None or not stored.is_complete:
            return stored.size_bytes if stored else 0
        return sum(file.size_bytes for file in listing.needed_files if (stored.path / file.path).resolve().name == file.etag)

    def _stored(self, repo: str) -> StoredModel | None:
        return next((each for each in self._hub.on_disk() if each.repo == repo), None)


def _adapter_in(source: str, folder: Path) -> FoundAdapter:
    """Raises UnsupportedAdapter."""
    weights = folder / ADAPTER_WEIGHTS
    if obstacle := missing_files(names_in(folder), frozenset()):
        raise UnsupportedAdapter(source, obstacle)
    return FoundAdapter(source, read_adapter_config(folder, source), True, weights.stat().st_size)


def _in_folder(name: str, folder: Path, gguf: str, where: Where) -> FoundModel:
    tasks = tasks_of(read_raw_config(folder, name)) if (folder / "config.json").is_file() and not gguf else ()
    if tasks:
        return FoundModel(name, where, shape=_shape_in(folder, name), is_on_disk=True, tasks=tasks)
    base = folder if where == "folder" else split_file(name)[0]
    files = tuple(GgufFile(f"{base}/{each}", each, (folder / each).stat().st_size)
                  for each in gguf_choices({path.name for path in folder.iterdir()})) if gguf else ()
    return FoundModel(name, where, shape=folder_shape(folder, gguf, name), is_on_disk=True, gguf_files=files)


def _shape_in(folder: Path, name: str) -> ModelShape:
    """Of a model that keeps nothing between two texts. Raises UnsupportedModel."""
    return without_cache(read_shape(folder, parse_config(read_raw_config(folder, name), name).to_dict(), name))
