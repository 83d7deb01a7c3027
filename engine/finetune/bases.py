"""The model that a plan names: where its files are, its shape, and whether it can be trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..checkpoint.config import parse_config, read_raw_config
from ..checkpoint.files import gguf_in
from ..checkpoint.shape import ModelShape, read_shape, read_tensors
from ..checkpoint.tasks import has_head
from ..compat.transformers import is_causal_architecture, predicts_next_token, reads_pictures
from ..errors import ModelNotFound, UnsupportedModel
from ..hub.hub import Hub
from ..models.resolve import LocalModel, resolve
from ..settings import Secret, Settings
from .plan import HEADED, FineTunePlan, Task


@dataclass(frozen=True, slots=True)
class Base:
    """`folder`: None for a model that must be downloaded first. `revision`: its commit, of a model of the hub.

    `is_gated`: of a model that must be downloaded.
    """

    name: str
    folder: Path | None
    shape: ModelShape
    revision: str = ""
    download_bytes: int = 0
    is_gated: bool = False


def find_base(plan: FineTunePlan, settings: Settings, token: Secret | None = None) -> Base:
    """Raises ModelNotFound, the errors of the hub, InvalidRequest, and UnsupportedModel for one that cannot be trained for this task."""
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
    if plan.task not in HEADED and listing.tasks:
        raise UnsupportedModel(place.name, f"it was trained for {listing.tasks[0]} and does not write text.")
    _require_class(plan.task, listing.architecture, place.name)
    return Base(place.name, None, _trainable(plan, listing.shape), listing.sha, listing.needed_bytes, listing.is_gated)


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
    _require_class(plan.task, config.model_type, name)
    if plan.task not in HEADED and getattr(config, "is_decoder", None) is False:        # its layers say whether they are an encoder's
        from ..models.skeleton import build_skeleton, require_layers

        require_layers(config, len(read_tensors(folder, name)), name)
        build_skeleton(config, name)
    return Base(name, folder, _trainable(plan, read_shape(folder, config.to_dict(), name)), revision)


def _require_class(task: Task, kind: str, model: str) -> None:
    """Check that transformers has a class of this architecture that can be trained for a task. Raises UnsupportedModel."""
    if task in HEADED:
        if not has_head(task, kind):        # type: ignore[arg-type]
            raise UnsupportedModel(model, f"transformers has no head for {task} on {kind} models.")
    elif is_causal_architecture(kind):
        if not predicts_next_token(kind):
            raise UnsupportedModel(model, f"in transformers, {kind} models are trained to repeat each token, not to write the next one.")
    elif not reads_pictures(kind):
        raise UnsupportedModel(model, f"transformers has no {kind} model that writes text.")


def _trainable(plan: FineTunePlan, shape: ModelShape) -> ModelShape:
    if shape.stored_method:
        raise UnsupportedModel(plan.base.model, f"its weights are stored in {shape.stored_method}, which cannot be trained: choose "
                               "the model that it was made of, and QLoRA to save memory.")
    return shape
