"""The files of one revision on the hub, and which of them a load needs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from ..checkpoint.files import WEIGHTS, WEIGHTS_INDEX
from ..errors import HubUnreachable
from .cache import COMMIT, checked_repo, checked_revision
from .client import HubClient

NEEDED = ("*.json", "*.jinja", "*.model", "*.txt", "tokenizer*")    # beside the weights, and only at the top


@dataclass(frozen=True, slots=True)
class HubFile:
    """`etag` is the hash of the content, and its name in the cache."""

    path: str
    size_bytes: int
    is_needed: bool = False
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Repository:
    """One revision on the hub. `repo` is its name today; `info` is the client library's ModelInfo."""

    repo: str
    sha: str
    files: tuple[HubFile, ...]
    info: Any

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(file.path for file in self.files)

    @property
    def is_sharded(self) -> bool:
        return WEIGHTS not in self.paths and WEIGHTS_INDEX in self.paths

    def needed(self, shard_names: Iterable[str]) -> tuple[HubFile, ...]:
        """What transformers reads: configuration, tokenizer and one set of weights, even where there are several."""
        weights = {WEIGHTS} if WEIGHTS in self.paths else {WEIGHTS_INDEX, *shard_names}
        return tuple(replace(file, is_needed=True) for file in self.files if _is_inside(file.path) and (
            file.path in weights or ("/" not in file.path and any(fnmatch(file.path, pattern) for pattern in NEEDED)
                                     and not fnmatch(file.path, "*.index.json") and not file.path.startswith("."))))


def look(client: HubClient, repo: str, revision: str | None = None) -> Repository:
    """Raises InvalidRequest and what the client raises."""
    at = f"/revision/{quote(checked_revision(revision), safe='')}" if revision else ""
    data = client.json(f"/api/models/{checked_repo(repo)}{at}", repo, {"blobs": True})
    try:
        from huggingface_hub import ModelInfo

        info = ModelInfo(**data)
        files = tuple(HubFile(file.rfilename, file.lfs.size if file.lfs else file.size or 0, False,
                              (file.lfs.sha256 if file.lfs else file.blob_id) or "") for file in info.siblings or ())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HubUnreachable(repo, f"its answer is not a model's ({type(error).__name__})") from None
    if not COMMIT.fullmatch(str(info.sha)):
        raise HubUnreachable(repo, "its answer names no commit")
    return Repository(checked_repo(info.id), info.sha, files, info)


def _is_inside(path: str) -> bool:
    """Whether a path that a server told stays in the folder that it is meant for, on every system."""
    return not PurePosixPath(path).is_absolute() and ".." not in path.split("/") and not re.search(r"[\\:\0]", path)
