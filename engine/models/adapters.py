"""LoRA adapters on their way to a loaded model: found, read and compared with its products before anything is unloaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoint.adapter import AdapterConfig, UnsupportedAdapter, place_of, read_adapter_config, read_matrices, read_whole
from ..checkpoint.files import ADAPTER_WEIGHTS, is_adapter, names_in
from ..errors import InvalidRequest, LoadError, ModelNotFound
from ..hub.hub import Hub, parse_model_name
from ..settings import BUILTIN, Settings
from .fetch import find
from .resolve import BUILTIN_FOLDER, HubRepo, LocalModel, is_path_like, resolve
from .skeleton import build_skeleton
from .spec import LoadOptions, ModelSpec, Report, adapter_name, split_revision

if TYPE_CHECKING:
    from transformers import PretrainedConfig

TEMPLATE = "chat_template.jinja"
MOST_ADAPTERS = 32      # of one loaded model
CHAT_TASK = "it was trained for another task ({task}), and writes no text."


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter on this disk. `source`: an absolute path, owner/name or owner/name@revision. `size_bytes`: of its weights' file.

    `known_as`: the name by which replies chose it before its model was loaded again, or "".
    """

    source: str
    folder: Path
    config: AdapterConfig
    size_bytes: int
    changed: int        # when its weights were written: nanoseconds since 1970
    known_as: str = ""

    @property
    def name(self) -> str:
        """By which replies choose it, if no other adapter of the model has this name."""
        return adapter_name(self.source)

    @property
    def chat_template(self) -> str:
        """That of the training, if it was kept beside the adapter."""
        try:
            if (self.folder / TEMPLATE).is_file():
                return (self.folder / TEMPLATE).read_text("utf-8")
            kept = json.loads((self.folder / "tokenizer_config.json").read_text("utf-8")).get("chat_template")
        except (OSError, ValueError, AttributeError, RecursionError):
            return ""
        return kept if isinstance(kept, str) else ""


def find_adapters(spec: ModelSpec, options: LoadOptions, settings: Settings, report: Report) -> tuple[ModelSpec, tuple[Adapter, ...]]:
    """The spec with the source of its adapter, and the adapters of the options in their order; before them that of the spec if it is not
    one of them. One that was loaded before and cannot be found now is left out. Raises what `find_adapter` raises about others.
    """
    names, own = options.names, () if spec.adapter in options.adapters else (spec.adapter,)
    sources = dict.fromkeys(filter(None, (*own, *options.adapters)))
    if len(sources) > MOST_ADAPTERS:
        raise InvalidRequest("adapters", len(sources), f"at most {MOST_ADAPTERS} of one model")
    found = {}
    for source in sources:
        try:
            found[source] = replace(find_adapter(source, settings, report), known_as=names.get(source, ""))
        except LoadError:
            if source not in names:
                raise
    default = found.get(spec.adapter or "")
    return replace(spec, adapter=default.source if default else None), tuple(found.values())


def find_adapter(source: str, settings: Settings, report: Report) -> Adapter:
    """The adapter in a folder or on the hub, downloaded if it is not on this disk.

    Raises UnsupportedAdapter, and the errors of the hub and the disk that a model's download raises.
    """
    asked, revision = split_revision(source)
    folder, _ = find(ModelSpec(asked, revision), settings, report)
    name = adapter_name(source)
    if not is_adapter(names_in(folder)):
        raise UnsupportedAdapter(source, "it is not an adapter: it has no adapter_config.json, or has a model's own weights.")
    config = read_adapter_config(folder, name)
    if config.obstacle:
        raise UnsupportedAdapter(source, config.obstacle)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise UnsupportedAdapter(source, f"it has no {ADAPTER_WEIGHTS}; a pickled adapter_model.bin is never loaded.")
    place = resolve(asked, settings)
    weights = (folder / ADAPTER_WEIGHTS).stat()
    return Adapter(f"{place.name}@{revision}" if revision else place.name, folder, config, weights.st_size, weights.st_mtime_ns)


def of_its_base(spec: ModelSpec, settings: Settings, report: Report) -> ModelSpec:
    """The base and the adapter that a name stands for, where it is that of an adapter; any other spec as it is.

    Raises UnsupportedAdapter, if the adapter names no base that can be found, and what `find_adapter` raises.
    """
    if spec.adapter or spec.is_remote or not _is_adapter(spec, settings):
        return spec
    is_pinned = spec.revision and isinstance(resolve(spec.model, settings), HubRepo)
    adapter = find_adapter(f"{resolve(spec.model, settings).name}@{spec.revision}" if is_pinned else spec.model, settings, report)
    base, revision = base_of(adapter.source, adapter.config, settings)
    return replace(spec, model=base, revision=revision, adapter=adapter.source)


def base_of(source: str, config: AdapterConfig, settings: Settings) -> tuple[str, str | None]:
    """What ModelSpec takes for the base of an adapter, and its revision. Raises UnsupportedAdapter."""
    if not config.base:
        raise UnsupportedAdapter(source, "it does not say which model it was made for.")
    missing = f"the model that it was made for is not on this machine ({config.base}). It can be loaded with another copy of that model."
    is_here = is_path_like(source)
    try:
        place = resolve(config.base if is_here or config.base.lower() == BUILTIN else parse_model_name(config.base), settings)
    except (ModelNotFound, InvalidRequest) as error:
        raise UnsupportedAdapter(source, missing) from error
    if isinstance(place, HubRepo):
        return place.name, config.base_revision
    if place.folder == BUILTIN_FOLDER:
        return BUILTIN, None
    if not is_here:     # a repository on the hub must not make this machine open a folder
        raise UnsupportedAdapter(source, missing)
    return place.name, None


def require_matching(adapters: Sequence[Adapter], config: PretrainedConfig, model: str) -> None:
    """Check that every product that the adapters change is one of the model's, of the same size. Raises UnsupportedAdapter."""
    if not adapters:
        return
    skeleton = build_skeleton(config, model)
    tables = [each.weight for each in (skeleton.get_input_embeddings(), skeleton.get_output_embeddings()) if each is not None]
    weights = {name.removesuffix(".weight"): tuple(weight.shape) for name, weight in skeleton.named_parameters()
               if name.endswith(".weight") and weight.ndim == 2 and not any(weight is table for table in tables)}
    for adapter in adapters:
        if not adapter.config.is_for_text:
            raise UnsupportedAdapter(adapter.name, CHAT_TASK.format(task=adapter.config.task))
        if whole := read_whole(adapter.folder, adapter.name):
            raise UnsupportedAdapter(adapter.name, f"it is an adapter that changes more than products ({next(iter(whole))[:100]}).")
        for module, (into, _, out) in read_matrices(adapter.folder, adapter.name).items():
            place = place_of(module, weights)
            if place is None or {into, out} != set(weights[place]):     # GPT-2 stores its matrices the other way round
                found = f"{' x '.join(map(str, weights[place]))} there" if place else "no product of its layers"
                raise UnsupportedAdapter(adapter.name, f"it does not fit {Path(model).name}: it changes {module}, {found}.")


def _is_adapter(spec: ModelSpec, settings: Settings) -> bool:
    """Whether a folder, or a name on the hub, is that of an adapter. What cannot be asked is taken for a model."""
    try:
        place = resolve(spec.model, settings)
    except (ModelNotFound, InvalidRequest):     # said where the model is looked for
        return False
    if isinstance(place, LocalModel):
        return not place.gguf and is_adapter(names_in(place.folder))
    hub = Hub(settings)
    folder = hub.stored(place.name, spec.revision)
    return is_adapter(names_in(folder)) if folder else hub.holds_adapter(place.name, spec.revision, settings.hf_token)
