"""Lists the files of a model, and checks whether a folder or a repository has all files that loading needs."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path

TOKENIZERS = ("tokenizer*", "vocab*", "*.model", "tekken.json")
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r".+-\d+-of-\d+\.safetensors")


def is_complete(folder: Path) -> bool:
    """Whether a folder has a configuration, a tokenizer, and every weight file that transformers would load."""
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
    except (ValueError, KeyError, TypeError, AttributeError):
        return frozenset()


def missing_files(paths: frozenset[str], shards: frozenset[str]) -> str:
    """Return why a repository with these files cannot be loaded, or ""."""
    if "config.json" not in paths:
        if "adapter_config.json" in paths:
            return "it is an adapter, not a model of its own."
        return "it has GGUF files only." if any(path.endswith(".gguf") for path in paths) else "it has no config.json."
    if not any(fnmatch(path, pattern) for path in paths for pattern in TOKENIZERS):
        return "it has no tokenizer (tokenizer.json)."
    return _missing_weights(paths, shards)


def _missing_weights(paths: frozenset[str], shards: frozenset[str]) -> str:
    if WEIGHTS in paths or (WEIGHTS_INDEX in paths and shards and shards <= paths):
        return ""
    if WEIGHTS_INDEX in paths:
        lacking = next(iter(sorted(shards - paths)), "")
        return f"some of its weight files are missing{f', for example {lacking}' if lacking else ''}."
    if any(SHARD.fullmatch(path) for path in paths):
        return f"{WEIGHTS_INDEX}, which lists its weight files, is missing."
    pickled = next((path for path in sorted(paths) if fnmatch(path, "*.bin") or fnmatch(path, "*.pt*")), "")
    if pickled:
        return f"it has no safetensors weights: {pickled} is pickled, which can run code while loading."
    return "it has no safetensors weights."
