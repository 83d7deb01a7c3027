"""Resolves a model's name to the built-in model, a folder on this machine, or a repository on the hub.

Only this module decides that. It reads the disk, but makes no request to the hub.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..checkpoint.files import ADAPTER_CONFIG, GGUF, gguf_in
from ..errors import ModelNotFound
from ..hub.hub import parse_model_name
from ..settings import BUILTIN, Settings

BUILTIN_FOLDER = Path(__file__).parent / "builtin"
CONFIGS = ("config.json", ADAPTER_CONFIG)
PATH_STARTS = ("/", "~", ".", "\\")


@dataclass(frozen=True, slots=True)
class LocalModel:
    """`name`: what ModelSpec takes, BUILTIN or the absolute path of a folder or of a GGUF file. `gguf`: the name of that file, or ""."""

    name: str
    folder: Path
    gguf: str = ""


@dataclass(frozen=True, slots=True)
class HubRepo:
    """A valid owner/name or owner/name/file.gguf; whether it exists on the hub is not yet known."""

    name: str


def resolve(typed: str, settings: Settings) -> LocalModel | HubRepo:
    """Resolve `typed`; on a public page never to a folder, except the one that the operator's settings name.

    A relative path without a leading dot is a folder only if that folder has the configuration of a model or adapter, or a GGUF file,
    since owner/name looks the same.
    Raises ModelNotFound for a path that does not exist, and InvalidRequest for a text that is not a name.
    """
    typed = typed.strip()
    if typed.lower() == BUILTIN:
        return LocalModel(BUILTIN, BUILTIN_FOLDER)
    place = None if settings.is_public and typed != settings.model.strip() else _local(typed)
    return place or HubRepo(parse_model_name(typed))


def _local(typed: str) -> LocalModel | None:
    is_path = is_path_like(typed)
    try:
        path = Path(typed).expanduser().resolve()
        if path.is_file() and path.suffix.lower() == GGUF:
            return LocalModel(str(path), path.parent, path.name)
        if path.is_dir() and (is_path or any((path / name).is_file() for name in CONFIGS) or gguf_in(path)):
            return LocalModel(str(path), path, gguf_in(path))
    except (OSError, RuntimeError, ValueError):     # no file system accepts this name
        pass
    if is_path:
        raise ModelNotFound(typed, "this machine")
    return None


def is_path_like(typed: str) -> bool:
    """Whether this can only be a path, on any system, since no repository's name begins like that."""
    return typed.startswith(PATH_STARTS) or typed[1:3] in (":\\", ":/")


def names_a_model(typed: str) -> bool:
    """Whether a text in a search box is a name, an address or a path rather than words to search for."""
    return typed.lower() == BUILTIN or "/" in typed or is_path_like(typed)


def may_be_repo(typed: str) -> bool:
    """Whether this may be a name on the hub, or words for its search."""
    return typed.count("/") == 1 and " " not in typed and not is_path_like(typed)
