"""Lists the files of a model, and checks whether a folder or a repository has all files that loading needs."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path

TOKENIZERS = ("tokenizer*", "vocab*", "*.model", "tekken.json")
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r".+-\d+-of-\d+\.safetensors")
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"       # of peft
GGUF = ".gguf"
GGUF_NAME = re.compile(r"[\w.\-+ ]+\.gguf", re.IGNORECASE)
GGUF_SPLIT = re.compile(r"-\d+-of-\d+\.gguf$")
GGUF_BESIDE = ("mmproj", "imatrix")     # files beside the weights: the part that reads pictures, statistics
# The first is what is published and downloaded most: a third of the size of 16 bits, and hardly worse.
GGUF_PREFERRED = ("Q4_K_M", "Q4_K_S", "Q4_0", "IQ4_XS", "Q5_K_M", "Q6_K", "Q8_0")


def is_complete(folder: Path, gguf: str = "") -> bool:
    """Whether a folder has every file that is needed to load it, or to load this GGUF file of it."""
    if gguf:
        return (folder / gguf).is_file()
    return _has_weights(folder) or bool(gguf_in(folder)) or (is_adapter(names_in(folder)) and (folder / ADAPTER_WEIGHTS).is_file())


def names_in(folder: Path) -> frozenset[str]:
    return frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else frozenset()


def is_adapter(paths: Collection[str]) -> bool:
    """Whether a folder or repository holds an adapter, and no model of its own."""
    return ADAPTER_CONFIG in paths and not {WEIGHTS, WEIGHTS_INDEX} & set(paths)


def gguf_in(folder: Path) -> str:
    """The GGUF file of a folder that is loaded if none is named; "" for a folder with safetensors weights."""
    return next(iter(gguf_choices(names_in(folder))), "")


def gguf_choices(paths: Collection[str]) -> tuple[str, ...]:
    """The GGUF files of a folder or repository that can be loaded, the one that is chosen first; none beside safetensors weights."""
    if {WEIGHTS, WEIGHTS_INDEX} & set(paths):
        return ()
    whole = sorted(path for path in paths if path.lower().endswith(GGUF) and "/" not in path and not GGUF_SPLIT.search(path.lower())
                   and not path.lower().startswith(GGUF_BESIDE))
    return tuple(sorted(whole, key=lambda path: next(
        (rank for rank, kind in enumerate(GGUF_PREFERRED) if kind in path.upper()), len(GGUF_PREFERRED))))


def gguf_named(model: str) -> str:
    """The GGUF file that a path, an address or owner/name/file.gguf names, or ""."""
    name = model.replace("\\", "/").rpartition("/")[2]
    return name if name.lower().endswith(GGUF) else ""


def split_file(name: str) -> tuple[str, str]:
    """owner/name and file of owner/name/file.gguf; "" as the file of any other name."""
    repo, _, file = name.rpartition("/")
    return (repo, file) if repo.count("/") == 1 and GGUF_NAME.fullmatch(file) else (name, "")


def _has_weights(folder: Path) -> bool:
    if not (folder / "config.json").is_file() or not any(path.is_file() for name in TOKENIZERS for path in folder.glob(name)):
        return False
    if (folder / WEIGHTS).is_file():
        return True
    index = folder / WEIGHTS_INDEX
    return index.is_file() and all((folder / name).is_file() for name in shard_names(index.read_bytes()))


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files that transformers loads: model.safetensors, else those that the index lists.

    Other files next to them, such as consolidated.safetensors, contain the same weights again under the names of another program.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    index = folder / WEIGHTS_INDEX
    return [folder / name for name in sorted(shard_names(index.read_bytes()))] if index.is_file() else []


def weights_obstacle(folder: Path) -> str:
    """Return why the weight files of a folder cannot be loaded, or ""."""
    index = folder / WEIGHTS_INDEX
    paths = frozenset(path.name for path in folder.iterdir() if path.is_file())
    return _missing_weights(paths, shard_names(index.read_bytes()) if index.is_file() else frozenset())


def shard_names(index: bytes) -> frozenset[str]:
    """Return the weight files that an index lists; none if it is not an index."""
    try:
        return frozenset(str(name) for name in json.loads(index)["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return frozenset()


def missing_files(paths: frozenset[str], shards: frozenset[str]) -> str:
    """Return why a repository with these files cannot be loaded, or ""."""
    if is_adapter(paths):
        return "" if ADAPTER_WEIGHTS in paths else _without_safetensors(paths, "it is an adapter without safetensors weights")
    if "config.json" not in paths:
        return _gguf_obstacle(paths) or "it has no config.json."
    if not any(fnmatch(path, pattern) for path in paths for pattern in TOKENIZERS):
        return "it has no tokenizer (tokenizer.json)."
    return _missing_weights(paths, shards)


def _gguf_obstacle(paths: frozenset[str]) -> str:
    """Why none of the GGUF files can be loaded, where there are some."""
    files = [path.lower() for path in paths if path.lower().endswith(GGUF)]
    if any(GGUF_SPLIT.search(path) for path in files):
        return "its GGUF files are split, and only whole ones can be loaded (llama-gguf-split --merge of llama.cpp joins them)."
    return "its GGUF files are in folders of their own, or hold no language model." if files else ""


def _missing_weights(paths: frozenset[str], shards: frozenset[str]) -> str:
    if WEIGHTS in paths or (WEIGHTS_INDEX in paths and shards and shards <= paths):
        return ""
    if WEIGHTS_INDEX in paths:
        lacking = next(iter(sorted(shards - paths)), "")
        return f"some of its weight files are missing{f', for example {lacking}' if lacking else ''}."
    if any(SHARD.fullmatch(path) for path in paths):
        return f"{WEIGHTS_INDEX}, which lists its weight files, is missing."
    if obstacle := _gguf_obstacle(paths):
        return obstacle
    return _without_safetensors(paths, "it has no safetensors weights")


def _without_safetensors(paths: frozenset[str], what: str) -> str:
    pickled = next((path for path in sorted(paths) if fnmatch(path, "*.bin") or fnmatch(path, "*.pt*")), "")
    return f"{what}: {pickled} is pickled, which can run code while loading." if pickled else f"{what}."
