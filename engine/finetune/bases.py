"""The model that a plan names: where its files are, its shape, and whether it can be trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..checkpoint.config import parse_config, read_raw_config
from ..checkpoint.files import gguf_in
from ..checkpoint.shape import ModelShape, read_shape, read_tensors
from ..errors import ModelNotFound, UnsupportedModel
from ..hub.hub import Hub
from ..models.resolve import LocalModel, resolve
from ..settings import Secret, Settings
from .plan import HEADED, FineTunePlan


@dataclass(frozen=True, slots=True)
class Base:
    """`folder`: None for a model that must be downloaded first. `revision`: its commit, of a model of the hub."""

    name: str
    folder: Path | None
    shape: ModelShape
    revision: str = ""
    download_bytes: int = 0


def find_base(plan: FineTunePlan, settings: Settings, token: Secret | None = None) -> Base:
    """Raises ModelNotFound, the errors of the hub, InvalidRequest, and UnsupportedModel for weights that cannot be trained."""
    place = resolve(plan.base.model, settings)
    if isinstance(place, LocalModel):
        return _in_folder(plan, place.folder, place.gguf)
    hub = Hub(settings)
    stored = hub.stored(place.name, plan.base.revision)
    if stored is not None:
        return _in_folder(plan, stored, "", stored.name)
    listing = hub.describe(place.name, plan.base.revision, token)
    if listing.shape is None or listing.gguf:
        raise UnsupportedModel(place.name, listing.obstacle or "only models with safetensors weights can be trained.")
    return Base(place.name, None, _trainable(plan, listing.shape), listing.sha, listing.needed_bytes)


def require_folder(base: Base) -> Path:
    if base.folder is None:
        raise ModelNotFound(base.name, "the models on this disk")
    return base.folder


def _in_folder(plan: FineTunePlan, folder: Path, gguf: str, revision: str = "") -> Base:
    name = plan.base.model
    if gguf or gguf_in(folder):
        raise UnsupportedModel(name, "GGUF files cannot be trained: choose the model that they were made of.")
    raw = read_raw_config(folder, name)
    config = parse_config(raw, name)
    if plan.task in HEADED:
        from ..compat.heads import head_class

        if head_class(plan.task, config) is None:       # type: ignore[arg-type]
            raise UnsupportedModel(name, f"transformers has no head for {plan.task} on {config.model_type} models.")
    elif getattr(config, "is_decoder", None) is False:      # its layers say whether they are an encoder's
        from ..models.skeleton import build_skeleton, require_layers

        require_layers(config, len(read_tensors(folder, name)), name)
        build_skeleton(config, name)
    return Base(name, folder, _trainable(plan, read_shape(folder, config.to_dict(), name)), revision)


def _trainable(plan: FineTunePlan, shape: ModelShape) -> ModelShape:
    if shape.stored_method:
        raise UnsupportedModel(plan.base.model, f"its weights are stored in {shape.stored_method}, which cannot be trained: choose "
                               "the model that it was made of, and QLoRA to save memory.")
    return shape
