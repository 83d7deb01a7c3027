"""Describes one model on the hub: files, licence, card, and its shape from headers read with range requests."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from ..checkpoint.adapter import AdapterConfig, parse_adapter_config
from ..checkpoint.config import parse_config, unsupported_reason
from ..checkpoint.files import ADAPTER_CONFIG, WEIGHTS, WEIGHTS_INDEX, gguf_choices, is_adapter, missing_files, shard_names
from ..checkpoint.gguf import HEADER_BYTES as GGUF_BYTES
from ..checkpoint.gguf import GgufHeader, parse_gguf
from ..checkpoint.shape import ModelShape, shape_of
from ..checkpoint.stored_quantization import Tensor, stored_quantization
from ..checkpoint.stored_tensors import unreadable
from ..checkpoint.tasks import Task, tasks_of
from ..errors import HubUnreachable, ModelAccessDenied, UnsupportedModel
from .cache import checked_revision
from .client import HubClient, decoded
from .repository import HubFile, Repository, fetch_repository

CARD_BYTES = 200_000
FIRST_BYTES = 100_000       # nearly every header fits: one request instead of two
HEADER_BYTES = 100_000_000  # the format's own limit (github.com/huggingface/safetensors)
GGUF_SIZES = (8 * 2**20, GGUF_BYTES)    # that are read of a GGUF file: most vocabularies fit into the first
MOST_REFS = 20              # branches and pull requests that are searched for safetensors


@dataclass(frozen=True, slots=True)
class HubListing:
    """A model before it is downloaded. `shape`: None if the headers cannot be read. `obstacle`: why it cannot be loaded, or ""."""

    repo: str
    sha: str
    revision: str
    card: str                           # Markdown without its YAML, not sanitized
    files: tuple[HubFile, ...]
    licence: str
    licence_url: str
    is_gated: bool
    gated_access: bool                  # True for a model that is not gated
    parameters: int | None
    shape: ModelShape | None
    architecture: str                   # model_type of config.json
    has_chat_template: bool
    obstacle: str = ""
    safetensors_revision: str | None = None
    renamed_to: str = ""
    base_model: str = ""                # the model that this one was made of, as its card says
    tasks: tuple[Task, ...] = ()        # of a model that does not chat
    is_whole: bool = True               # no file is missing that loading needs
    adapter: AdapterConfig | None = None        # of a repository that holds an adapter and no model of its own
    gguf: str = ""                      # the GGUF file that is loaded, of a repository without safetensors weights, or the one asked for

    @property
    def name(self) -> str:
        """What ModelSpec takes: owner/name, or owner/name/file.gguf."""
        return f"{self.repo}/{self.gguf}" if self.gguf else self.repo

    @property
    def gguf_files(self) -> tuple[HubFile, ...]:
        """The GGUF files that can be loaded, the one that is chosen first."""
        sizes = {file.path: file for file in self.files}
        return tuple(sizes[path] for path in gguf_choices(sizes))

    @property
    def needed_files(self) -> tuple[HubFile, ...]:
        return tuple(file for file in self.files if file.is_needed)

    @property
    def needed_bytes(self) -> int:
        return sum(file.size_bytes for file in self.needed_files)


def describe(client: HubClient, repo: str, gguf: str = "", revision: str | None = None) -> HubListing:
    """Return everything known without downloading weights. `gguf`: the GGUF file that is meant, of several.

    Raises InvalidRequest and what the client raises.
    """
    found = fetch_repository(client, repo, revision)
    if gguf := gguf or next(iter(gguf_choices(found.paths)), ""):
        return _describe_gguf(client, found, repo, gguf, revision)
    if is_adapter(found.paths):
        return _describe_adapter(client, found, repo, revision)
    config, names, has_access = _config(client, found)
    needed = {file.path: file for file in found.needed(names)}
    tasks = tasks_of(config)
    missing = missing_files(found.paths, names)
    obstacle = missing or ("" if tasks else unsupported_reason(config))
    shape, broken = (None, "") if obstacle or not config else _shape(client, found, config, needed)
    total = found.info.safetensors.total if found.info.safetensors else None
    licence, licence_url = _licence(client, found)
    return HubListing(
        repo=found.repo, sha=found.sha, revision=checked_revision(revision), card=_card(client, found),
        files=tuple(needed.get(file.path, file) for file in found.files), licence=licence, licence_url=licence_url,
        is_gated=bool(found.info.gated), gated_access=has_access, parameters=shape.parameters if shape else total, shape=shape,
        architecture=str(config.get("model_type", "")), has_chat_template=_has_chat_template(client, found, has_access),
        obstacle=obstacle or broken, renamed_to=found.repo if found.repo != repo else "", base_model=_base_model(found), tasks=tasks,
        is_whole=not missing,
        safetensors_revision=None if found.paths & {WEIGHTS, WEIGHTS_INDEX} else _safetensors_revision(client, found))


def _describe_adapter(client: HubClient, found: Repository, repo: str, revision: str | None) -> HubListing:
    adapter, obstacle, has_access = AdapterConfig("", None, 0, 0.0), missing_files(found.paths, frozenset()), True
    needed = {file.path: file for file in found.needed(())}
    try:
        adapter = parse_adapter_config(decoded(_read(client, found, ADAPTER_CONFIG), found.repo))
    except ModelAccessDenied:
        has_access = False
    licence, licence_url = _licence(client, found)
    return HubListing(
        repo=found.repo, sha=found.sha, revision=checked_revision(revision), card=_card(client, found),
        files=tuple(needed.get(file.path, file) for file in found.files), licence=licence, licence_url=licence_url,
        is_gated=bool(found.info.gated), gated_access=has_access, parameters=None, shape=None, architecture="LoRA", has_chat_template=False,
        obstacle=obstacle or adapter.obstacle, renamed_to=found.repo if found.repo != repo else "", base_model=_base_model(found),
        adapter=adapter)


def _describe_gguf(client: HubClient, found: Repository, repo: str, gguf: str, revision: str | None) -> HubListing:
    header, obstacle, has_access = None, "", True
    needed = {file.path: file for file in found.needed_gguf(gguf)}
    try:
        header = _gguf_header(client, found, gguf) if needed else None
        obstacle = header.obstacle if header else f"it has no file {gguf}."
    except ModelAccessDenied:
        has_access = False
    except UnsupportedModel as error:
        obstacle = error.what
    shape = header.shape() if header and not obstacle else None
    licence, licence_url = _licence(client, found)
    return HubListing(
        repo=found.repo, sha=found.sha, revision=checked_revision(revision), card=_card(client, found),
        files=tuple(needed.get(file.path, file) for file in found.files), licence=licence, licence_url=licence_url,
        is_gated=bool(found.info.gated), gated_access=has_access, parameters=shape.parameters if shape else None, shape=shape,
        architecture=header.architecture if header else "", has_chat_template=bool(header and header.has_chat_template), obstacle=obstacle,
        renamed_to=found.repo if found.repo != repo else "", gguf=gguf, base_model=_base_model(found))


def _gguf_header(client: HubClient, found: Repository, path: str) -> GgufHeader:
    """The header of a GGUF file, which is as long as its vocabulary. Raises UnsupportedModel and what the client raises."""
    for size in GGUF_SIZES:
        header = parse_gguf(_read(client, found, path, size), path, found.repo)
        if header is not None:
            return header
    raise UnsupportedModel(found.repo, f"{path} is not a complete GGUF file.")


def _read(client: HubClient, found: Repository, path: str, num_bytes: int = HEADER_BYTES) -> bytes:
    return client.read_start(client.file_url(found.repo, found.sha, path), found.repo, num_bytes)


def _config(client: HubClient, found: Repository) -> tuple[dict[str, Any], frozenset[str], bool]:
    """Return config.json, the names of the shards, and whether files may be read at all."""
    try:
        config = decoded(_read(client, found, "config.json"), found.repo) if "config.json" in found.paths else {}
        names = shard_names(_read(client, found, WEIGHTS_INDEX)) if found.is_sharded else frozenset()
    except ModelAccessDenied:       # the index may not be read: recognize the shards by their usual names
        return {}, frozenset(path for path in found.paths if re.fullmatch(r"model-\d+-of-\d+\.safetensors", path)), False
    return config if isinstance(config, dict) else {}, names, True


def _shape(client: HubClient, found: Repository, config: dict[str, Any], needed: Iterable[str]) -> tuple[ModelShape | None, str]:
    """Return the shape, or the reason why there is none. One small request per weight file, eight at a time."""
    names = sorted(path for path in needed if path.endswith(".safetensors"))
    try:
        full = parse_config(config, found.repo).to_dict()
        with ThreadPoolExecutor(8, "headers") as pool:
            headers = list(pool.map(partial(read_header, client, found), names))
        tensors = [tensor for header in headers for tensor in header]
        stored = stored_quantization(full)
        return shape_of(full, tensors), unreadable(tensors, stored) if stored else ""
    except UnsupportedModel as error:
        return None, error.what


def read_header(client: HubClient, found: Repository, path: str) -> list[Tensor]:
    """Return the tensors of one weight file on the hub, from its header: 8 bytes of length, then JSON.

    HfApi.parse_safetensors_file_metadata does the same, but reads the whole file where a server ignores ranges.
    Raises UnsupportedModel if it is not a safetensors file, and what the client raises.
    """
    url = client.file_url(found.repo, found.sha, path)
    received = client.read_start(url, found.repo, FIRST_BYTES)
    size = struct.unpack("<Q", received[:8])[0] if len(received) >= 8 else 0
    if not 0 < size < HEADER_BYTES:
        raise UnsupportedModel(found.repo, f"{path} is not a safetensors file.")
    header = received[8:8 + size] if len(received) >= 8 + size else client.read_start(url, found.repo, size, start=8)
    try:
        entries = decoded(header, found.repo)
        return [(name, [int(count) for count in entry["shape"]], str(entry["dtype"]))
                for name, entry in entries.items() if name != "__metadata__"]
    except (HubUnreachable, KeyError, TypeError, ValueError, AttributeError):
        raise UnsupportedModel(found.repo, f"{path} is not a safetensors file.") from None


def _licence(client: HubClient, found: Repository) -> tuple[str, str]:
    """Return the licence's name, and the page on which it is shown and accepted."""
    card = found.info.card_data
    name = card.get("license_name") or card.get("license") if card else None
    tagged = (tag.removeprefix("license:") for tag in found.info.tags or () if tag.startswith("license:"))
    link = str(card.get("license_link") or "") if card else ""
    page = f"{client.endpoint}/{found.repo}"
    if found.info.gated or not link:
        return str(name or next(tagged, "")), page
    return str(name or next(tagged, "")), link if re.match("https?://", link) else f"{page}/blob/main/{quote(link)}"


def _base_model(found: Repository) -> str:
    """The only base model that a card names; "" for several, for none, and for what is not a name."""
    base = found.info.card_data.get("base_model") if found.info.card_data else None
    names = base if isinstance(base, list) else [base]
    name = str(names[0]) if len(names) == 1 else ""
    return name if re.fullmatch(r"\w[\w.\-]*/[\w.\-]+", name) and name != found.repo else ""


def _card(client: HubClient, found: Repository) -> str:
    if "README.md" not in found.paths:
        return ""
    try:
        text = _read(client, found, "README.md", 5 * CARD_BYTES).decode("utf-8", "replace")     # evaluations may fill the YAML
    except ModelAccessDenied:
        return ""
    return re.sub(r"\A\s*---\r?\n.*?\n---[ \t]*(\r?\n|\Z)", "", text, flags=re.DOTALL).lstrip()[:CARD_BYTES]


def _has_chat_template(client: HubClient, found: Repository, has_access: bool) -> bool:
    if found.paths & {"chat_template.jinja", "chat_template.json"}:
        return True
    if "tokenizer_config.json" not in found.paths or not has_access:
        return False
    tokenizer = decoded(_read(client, found, "tokenizer_config.json"), found.repo)
    return isinstance(tokenizer, dict) and bool(tokenizer.get("chat_template"))


def _safetensors_revision(client: HubClient, found: Repository) -> str | None:
    """Return a branch or pull request with the safetensors weights that this revision lacks. (HfApi.list_repo_refs has no time-out.)"""
    refs = client.json(f"/api/models/{found.repo}/refs", found.repo, {"include_prs": 1})
    names = [str(ref["name"]) for ref in refs.get("branches", ())] + [str(ref["ref"]) for ref in refs.get("pullRequests") or ()]
    for name in [name for name in names if name != "main"][:MOST_REFS]:
        info = client.model_info(found.repo, name, has_sizes=False)
        if {WEIGHTS, WEIGHTS_INDEX} & {file.rfilename for file in info.siblings or ()}:
            return name
    return None
