"""Data sets on the hub: their files with rows are found, checked and read; programs of a data set are not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import (
    DownloadBroken,
    DownloadStopped,
    HubUnreachable,
    InvalidRequest,
    ModelAccessDenied,
    TokenRejected,
)
from engine.finetune import TableRefused, Tables
from engine.hub import DatasetNotFound
from engine.hub.hub import DownloadProgress, Hub
from engine.settings import Secret, Settings
from tests import hub_standin
from tests.hub_standin import BAD_TOKEN, GOOD_TOKEN, Fault, Repo, StandIn

ROWS = b"text,label\ngood day,1\nbad day,0\n"


def write(folder: Path, *paths: str, content: bytes = ROWS) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[StandIn]:
    plain = write(tmp_path / "plain", "data/test.csv", "data/train-00000-of-00002.csv", "data/train-00001-of-00002.csv", "README.md",
                  "plain.py", "dataset_infos.json", "data/.cache.csv")
    named = write(tmp_path / "named", "sub/a.csv", "sub/b.csv", "other.jsonl")
    script = write(tmp_path / "script", "script.py", "README.md")
    converted = write(tmp_path / "converted", "cola/train/0000.csv", "sst2/train/0000.csv", "cola/validation/0000.csv")
    card = {"configs": [{"config_name": "x", "data_files": [{"split": "dev", "path": "sub/b*"}, {"split": "train", "path": ["sub/a.csv"]}]},
                        {"config_name": "default", "data_files": "*.jsonl"}]}
    with hub_standin.online(), hub_standin.running({
            "datasets/me/plain": plain, "datasets/me/named": Repo(named, card=card), "datasets/me/nothing": script,
            "datasets/me/script": Repo(script, revisions={"refs/convert/parquet": converted}),
            "datasets/me/gated": Repo(plain, gated="auto", readers=frozenset({GOOD_TOKEN})),
            "datasets/me/old": Repo(plain, moved_to="datasets/me/plain")}) as running:
        yield running


@pytest.fixture
def tables(hub: StandIn, tmp_path: Path) -> Tables:
    settings = Settings(data_dir=tmp_path / "data")
    return Tables(settings, Hub(settings, hub.address, timeout_s=5))


@pytest.mark.parametrize(("typed", "parts"), [
    ("me/plain", {"default/train": 2, "default/test": 1}),
    (" https://huggingface.co/datasets/me/plain/viewer ", {"default/train": 2, "default/test": 1}),
    ("datasets/me/named", {"default/train": 1, "x/train": 1, "x/dev": 1}),
    ("me/script", {"cola/train": 1, "cola/validation": 1, "sst2/train": 1})])
def test_the_files_with_rows_are_found_by_card_by_path_or_in_the_hubs_own_copy(tables: Tables, typed: str, parts: dict[str, int]) -> None:
    found = tables.on_hub(typed)
    assert {part.name: len(part.files) for part in found.parts} == parts
    assert [part.name for part in found.parts] == list(parts)


def test_a_part_becomes_one_table_with_progress_in_bytes(tables: Tables, hub: StandIn) -> None:
    steps: list[DownloadProgress] = []
    table = tables.from_hub(tables.on_hub("me/plain"), owner="me", on_progress=steps.append)
    assert (table.name, table.count, table.rows()[2]) == ("me/plain/default/train", 4, ("good day", "1"))
    assert table.source == f"me/plain@{hub_standin.SHA}"
    assert (steps[-1].done_bytes, steps[-1].total_bytes) == (2 * len(ROWS), 2 * len(ROWS))
    assert tables.read_again(table.id, "me", has_header=False).count == 6
    assert tables.from_hub(tables.on_hub("me/plain"), "default/test").count == 2
    assert not hub.asked(".py")


def test_a_data_set_that_is_too_large_is_refused_before_its_download(tables: Tables, hub: StandIn) -> None:
    hub.faults.append(Fault("me/plain/train-00001", more_bytes=2**30))
    with pytest.raises(TableRefused, match=r"1\.0 GiB"):
        tables.from_hub(tables.on_hub("me/plain"))
    assert not hub.asked("resolve")


@pytest.mark.parametrize(("name", "token", "error"), [
    ("me/none", "", DatasetNotFound), ("me/nothing", "", DatasetNotFound), ("../x", "", InvalidRequest), ("a b", "", InvalidRequest),
    ("me/plain", BAD_TOKEN, TokenRejected)])
def test_what_cannot_be_used_is_refused_in_words(tables: Tables, name: str, token: str, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        tables.on_hub(name, Secret(token))
    assert "programs" in str(raised.value) or name != "me/nothing"


def test_the_visitors_token_opens_what_is_gated_and_an_error_names_its_page(tables: Tables) -> None:
    with pytest.raises(ModelAccessDenied, match=r"huggingface\.co/datasets/me/gated"):
        tables.from_hub(tables.on_hub("me/gated"))
    assert tables.from_hub(tables.on_hub("me/gated", Secret(GOOD_TOKEN)), token=Secret(GOOD_TOKEN)).count == 4


def test_a_renamed_data_set_has_its_new_name(tables: Tables) -> None:
    assert tables.on_hub("me/old").repo == "me/plain"


@pytest.mark.parametrize(("fault", "error"), [
    (Fault("plain/resolve", then="cut", after=10), HubUnreachable), (Fault("me/plain/test.csv", more_bytes=5), DownloadBroken)])
def test_other_bytes_than_the_hub_lists_are_refused(tables: Tables, hub: StandIn, fault: Fault, error: type[Exception]) -> None:
    hub.faults.append(fault)
    with pytest.raises(error):
        tables.from_hub(tables.on_hub("me/plain"), "default/test")


def test_a_download_can_be_stopped(tables: Tables, hub: StandIn) -> None:
    stop = threading.Event()
    hub.faults.append(Fault("plain/resolve", then="stall", after=5))
    dataset = tables.on_hub("me/plain")
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(DownloadStopped):
        tables.from_hub(dataset, stop=stop)
