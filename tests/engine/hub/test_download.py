"""Downloads through huggingface_hub's own session, against a stand-in for the hub."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import Hub, Settings
from engine.errors import DiskFull, DownloadBroken, DownloadStopped, HubUnreachable, ModelAccessDenied, UnsupportedModel
from engine.hub.progress import DownloadProgress
from tests import hub_folders, hub_standin
from tests.hub_standin import SHA, Fault, Repo, StandIn

WEIGHTS = "me/tiny/model.safetensors"


@pytest.fixture(autouse=True)
def _online() -> Iterator[None]:
    with hub_standin.online():
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return hub_folders.model(tmp_path / "tiny", kib=512)


@pytest.fixture
def stand_in(folder: Path) -> Iterator[StandIn]:
    with hub_standin.running({"me/tiny": folder}) as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def hub(stand_in: StandIn, cache: Path) -> Hub:
    return Hub(Settings(cache_dir=cache), stand_in.address, timeout_s=1)


def fetch(hub: Hub, repo: str = "me/tiny", revision: str | None = None, stop: threading.Event | None = None,
          report: Callable[[DownloadProgress], None] = lambda progress: None) -> Path:
    return hub.download(repo, revision, report, stop or threading.Event())


def partials(cache: Path) -> list[Path]:
    return list(cache.glob("*/blobs/*.incomplete"))


def partial_of(stand_in: StandIn, cache: Path) -> Path:
    """The file that holds the beginning of the weights."""
    name = hub_standin.sha256(stand_in.repositories["me/tiny"].folder / "model.safetensors")
    path = cache / "models--me--tiny" / "blobs" / f"{name}.incomplete"
    path.parent.mkdir(parents=True)
    return path


def test_the_needed_files_arrive_unchanged_in_a_folder_named_by_the_commit(hub: Hub, folder: Path) -> None:
    snapshot = fetch(hub)
    assert snapshot.name == SHA
    assert {path.name for path in snapshot.iterdir()} == {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}
    assert all((folder / path.name).read_bytes() == path.read_bytes() for path in snapshot.iterdir())


def test_the_clients_own_cache_finds_it_without_a_network(hub: Hub, cache: Path) -> None:
    from huggingface_hub import snapshot_download

    snapshot = fetch(hub)
    assert Path(snapshot_download("me/tiny", cache_dir=cache, local_files_only=True)) == snapshot


def test_progress_knows_the_total_from_the_start(hub: Hub, stand_in: StandIn) -> None:
    stand_in.bytes_per_second = 800 * 1024
    reports: list[DownloadProgress] = []
    snapshot = fetch(hub, report=reports.append)
    total = sum(path.stat().st_size for path in snapshot.iterdir())
    assert {progress.total_bytes for progress in reports} == {total}
    assert [progress.done_bytes for progress in reports] == sorted(progress.done_bytes for progress in reports)
    assert (reports[0].done_bytes, reports[-1].done_bytes, reports[-1].seconds_left) == (0, total, 0)
    assert 300 * 1024 < reports[-1].bytes_per_second < 1600 * 1024


def test_a_second_download_asks_for_nothing_but_the_commit(hub: Hub, stand_in: StandIn) -> None:
    fetch(hub)
    stand_in.requests.clear()
    fetch(hub)
    assert [request.path.split("?")[0] for request in stand_in.requests] == ["/api/models/me/tiny"]


def test_only_the_weights_that_transformers_loads_are_fetched(tmp_path: Path) -> None:
    with hub_standin.running({"me/big": hub_folders.sharded(tmp_path / "big")}) as stand_in:
        hub = Hub(Settings(cache_dir=tmp_path / "cache"), stand_in.address)
        names = {path.name for path in fetch(hub, "me/big").iterdir() if "safetensors" in path.name}
    assert names == {"model.safetensors.index.json", *(f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3))}
    assert not stand_in.sent["me/big/consolidated.safetensors"] + stand_in.sent["me/big/original/model.safetensors"]


def test_a_stop_takes_effect_within_a_second_while_no_data_arrives(hub: Hub, stand_in: StandIn, cache: Path) -> None:
    stand_in.faults.append(Fault("model.safetensors", then="stall", after=100 * 1024))
    stop, stopped_at = threading.Event(), []

    def stop_soon(progress: DownloadProgress) -> None:
        if progress.done_bytes > 100 * 1024 and not stopped_at:
            stopped_at.append(time.monotonic() + 0.3)
            threading.Timer(0.3, stop.set).start()

    with pytest.raises(DownloadStopped):
        fetch(hub, stop=stop, report=stop_soon)
    assert time.monotonic() - stopped_at[0] < 1
    assert [path.stat().st_size for path in partials(cache)] == [100 * 1024]


def test_a_stop_takes_effect_while_the_hub_does_not_answer(hub: Hub, stand_in: StandIn) -> None:
    stand_in.faults.append(Fault("/api/models/me/tiny", then="stall"))
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(DownloadStopped):
        fetch(hub, stop=stop)
    assert time.monotonic() - began < 1


def test_a_stopped_download_resumes_where_it_stopped(hub: Hub, stand_in: StandIn, cache: Path, folder: Path) -> None:
    stand_in.faults.append(Fault("model.safetensors", then="stall", after=200 * 1024, times=1))
    stop = threading.Event()
    with pytest.raises(DownloadStopped):
        fetch(hub, stop=stop, report=lambda progress: stop.set() if progress.done_bytes > 200 * 1024 else None)
    snapshot = fetch(hub)
    assert [request.range for request in stand_in.requests if request.is_storage] == ["", f"bytes={200 * 1024}-"]
    assert stand_in.sent[WEIGHTS] == (folder / "model.safetensors").stat().st_size
    assert (snapshot / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert not partials(cache)


SCRIPT = """
import sys, threading
from pathlib import Path
from engine import Hub, Settings
print(Hub(Settings(cache_dir=Path(sys.argv[1]))).download("me/tiny", None, lambda progress: None, threading.Event()))
"""


def test_a_killed_download_resumes_where_it_stopped(stand_in: StandIn, cache: Path, folder: Path) -> None:
    stand_in.faults.append(Fault("model.safetensors", then="stall", after=300 * 1024, times=1))
    environment = {**os.environ, "HF_ENDPOINT": stand_in.address, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-c", SCRIPT, str(cache)]
    process = subprocess.Popen(command, env=environment)
    while not any(path.stat().st_size == 300 * 1024 for path in partials(cache)):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    size = (folder / "model.safetensors").stat().st_size
    assert [request.range for request in stand_in.requests if request.is_storage] == ["", f"bytes={300 * 1024}-"]
    assert stand_in.sent[WEIGHTS] == size
    assert (Path(done.stdout.strip()) / "model.safetensors").stat().st_size == size


def test_a_download_continues_on_a_new_connection_where_the_last_one_broke(hub: Hub, stand_in: StandIn, folder: Path) -> None:
    stand_in.faults.append(Fault("model.safetensors", then="cut", after=200 * 1024, times=2))
    snapshot = fetch(hub)
    assert (snapshot / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert stand_in.sent[WEIGHTS] == (folder / "model.safetensors").stat().st_size


def test_a_hub_that_ignores_ranges_does_not_duplicate_bytes(hub: Hub, stand_in: StandIn, folder: Path) -> None:
    stand_in.faults.append(Fault("model.safetensors", then="cut", after=200 * 1024, times=1))
    stand_in.has_ranges = False
    assert (fetch(hub) / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_a_connection_that_always_breaks_is_given_up_and_its_bytes_are_kept(hub: Hub, stand_in: StandIn, cache: Path) -> None:
    stand_in.faults += [Fault("model.safetensors", then="cut", after=100 * 1024, times=1), Fault("model.safetensors", then="cut")]
    with pytest.raises(DownloadBroken, match="broke off"):
        fetch(hub)
    assert [path.stat().st_size for path in partials(cache)] == [100 * 1024]


def test_a_silent_connection_counts_as_broken(stand_in: StandIn, cache: Path, folder: Path) -> None:
    stand_in.faults.append(Fault("model.safetensors", then="stall", after=100 * 1024, times=1))
    snapshot = fetch(Hub(Settings(cache_dir=cache), stand_in.address, timeout_s=0.5))
    assert (snapshot / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_a_temporary_server_error_is_retried(hub: Hub, stand_in: StandIn) -> None:
    stand_in.faults.append(Fault("resolve/*/model.safetensors", status=500, times=2))
    assert (fetch(hub) / "model.safetensors").is_file()


def test_a_file_of_another_size_than_listed_is_refused(hub: Hub, stand_in: StandIn) -> None:
    stand_in.faults.append(Fault("me/tiny/model.safetensors", more_bytes=10))
    with pytest.raises(DownloadBroken, match="lists"):
        fetch(hub)


def test_a_file_with_another_hash_than_listed_is_refused_and_downloaded_again(hub: Hub, stand_in: StandIn, cache: Path) -> None:
    partial_of(stand_in, cache).write_bytes(b"x" * 1000)
    with pytest.raises(DownloadBroken, match="not what the hub lists"):
        fetch(hub)
    assert (fetch(hub) / "model.safetensors").is_file()


def test_free_disk_space_is_checked_before_the_first_byte(hub: Hub, stand_in: StandIn) -> None:
    stand_in.faults.append(Fault("me/tiny/model.safetensors", more_bytes=10**18))
    with pytest.raises(DiskFull):
        fetch(hub)
    assert not stand_in.asked("resolve")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_fills_up_during_a_download_is_reported(hub: Hub, stand_in: StandIn, cache: Path) -> None:
    partial_of(stand_in, cache).symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        fetch(hub)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the owner of everything may write everywhere")
def test_a_folder_that_cannot_be_written_is_reported(stand_in: StandIn, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(DownloadBroken, match="refuses"):
        fetch(Hub(Settings(cache_dir=tmp_path / "closed"), stand_in.address))


def test_a_cache_that_is_a_file_is_reported(stand_in: StandIn, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadBroken, match="refuses"):
        fetch(Hub(Settings(cache_dir=tmp_path / "file"), stand_in.address))


@pytest.mark.parametrize("path", ["../../../outside.json", "/outside.json", "..\\outside.json", "C:outside.json"])
def test_a_listed_path_that_leaves_the_folder_is_not_followed(tmp_path: Path, path: str) -> None:
    from engine.hub.repository import HubFile, Repository

    found = Repository("me/tiny", SHA, (HubFile(path, 10, etag="a" * 40), HubFile("config.json", 10, etag="b" * 40)), None)
    assert [file.path for file in found.needed(())] == ["config.json"]


def test_a_model_without_safetensors_is_refused_before_anything_is_downloaded(tmp_path: Path) -> None:
    with hub_standin.running({"me/old": hub_folders.pickled(tmp_path / "old")}) as stand_in, pytest.raises(UnsupportedModel):
        fetch(Hub(Settings(cache_dir=tmp_path / "cache"), stand_in.address), "me/old")
    assert not stand_in.asked("resolve")


def test_a_gated_model_leaves_nothing_on_disk(folder: Path, tmp_path: Path) -> None:
    with hub_standin.running({"me/tiny": Repo(folder, gated="auto")}) as stand_in:
        hub = Hub(Settings(cache_dir=tmp_path / "cache"), stand_in.address)
        with pytest.raises(ModelAccessDenied):
            fetch(hub)
        assert hub.on_disk() == ()


def test_a_renamed_model_is_stored_under_the_requested_name(folder: Path, tmp_path: Path) -> None:
    with hub_standin.running({"me/tiny": folder, "me/old": Repo(folder, moved_to="me/tiny")}) as stand_in:
        hub = Hub(Settings(cache_dir=tmp_path / "cache"), stand_in.address)
        fetch(hub, "me/old")
        assert hub.stored("me/old") is not None


def test_two_downloads_of_one_model_fetch_it_once(hub: Hub, stand_in: StandIn, folder: Path) -> None:
    stand_in.bytes_per_second = 1024 * 1024
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(fetch(hub))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert stand_in.sent[WEIGHTS] == (folder / "model.safetensors").stat().st_size


def test_an_unreachable_hub_is_reported(cache: Path) -> None:
    with pytest.raises(HubUnreachable):
        fetch(Hub(Settings(cache_dir=cache), "http://127.0.0.1:9"))


@pytest.mark.parametrize("revision", ["../main", "a/../../b", "/etc", "x..y", "-x", "a b", "x" * 300])
def test_a_revision_that_is_a_path_is_refused_before_any_request(hub: Hub, stand_in: StandIn, revision: str) -> None:
    from engine.errors import InvalidRequest

    with pytest.raises(InvalidRequest):
        fetch(hub, revision=revision)
    assert not stand_in.requests
