"""Quantized models saved to disk: the next load reads a fraction of the bytes and quantizes nothing.

A saved model is a complete folder with tokenizer and configuration, so it loads even after its source was deleted.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoint.files import split_file
from ..checkpoint.shape import ModelShape
from ..errors import DiskFull, InvalidRequest, ModelNotFound
from ..hardware import Hardware
from ..settings import BUILTIN, Settings
from .loaded import LoadedModel
from .quantization import Kernel, Quantization
from .resolve import LocalModel, resolve
from .spec import ModelSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MARKER = "mindcubes.json"       # written last: a folder without it is incomplete
NOT_LOADED = ("generation_config.json", "preprocessor_config.json", "processor_config.json")    # no part of a loaded model
SPARE = 1.05                    # tokenizer, configuration, headers


@dataclass(frozen=True, slots=True)
class SavedModel:
    """`source`: the commit, or the fingerprint of the folder, that it was made from. `shape`: of the source, before quantization.

    `kernel`: what can read the weights. `note`: which layers are not quantized.
    """

    model: str
    quantization: Quantization
    source: str
    shape: ModelShape
    folder: Path
    kernel: Kernel = "bitsandbytes"
    note: str = ""

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.iterdir())


def fingerprint(folder: Path, sha: str | None) -> str:
    """Identifies the weights: the commit, or a hash of the files' names, sizes and times."""
    if sha:
        return sha
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.gguf")])
    facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def find_saved(spec: ModelSpec, settings: Settings, hardware: Hardware) -> SavedModel | None:
    """The saved copy of this model in this quantization, whether current or not, if this hardware can use it."""
    saved = _read(_place(spec, settings))
    return saved if saved is not None and saved.kernel == spec.quantization.kernel(hardware) else None


def is_current(saved: SavedModel, settings: Settings) -> bool:
    """Whether the source is unchanged since the copy was made, or no longer exists."""
    try:
        place = resolve(saved.model, settings)
    except (ModelNotFound, InvalidRequest):     # a folder that no longer exists
        return True
    if isinstance(place, LocalModel):
        return fingerprint(place.folder, None) == saved.source
    return _snapshot_sha(place.name, settings) in (None, saved.source)


def _snapshot_sha(repo: str, settings: Settings) -> str | None:
    """The commit of a hub model that is on this disk."""
    from huggingface_hub import try_to_load_from_cache

    name, gguf = split_file(repo)
    config = try_to_load_from_cache(name, gguf or "config.json", cache_dir=settings.cache_dir)
    return Path(config).parent.name if isinstance(config, str) else None


def all_saved(settings: Settings) -> tuple[SavedModel, ...]:
    root = settings.data_dir / "quantized"
    found = [_read(folder) for folder in sorted(root.iterdir())] if root.is_dir() else []
    return tuple(saved for saved in found if saved is not None)


def save(loaded: LoadedModel, settings: Settings) -> SavedModel:
    """Write a loaded quantized model. Raises InvalidRequest for one that is not quantized, and DiskFull."""
    candidate = loaded.candidate
    spec = candidate.spec
    if spec.quantization is Quantization.NONE or spec.model == BUILTIN:
        raise InvalidRequest("quantization", spec.quantization.value, "int8, int4 or nf4, and not the built-in model's, to be worth saving")
    if candidate.text_only:
        raise InvalidRequest("model", spec.model, "loaded with the part that reads pictures, to be saved")
    place = _place(spec, settings)
    place.parent.mkdir(parents=True, exist_ok=True)
    needed, free = int(loaded.weight_bytes * SPARE), shutil.disk_usage(place.parent).free
    if needed > free:
        raise DiskFull(needed, free)
    draft = place.with_name(f"{place.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    kernel = _kernel(loaded.model)
    if kernel == "pytorch":
        from .integer_files import write

        write(loaded.model, draft)
    else:
        loaded.model.save_pretrained(draft)
    loaded.tokenizer.save_pretrained(draft)
    for name in NOT_LOADED:
        (draft / name).unlink(missing_ok=True)
        if (candidate.folder / name).is_file():
            shutil.copy(candidate.folder / name, draft)
    facts = {"model": spec.model, "quantization": spec.quantization, "source": fingerprint(candidate.folder, candidate.sha),
             "shape": asdict(candidate.shape), "kernel": kernel, "note": candidate.quantization_note}
    (draft / MARKER).write_text(json.dumps(facts, indent=1), "utf-8")
    shutil.rmtree(place, ignore_errors=True)
    draft.rename(place)
    saved = _read(place)
    assert saved is not None, "written a moment ago"
    return saved


def _kernel(model: PreTrainedModel) -> Kernel:
    from .integer import IntegerProduct
    from .linear import products

    return "pytorch" if any(isinstance(product, IntegerProduct) for product in products(model)) else "bitsandbytes"


def delete_saved(saved: SavedModel) -> int:
    """Delete a saved model and return the bytes freed."""
    size = saved.size_bytes
    shutil.rmtree(saved.folder)
    return size


def _place(spec: ModelSpec, settings: Settings) -> Path:
    """Return the folder for a model and quantization: a readable name, made unique by a digest."""
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", spec.model).strip("-.")[-60:]
    digest = hashlib.sha256(f"{spec.model} {spec.revision or ''}".encode()).hexdigest()[:12]
    return settings.data_dir / "quantized" / f"{readable}-{digest}-{spec.quantization.value}"


def _read(folder: Path) -> SavedModel | None:
    try:
        facts = json.loads((folder / MARKER).read_text("utf-8"))
        known = {each.name for each in fields(ModelShape)}      # older versions had others
        shape = ModelShape(**{name: value for name, value in facts["shape"].items() if name in known})
        return SavedModel(facts["model"], Quantization(facts["quantization"]), facts["source"], shape, folder,
                          facts.get("kernel", "bitsandbytes"), facts.get("note", ""))      # copies of older versions have neither
    except (OSError, ValueError, KeyError, TypeError):      # missing, incomplete, or of an older version
        return None
