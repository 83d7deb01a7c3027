"""The model hub: search it, describe and download a model, list and delete what is on disk.

Every call takes the caller's token and does not keep it after the call. Nothing here runs code from a repository.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from ..checkpoint.files import GGUF, is_adapter, split_file
from ..errors import EngineError, HubOffline, InvalidRequest, TokenRejected
from ..settings import Secret, Settings
from . import datasets, download, listing, upload
from .cache import HubCache, StoredModel, checked_repo
from .client import HubClient, is_offline
from .datasets import DatasetPart, HubDataset
from .listing import HubListing
from .progress import DownloadProgress, OnProgress
from .repository import HubFile, fetch_repository

__all__ = ["DownloadProgress", "Hub", "HubFile", "HubListing", "HubModel", "HubPage", "HubQuery", "StoredModel", "parse_model_name"]

Sort = Literal["downloads", "likes", "trending", "date"]
SORT_KEYS: dict[Sort, str] = {"downloads": "downloads", "likes": "likes", "trending": "trendingScore", "date": "lastModified"}
PAGE_MODELS = 20
MOST_PAGES = 50             # the hub's pages have cursors, not numbers: page 50 requests all pages before it
MOST_HUB_PAGES = 10           # pages of the hub that are read for one page here
EXPAND = ["downloads", "likes", "lastModified", "gated", "safetensors", "gguf", "tags"]
FORMATS = ("safetensors", "gguf")      # tags of the hub
THE_LIST = "The list of models"
HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
NOT_OWNERS = ("api", "buckets", "collections", "datasets", "docs", "kernels", "models", "organizations", "papers", "spaces")


@dataclass(frozen=True, slots=True)
class HubQuery:
    """`licence`: the hub's tag ("apache-2.0"). `gated`: None for both kinds. `format`: one of FORMATS. `page`: from 0."""

    text: str = ""
    task: str = "text-generation"
    min_parameters: int | None = None
    max_parameters: int | None = None
    licence: str = ""
    gated: bool | None = None
    sort: Sort = "downloads"
    page: int = 0
    format: str = FORMATS[0]


@dataclass(frozen=True, slots=True)
class HubModel:
    """`updated`: an ISO 8601 date, as the hub writes it."""

    repo: str
    downloads: int
    likes: int
    updated: str
    licence: str
    is_gated: bool
    parameters: int | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HubPage:
    models: tuple[HubModel, ...]
    has_more: bool


class Hub:
    """`hub_endpoint`: by default that of the client library (HF_ENDPOINT). `timeout_s`: the longest time without data from the hub."""

    def __init__(self, settings: Settings, hub_endpoint: str = "", timeout_s: float | None = None) -> None:
        self._settings, self._endpoint, self._timeout_s = settings, hub_endpoint.rstrip("/"), timeout_s

    def search(self, query: HubQuery, token: Secret | None = None) -> HubPage:
        """Search models with weights in one format, PAGE_MODELS per page.

        Raises InvalidRequest, HubUnreachable (also as HubOffline and RateLimited) and TokenRejected.
        """
        client, params, first = self._online(token, THE_LIST), _params(query), query.page * PAGE_MODELS
        models: list[HubModel] = []
        for model in _listed(client, params):
            if _has_size(model, query):
                models.append(model)
            if len(models) > first + PAGE_MODELS:
                break
        return HubPage(tuple(models[first:first + PAGE_MODELS]), len(models) > first + PAGE_MODELS and query.page < MOST_PAGES - 1)

    def describe(self, repo: str, revision: str | None = None, token: Secret | None = None) -> HubListing:
        """Return files, licence, card and shape of a model, without downloading weights. `repo`: owner/name, or owner/name/file.gguf.

        Raises InvalidRequest, ModelNotFound, ModelAccessDenied, TokenRejected and HubUnreachable (also as HubOffline and RateLimited).
        """
        return listing.describe(self._online(token, repo), *split_file(repo), revision)

    def holds_adapter(self, repo: str, revision: str | None = None, token: Secret | None = None) -> bool:
        """Whether a repository holds an adapter, and no model of its own; False if the hub cannot be asked."""
        name, gguf = split_file(repo)
        try:
            return not gguf and is_adapter(fetch_repository(self._online(token, repo), name, revision).paths)
        except EngineError:
            return False

    def download(self, repo: str, revision: str | None, on_progress: OnProgress, stop: threading.Event,
                 token: Secret | None = None) -> Path:
        """Download everything needed to load the model and return its folder, named by the commit. Blocks.

        Once `stop` is set it ends within a fraction of a second; the next call resumes from there. Offline, the copy on disk is used.
        Raises DownloadStopped, DownloadBroken, DiskFull, UnsupportedModel and what `describe` raises.
        """
        if is_offline() and (folder := self.stored(repo, revision)):
            return folder
        name, gguf = split_file(repo)
        return download.download(self._online(token, repo), self._cache(), name, revision, on_progress, stop, gguf)

    def describe_dataset(self, typed: str, token: Secret | None = None) -> HubDataset:
        """Return the files with rows of a data set. `typed`: its name, or the address of its page.

        Raises InvalidRequest, DatasetNotFound, ModelAccessDenied, TokenRejected and HubUnreachable.
        """
        name = datasets.parse_dataset_name(typed, self._endpoint)
        return datasets.describe_dataset(self._online(token, datasets.subject(name)), name)

    def fetch_dataset(self, dataset: HubDataset, part: DatasetPart, on_progress: OnProgress, stop: threading.Event,
                      token: Secret | None = None) -> tuple[bytes, ...]:
        """Return the contents of a part's files; the caller has checked their size. Blocks.

        Raises DownloadStopped, DownloadBroken, ModelAccessDenied, TokenRejected and HubUnreachable.
        """
        return tuple(datasets.fetch(self._online(token, datasets.subject(dataset.repo)), dataset, part, on_progress, stop))

    def upload(self, repo: str, folder: Path, token: Secret, *, is_private: bool = True) -> str:
        """Upload a folder as the model `repo`, with this token and no other, and return its address. Blocks.

        Raises InvalidRequest, TokenRejected, ModelAccessDenied for an account that may not write there, and HubUnreachable.
        """
        repo = checked_repo(repo)
        if not token:
            raise TokenRejected(repo)
        return upload.upload(self._online(token, repo), repo, folder, is_private=is_private)

    def stored(self, repo: str, revision: str | None = None) -> Path | None:
        """Return the folder of a model that is complete on disk, without a request to the hub. Raises InvalidRequest."""
        name, gguf = split_file(repo)
        return self._cache().complete(name, revision, gguf)

    def on_disk(self) -> tuple[StoredModel, ...]:
        """Return every complete or incomplete download, last used first."""
        return self._cache().on_disk()

    def delete(self, repo: str) -> int:
        """Delete a model from disk; returns the bytes freed. Raises ModelNotFound, InvalidRequest, or EngineBusy."""
        return self._cache().delete(repo)

    def _online(self, token: Secret | None, subject: str) -> HubClient:
        if is_offline():
            raise HubOffline(subject)
        from huggingface_hub import constants

        timeout_s = float(constants.HF_HUB_DOWNLOAD_TIMEOUT) if self._timeout_s is None else self._timeout_s
        return HubClient(self._endpoint or str(constants.ENDPOINT), self._token(token), timeout_s)

    def _token(self, token: Secret | None) -> Secret | None:
        """Return the caller's token; without one, the configured token or the login of this machine, but neither on a public page."""
        if token or self._settings.is_public:
            return token or Secret("")
        return self._settings.hf_token or None

    def _cache(self) -> HubCache:
        from huggingface_hub import constants

        return HubCache((self._settings.cache_dir or Path(constants.HF_HUB_CACHE)).expanduser().resolve())


def parse_model_name(text: str, endpoint: str = "") -> str:
    """Return owner/name from typed or pasted text: the name itself, or the address of any page of the model.

    With the name or the address of a GGUF file it is owner/name/file.gguf. Raises InvalidRequest with the text.
    """
    try:
        name, file = split_file(_name_in(text.strip(), endpoint))
        return f"{checked_repo(name)}/{file}" if file else checked_repo(name)
    except (InvalidRequest, ValueError):        # ValueError: urlsplit could not parse it
        raise InvalidRequest("model", text.strip()[:200], "owner/name, or the address of a model's page on the hub") from None


def _name_in(typed: str, endpoint: str) -> str:
    from huggingface_hub import constants

    hosts = {*HOSTS, urlsplit(endpoint or str(constants.ENDPOINT)).netloc}
    address = urlsplit(typed if "://" in typed else f"https://{typed}")
    if address.scheme in ("http", "https") and address.netloc.lower() in hosts:
        parts = unquote(address.path).strip("/").split("/")
        typed = "/".join([*parts[:2], *(parts[-1:] if len(parts) > 2 and parts[-1].lower().endswith(GGUF) else [])])
    return "" if typed.split("/")[0] in NOT_OWNERS else typed


def _params(query: HubQuery) -> dict[str, Any]:
    """Return the query as parameters of the hub's API. Raises InvalidRequest."""
    if not 0 <= query.page < MOST_PAGES:
        raise InvalidRequest("page", query.page, f"between 0 and {MOST_PAGES - 1}")
    if query.sort not in SORT_KEYS:
        raise InvalidRequest("sort", query.sort, "one of " + ", ".join(SORT_KEYS))
    if query.format not in FORMATS:
        raise InvalidRequest("format", query.format, "one of " + ", ".join(FORMATS))
    tags = [query.format] + ([f"license:{query.licence}"] if query.licence else [])
    params: dict[str, Any] = {"filter": tags, "sort": SORT_KEYS[query.sort], "limit": (query.page + 1) * PAGE_MODELS + 1, "expand": EXPAND}
    sizes = _whole_billions(query)
    given = {"search": query.text.strip()[:200], "pipeline_tag": query.task, "num_parameters": sizes}
    params.update({name: value for name, value in given.items() if value})
    return params if query.gated is None else {**params, "gated": query.gated}


def _whole_billions(query: HubQuery) -> str:
    """Return the hub's size filter, which takes whole billions, rounded outwards; `_has_size` filters exactly."""
    least = [f"min:{query.min_parameters // 10**9}B"] if query.min_parameters else []
    most = [f"max:{-(-query.max_parameters // 10**9)}B"] if query.max_parameters else []
    return ",".join(least + most)


def _has_size(model: HubModel, query: HubQuery) -> bool:
    if query.min_parameters is None and query.max_parameters is None:
        return True
    return model.parameters is not None and (query.min_parameters or 0) <= model.parameters <= (query.max_parameters or model.parameters)


def _listed(client: HubClient, params: dict[str, Any]) -> Iterator[HubModel]:
    """Yield models in the hub's order; its pages are requested as they are needed."""
    url: str | None = f"{client.endpoint}/api/models"
    for _ in range(MOST_HUB_PAGES):
        if url is None:
            return
        items, url = client.page(url, THE_LIST, params)
        params = {}     # the next page's address contains them
        yield from map(_model, items)


def _model(item: dict[str, Any]) -> HubModel:
    tags = tuple(str(tag) for tag in item.get("tags") or ())
    sizes = item.get("safetensors") or item.get("gguf") or {}
    return HubModel(
        repo=str(item["id"]), downloads=int(item.get("downloads") or 0), likes=int(item.get("likes") or 0),
        updated=str(item.get("lastModified") or ""), is_gated=bool(item.get("gated")), tags=tags,
        licence=next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), ""),
        parameters=int(sizes["total"]) if re.fullmatch(r"\d+", str(sizes.get("total", ""))) else None)
