"""One revision of a model on the hub: its files, and which of them are needed to load it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ..checkpoint.files import ADAPTER_WEIGHTS, WEIGHTS, WEIGHTS_INDEX, is_adapter
from ..errors import HubUnreachable
from .cache import COMMIT, checked_repo, checked_revision
from .client import HubClient

if TYPE_CHECKING:
    from huggingface_hub import DatasetInfo, ModelInfo

MODULE = re.compile(r"\d+_\w+/(config\.json|model\.safetensors)")       # of sentence-transformers, beside modules.json
NEEDED = ("*.json", "*.jinja", "*.model", "*.txt", "tokenizer*")    # beside the weights, in the top folder only


@dataclass(frozen=True, slots=True)
class HubFile:
    """`etag`: the hash of its content, which names it in the cache."""

    path: str
    size_bytes: int
    is_needed: bool = False
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Repository:
    """`repo`: its current name, after any renaming."""

    repo: str
    sha: str
    files: tuple[HubFile, ...]
    info: ModelInfo

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(file.path for file in self.files)

    @property
    def is_sharded(self) -> bool:
        return WEIGHTS not in self.paths and WEIGHTS_INDEX in self.paths

    def needed(self, shard_names: Iterable[str]) -> tuple[HubFile, ...]:
        """Return the files that transformers reads: configuration, tokenizer and one set of weights, even if there are several.

        Of an embedding model also what sentence-transformers reads, in folders of its own.
        """
        weights = {ADAPTER_WEIGHTS} if is_adapter(self.paths) else {WEIGHTS} if WEIGHTS in self.paths else {WEIGHTS_INDEX, *shard_names}
        has_modules = "modules.json" in self.paths
        return tuple(replace(file, is_needed=True) for file in self.files if is_inside(file.path) and (
            file.path in weights or (has_modules and MODULE.fullmatch(file.path)) or _is_beside_weights(file.path)))

    def needed_gguf(self, name: str) -> tuple[HubFile, ...]:
        """Return the one file that is read if its weights are those of a GGUF file; none if it does not exist."""
        return tuple(replace(file, is_needed=True) for file in self.files if file.path == name and is_inside(name))


def _is_beside_weights(path: str) -> bool:
    return ("/" not in path and any(fnmatch(path, pattern) for pattern in NEEDED)
            and not fnmatch(path, "*.index.json") and not path.startswith("."))


def fetch_repository(client: HubClient, repo: str, revision: str | None = None) -> Repository:
    """Fetch the list of a revision's files. Raises InvalidRequest and what the client raises."""
    info = client.model_info(checked_repo(repo), checked_revision(revision) if revision else None)
    files = listed_files(info, repo)
    if not COMMIT.fullmatch(str(info.sha)):
        raise HubUnreachable(repo, "its answer names no commit")
    return Repository(checked_repo(info.id), info.sha, files, info)


def listed_files(info: ModelInfo | DatasetInfo, repo: str) -> tuple[HubFile, ...]:
    """The files that the hub lists. Raises HubUnreachable if its answer is malformed."""
    try:
        return tuple(HubFile(file.rfilename, file.lfs.size if file.lfs else file.size or 0, False,
                             (file.lfs.sha256 if file.lfs else file.blob_id) or "") for file in info.siblings or ())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HubUnreachable(repo, f"its answer is not a repository's ({type(error).__name__})") from None


def is_inside(path: str) -> bool:
    """Whether a path that the hub lists stays inside the repository's folder, on every system."""
    return not PurePosixPath(path).is_absolute() and ".." not in path.split("/") and not re.search(r"[\\:\0]", path)
