"""Listing and deleting the models in the client library's cache."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Hub, Settings
from engine.errors import DownloadStopped, EngineBusy, InvalidRequest, ModelNotFound
from tests import hub_folders, hub_standin
from tests.hub_standin import SHA, Fault, StandIn

QUIET = threading.Event()


@pytest.fixture(autouse=True)
def _online() -> Iterator[None]:
    with hub_standin.online():
        yield


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    with hub_standin.running({"me/tiny": hub_folders.model(tmp_path / "tiny"), "me/big": hub_folders.sharded(tmp_path / "big")}) as running:
        yield running


@pytest.fixture
def hub(stand_in: StandIn, tmp_path: Path) -> Hub:
    return Hub(Settings(cache_dir=tmp_path / "cache"), stand_in.address, timeout_s=2)


def fetch(hub: Hub, repo: str, stop: threading.Event = QUIET) -> Path:
    return hub.download(repo, None, lambda progress: None, stop)


def stop_half_way(hub: Hub, stand_in: StandIn, repo: str = "me/tiny") -> None:
    stand_in.faults.append(Fault("safetensors", then="stall", after=20 * 1024, times=1))
    stop = threading.Event()
    threading.Timer(0.4, stop.set).start()
    with pytest.raises(DownloadStopped):
        fetch(hub, repo, stop)


def test_without_a_cache_nothing_is_on_disk(hub: Hub) -> None:
    assert hub.on_disk() == ()


def test_a_downloaded_model_is_on_disk_with_its_size(hub: Hub) -> None:
    folder = fetch(hub, "me/tiny")
    (model,) = hub.on_disk()
    assert (model.repo, model.sha, model.path, model.num_files, model.is_complete) == ("me/tiny", SHA, folder, 4, True)
    assert model.size_bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert time.time() - model.last_used < 60


def test_the_last_used_model_comes_first(hub: Hub) -> None:
    import os

    for repo in ("me/tiny", "me/big"):
        for path in fetch(hub, repo).iterdir():
            os.utime(path, (1000, 1000) if repo == "me/big" else None)
    assert [(model.repo, model.last_used > 1000) for model in hub.on_disk()] == [("me/tiny", True), ("me/big", False)]


def test_a_partial_download_is_on_disk_and_not_complete(hub: Hub, stand_in: StandIn) -> None:
    stop_half_way(hub, stand_in)
    (model,) = hub.on_disk()
    assert (model.repo, model.sha, model.path, model.is_complete) == ("me/tiny", "", None, False)
    assert model.size_bytes > 20 * 1024


def test_a_snapshot_that_lost_a_shard_is_not_complete(hub: Hub) -> None:
    (fetch(hub, "me/big") / "model-00002-of-00003.safetensors").unlink()
    assert not hub.on_disk()[0].is_complete
    assert hub.stored("me/big") is None


@pytest.mark.parametrize("name", ["config.json", "tokenizer*", "model.safetensors"])
def test_a_model_without_a_file_that_loading_needs_is_not_complete(hub: Hub, name: str) -> None:
    for path in fetch(hub, "me/tiny").glob(name):
        path.unlink()
    assert not hub.on_disk()[0].is_complete


def test_only_a_lost_file_is_downloaded_again(hub: Hub, stand_in: StandIn) -> None:
    lost = (fetch(hub, "me/big") / "model-00002-of-00003.safetensors")
    lost.resolve().unlink()
    stand_in.requests.clear()
    fetch(hub, "me/big")
    assert {request.path.split("/")[-1] for request in stand_in.asked("resolve")} == {lost.name}
    assert hub.on_disk()[0].is_complete


def test_deleting_removes_the_models_own_files_and_nothing_else(hub: Hub, tmp_path: Path) -> None:
    fetch(hub, "me/big")
    fetch(hub, "me/tiny")
    sizes = {model.repo: model.size_bytes for model in hub.on_disk()}
    assert sizes["me/tiny"] <= hub.delete("me/tiny") < sizes["me/tiny"] + 1000
    assert [model.repo for model in hub.on_disk()] == ["me/big"]
    assert not (tmp_path / "cache" / "models--me--tiny").exists()


def test_a_partial_download_can_be_deleted(hub: Hub, stand_in: StandIn) -> None:
    stop_half_way(hub, stand_in)
    assert hub.delete("me/tiny") > 20 * 1024
    assert hub.on_disk() == ()


def test_a_model_is_not_deleted_while_it_is_downloaded(hub: Hub, stand_in: StandIn) -> None:
    stand_in.faults.append(Fault("model.safetensors", then="stall", after=1024))
    stop, ended = threading.Event(), threading.Event()

    def download() -> None:
        with pytest.raises(DownloadStopped):
            fetch(hub, "me/tiny", stop)
        ended.set()

    threading.Thread(target=download).start()
    while not hub.on_disk():
        time.sleep(0.02)
    with pytest.raises(EngineBusy, match="being downloaded"):
        hub.delete("me/tiny")
    stop.set()
    assert ended.wait(5)
    hub.delete("me/tiny")


@pytest.mark.parametrize("repo", ["../outside", "me/../..", "/etc/x", "me", "me/tiny/blobs", "", "a--b/c"])
def test_a_name_leads_nowhere_else(hub: Hub, tmp_path: Path, repo: str) -> None:
    (tmp_path / "outside").mkdir()
    with pytest.raises(InvalidRequest):
        hub.delete(repo)
    assert (tmp_path / "outside").is_dir()


def test_a_folder_that_is_a_link_is_neither_listed_nor_deleted(hub: Hub, tmp_path: Path) -> None:
    hub_folders.model(tmp_path / "elsewhere" / "snapshots" / SHA)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models--me--linked").symlink_to(tmp_path / "elsewhere")
    assert hub.on_disk() == ()
    with pytest.raises(ModelNotFound):
        hub.delete("me/linked")
    assert (tmp_path / "elsewhere" / "snapshots" / SHA / "config.json").is_file()


def test_models_that_the_client_library_downloaded_are_listed_too(hub: Hub, stand_in: StandIn, tmp_path: Path) -> None:
    from huggingface_hub import snapshot_download

    folder = snapshot_download("me/tiny", endpoint=stand_in.address, cache_dir=tmp_path / "cache")
    (model,) = hub.on_disk()
    assert (model.path, model.is_complete) == (Path(folder), True)
    stand_in.sent.clear()
    assert fetch(hub, "me/tiny") == Path(folder)
    assert not stand_in.sent["me/tiny/model.safetensors"]
    assert hub.delete("me/tiny") >= model.size_bytes
