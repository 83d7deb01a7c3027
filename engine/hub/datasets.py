"""Data sets on the hub: which of their files hold rows, and those files' bytes. No program of a data set is read or run.

A data set without data files of its own has copies of them in Parquet that the hub makes, in a branch with a fixed name
(https://huggingface.co/docs/dataset-viewer/parquet). Those are taken then.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..errors import DownloadBroken, EngineError, HubUnreachable, InvalidRequest, ModelNotFound
from .cache import COMMIT, checked_revision
from .client import HubClient, in_background
from .progress import Meter, OnProgress
from .repository import HubFile, is_inside, listed_files

if TYPE_CHECKING:
    from huggingface_hub import DatasetInfo

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
NOT_ROWS = frozenset(("dataset_infos.json", "dataset_info.json", "state.json", "package.json"))      # descriptions of a data set
CONVERTED = "refs/convert/parquet"
SPLITS: Mapping[str, tuple[str, ...]] = {"train": ("train", "training"), "validation": ("validation", "valid", "val", "dev"),
                                         "test": ("test", "testing", "eval", "evaluation")}
PAGES = ("viewer", "tree", "blob", "resolve", "discussions")     # after the name in an address
WHOLE, DEFAULT = "train", "default"     # the names of the hub for a single split and a single configuration


class DatasetNotFound(EngineError):
    def __init__(self, name: str, why: str, remedy: str) -> None:
        super().__init__(f"The data set {name} cannot be used: {why}. {remedy}")
        self.name, self.why, self.remedy = name, why, remedy


@dataclass(frozen=True, slots=True)
class DatasetPart:
    """The files of one split of one configuration."""

    config: str
    split: str
    files: tuple[HubFile, ...]

    @property
    def name(self) -> str:
        return f"{self.config}/{self.split}"

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class HubDataset:
    """`repo`: its current name. `sha`: the commit. `parts`: the default configuration first, and of each the split to train first."""

    repo: str
    sha: str
    parts: tuple[DatasetPart, ...]
    licence: str = ""
    is_gated: bool = False


def checked_dataset(name: str) -> str:
    """Return `name`. Raises InvalidRequest unless it is owner/name, or a name without an owner as the first data sets had."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        raise InvalidRequest("dataset", name[:200], "owner/name as on the hub") from None
    return name


def parse_dataset_name(text: str, endpoint: str = "") -> str:
    """Return owner/name from typed or pasted text: the name itself, or the address of any page of the data set. Raises InvalidRequest."""
    from huggingface_hub import constants

    typed = text.strip()
    try:
        address = urlsplit(typed if "://" in typed else f"https://{typed}")
    except ValueError:
        raise InvalidRequest("dataset", typed[:200], "owner/name as on the hub") from None
    hosts = {"huggingface.co", "www.huggingface.co", "hf.co", urlsplit(endpoint or str(constants.ENDPOINT)).netloc}
    parts = (unquote(address.path) if address.netloc.lower() in hosts else typed).strip("/").split("/")
    if parts[0] == "datasets":
        parts = parts[1:2] if len(parts) > 2 and parts[2] in PAGES else parts[1:3]
    return checked_dataset("/".join(parts))


def describe_dataset(client: HubClient, name: str, revision: str | None = None) -> HubDataset:
    """Raises InvalidRequest, DatasetNotFound, and what the client raises."""
    name = checked_dataset(name)
    info = _info(client, name, checked_revision(revision) if revision else None)
    if info is None:
        raise DatasetNotFound(name, "there is none with this name on the hub, or it is private",
                              "Check the spelling, or enter a read token.")
    if not (parts := _parts(info)):
        info = _info(client, name, CONVERTED)
        if info is None or not (parts := _parts(info)):
            raise DatasetNotFound(name, "it has no CSV, JSON or Parquet files, and programs that make rows are not run",
                                  "Choose another one, or upload a file.")
    if not COMMIT.fullmatch(str(info.sha)):
        raise HubUnreachable(subject(name), "its answer names no commit")
    card = info.card_data
    return HubDataset(checked_dataset(info.id), str(info.sha), parts, str((card.get("license") if card else None) or ""), bool(info.gated))


def _info(client: HubClient, name: str, revision: str | None) -> DatasetInfo | None:
    try:
        return client.dataset_info(name, revision)
    except ModelNotFound:
        return None


def subject(name: str) -> str:
    """What errors are about; also the path of its page on the hub."""
    return f"datasets/{name}"


def fetch_file(client: HubClient, dataset: HubDataset, file: HubFile, meter: Meter, stop: threading.Event) -> bytes:
    """The bytes of one file, whose size the caller has checked. Raises DownloadStopped, DownloadBroken, and what the client raises."""
    about, meter.file = subject(dataset.repo), file.path
    received = bytearray()

    def read(put: Callable[[bytes], bool]) -> None:
        def chunks(response: Any) -> None:
            for chunk in response.iter_bytes():
                if not put(chunk):
                    return
        client.get(client.file_url(dataset.repo, dataset.sha, file.path, kind="dataset"), about, chunks)

    for chunk in in_background(read, b"", about, stop):
        received += chunk
        meter.add(len(chunk))
        if len(received) > file.size_bytes:
            break
    content = bytes(received)
    if len(content) != file.size_bytes or _hash(content, file.etag) != file.etag:
        raise DownloadBroken(about, file.path, "its content is not what the hub lists")
    return content


def fetch(client: HubClient, dataset: HubDataset, part: DatasetPart, on_progress: OnProgress, stop: threading.Event) -> Iterator[bytes]:
    """Yield the files of a part. Raises what `fetch_file` raises."""
    meter = Meter(on_progress)
    meter.start(0, part.size_bytes)
    for file in part.files:
        yield fetch_file(client, dataset, file, meter, stop)
    meter.report()


def _hash(content: bytes, etag: str) -> str:
    """Large files are named by their SHA-256, others by git's own hash."""
    return hashlib.sha256(content).hexdigest() if len(etag) == 64 else hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _parts(info: DatasetInfo) -> tuple[DatasetPart, ...]:
    files = [file for file in listed_files(info, str(info.id)) if is_inside(file.path) and file.path.lower().endswith(SUFFIXES)
             and file.path.rpartition("/")[2] not in NOT_ROWS and not re.search(r"(^|/)[._]", file.path)]
    named = _configured(info, files) or _by_path(files)
    order = [*dict.fromkeys(config for config, _ in named)]
    order.sort(key=lambda config: config != DEFAULT)
    splits = [*SPLITS, *dict.fromkeys(split for _, split in named)]
    return tuple(DatasetPart(config, split, tuple(sorted(named[config, split], key=lambda file: file.path)))
                 for config, split in sorted(named, key=lambda name: (order.index(name[0]), splits.index(name[1]))))


def _configured(info: DatasetInfo, files: list[HubFile]) -> dict[tuple[str, str], list[HubFile]]:
    """The parts that its card names: https://huggingface.co/docs/hub/datasets-manual-configuration."""
    found: dict[tuple[str, str], list[HubFile]] = {}
    configs = info.card_data.get("configs") if info.card_data else None
    for config in configs if isinstance(configs, list) else ():
        entries = config.get("data_files") if isinstance(config, dict) else None
        for entry in entries if isinstance(entries, list) else [{"path": entries}] if entries else ():
            entry = entry if isinstance(entry, dict) else {"path": entry}
            patterns = entry.get("path")
            patterns = patterns if isinstance(patterns, list) else [patterns]
            chosen = [file for file in files if any(fnmatch(file.path, str(pattern).replace("**/", "*")) for pattern in patterns)]
            if chosen:
                found.setdefault((str(config.get("config_name", DEFAULT))[:100], str(entry.get("split", WHOLE))[:100]), []).extend(chosen)
    return found


def _by_path(files: list[HubFile]) -> dict[tuple[str, str], list[HubFile]]:
    """Split and configuration from names of files and folders, as the hub finds them."""
    found: dict[tuple[str, str], list[HubFile]] = {}
    for file in files:
        words = re.split(r"[/._\-\s]+", file.path.lower())
        split = next((name for name, spelled in SPLITS.items() if set(spelled) & set(words)), "")
        folders = [part for part in file.path.split("/")[:-1] if part.lower() not in ("data", *sum(SPLITS.values(), ()))]
        found.setdefault(("/".join(folders) or DEFAULT, split), []).append(file)
    single: dict[tuple[str, str], list[HubFile]] = {}
    for (config, split), members in found.items():
        if split:
            single.setdefault((config, split), []).extend(members)
        else:
            for file in members:        # files that no split names are a choice each
                stem = file.path.rpartition("/")[2].rpartition(".")[0]
                single.setdefault((config, WHOLE if len(members) == 1 and len(found) == 1 else stem), []).append(file)
    return single
