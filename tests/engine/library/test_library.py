"""From a name to a loaded model: found, downloaded, loaded, deleted, against a stand-in for the hub."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import BUILTIN, Engine, GenerationOptions, Hub, Library, LoadOptions, Message, Quantization, Secret, Settings, TextDelta
from engine.background import Job
from engine.errors import (
    EngineBusy,
    HubUnreachable,
    InvalidRequest,
    ModelAccessDenied,
    ModelNotFound,
    NoModelLoaded,
    TokenRejected,
    UnsupportedModel,
)
from engine.library import FoundModel, Visitor
from tests import gguf_models, hub_folders, hub_standin
from tests.conftest import ask, exhaust
from tests.hub_standin import BAD_TOKEN, GOOD_TOKEN, SHA, Fault, Repo, StandIn

ME = Visitor("me")
WEIGHTS = "me/large/model.safetensors"
SMALL = LoadOptions(context_tokens=128, visitors=1)
CATALOG, GATED = "Qwen/Qwen3-0.6B", "google/gemma-3-1b-it"      # of the catalog: an open one, a gated one
BEGIN = """
import os, sys, time
from pathlib import Path
from engine import Engine, Hub, Library, Settings
from engine.library import Visitor
address, cache, data = sys.argv[1:]
settings = Settings(device="cpu", cache_dir=Path(cache), data_dir=Path(data))
library, me = Library(Engine(settings), None, Hub(settings, address, timeout_s=2)), Visitor("me")
job = library.download(library.find("me/large", me), me)
while library.jobs.get(job.id).done < 200_000:
    time.sleep(0.02)
time.sleep(1)       # jobs are written once a second
library.jobs.get(job.id)
os._exit(9)
"""


@pytest.fixture(autouse=True)
def _online() -> Iterator[None]:
    with hub_standin.online():
        yield


@pytest.fixture
def stand_in(llama_folder: Path, tmp_path: Path) -> Iterator[StandIn]:
    large, empty = hub_folders.model(tmp_path / "large", kib=768), hub_folders.pickled(tmp_path / "pickled")
    closed = Repo(llama_folder, gated="auto", readers=frozenset({GOOD_TOKEN}))
    gguf_models.llama(llama_folder, tmp_path / "gguf" / "tiny-Q8_0.gguf", "Q8_0")
    gguf_models.llama(llama_folder, tmp_path / "gguf" / "tiny-F32.gguf")
    with hub_standin.running({"me/tiny": llama_folder, "me/large": large, "me/closed": closed, "me/pickled": empty,
                              "me/gguf": tmp_path / "gguf", GATED: closed}) as running:
        yield running


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    return replace(settings, data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")


@pytest.fixture
def new_library(new_engine: Callable[..., Engine], stand_in: StandIn, own: Settings) -> Iterator[Callable[..., Library]]:
    made: list[Library] = []

    def make(made_with: Settings = own) -> Library:
        made.append(Library(new_engine(made_with=made_with), None, Hub(made_with, stand_in.address, timeout_s=2)))
        return made[-1]

    yield make
    for library in made:
        library.jobs.close()
        library._engine.close()


@pytest.fixture
def library(new_library: Callable[..., Library]) -> Library:
    return new_library()


def ended(library: Library, job: Job) -> Job:
    return list(library.jobs.follow(job.id))[-1]


def fetched(library: Library, name: str, visitor: Visitor = ME) -> FoundModel:
    """Download the model and find it again."""
    assert ended(library, library.download(library.find(name, visitor), visitor)).state == "done"
    return library.find(name, visitor)


def begun(library: Library, stand_in: StandIn, name: str = "me/large") -> Job:
    """A slow download of which the first bytes have arrived."""
    stand_in.bytes_per_second = 400_000
    job = library.download(library.find(name, ME), ME)
    deadline = time.monotonic() + 20
    while library.jobs.get(job.id).done < 150_000 and time.monotonic() < deadline:
        time.sleep(0.02)
    return library.jobs.get(job.id)


# --- finding ---

@pytest.mark.parametrize("typed", ["me/tiny", " me/tiny ", "https://huggingface.co/me/tiny", "hf.co/me/tiny/tree/main"])
def test_a_model_is_found_by_name_and_by_address(library: Library, typed: str) -> None:
    found = library.find(typed, ME)
    assert (found.spec_model, found.where, found.revision, found.is_on_disk) == ("me/tiny", "hub", SHA, False)
    assert found.shape is not None
    assert found.download_bytes > 100_000


def test_a_folder_is_found_and_loads(library: Library, llama_folder: Path) -> None:
    found = library.find(str(llama_folder), ME)
    assert (found.where, found.can_load, found.name) == ("folder", True, llama_folder.name)
    exhaust(library.load(found, Quantization.NONE, SMALL, ME).follow())
    assert library.is_in_use(str(llama_folder))


def test_the_built_in_model_is_found_without_a_hub(library: Library) -> None:
    found = library.find("Builtin", ME)
    assert (found.spec_model, found.where, found.can_load) == (BUILTIN, "builtin", True)


@pytest.mark.parametrize(("typed", "error"), [
    ("", InvalidRequest), ("two words", InvalidRequest), ("/no/such/folder", ModelNotFound), ("me/unknown", ModelNotFound)])
def test_a_model_found_nowhere_is_reported(library: Library, typed: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        library.find(typed, ME)


def test_a_folder_without_safetensors_is_refused(library: Library, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel):
        library.find(str(hub_folders.pickled(tmp_path / "other")), ME)


def test_a_repository_without_safetensors_is_found_with_its_problem(library: Library) -> None:
    assert isinstance(library.find("me/pickled", ME).problem, UnsupportedModel)


def test_a_gated_model_is_found_with_its_problem(library: Library) -> None:
    found = library.find("me/closed", ME)
    assert isinstance(found.problem, ModelAccessDenied)
    assert (found.shape, found.can_load) == (None, False)


def test_the_shape_of_a_gated_model_of_the_catalog_is_known(library: Library) -> None:
    found = library.find(GATED, ME)
    assert isinstance(found.problem, ModelAccessDenied)
    assert found.shape is not None
    assert found.shape.parameters == pytest.approx(1e9, rel=0.1)
    assert library.fit(found, 4096, 1) is not None


def test_a_token_opens_a_gated_model(library: Library) -> None:
    found = library.find("me/closed", Visitor("me", Secret(GOOD_TOKEN)))
    assert found.problem is None
    assert found.shape is not None


# --- downloading ---

def test_a_downloaded_model_is_on_disk_loads_and_answers(library: Library) -> None:
    found = fetched(library, "me/tiny")
    assert (found.is_on_disk, found.where, found.can_load) == (True, "disk", True)
    exhaust(library.load(found, Quantization.NONE, SMALL, ME).follow())
    assert ask(library._engine, "hello", max_new_tokens=4)[1].usage.new_tokens


def test_of_a_repository_with_gguf_files_the_chosen_one_is_downloaded_and_answers(library: Library, stand_in: StandIn) -> None:
    found = fetched(library, "me/gguf")
    assert (found.spec_model, found.gguf, found.repo, found.is_on_disk) == ("me/gguf/tiny-Q8_0.gguf", "tiny-Q8_0.gguf", "me/gguf", True)
    assert [file.model for file in found.gguf_files] == ["me/gguf/tiny-Q8_0.gguf", "me/gguf/tiny-F32.gguf"]
    other = library.find("me/gguf/tiny-F32.gguf", ME)
    assert (other.is_on_disk, other.download_bytes) == (False, found.gguf_files[1].size_bytes)
    exhaust(library.load(found, Quantization.INT8, SMALL, ME).follow())
    assert ask(library._engine, "hello", max_new_tokens=4)[1].usage.new_tokens
    assert library.is_in_use("me/gguf")
    with pytest.raises(EngineBusy, match="is loaded"):
        library.delete("me/gguf", ME)
    stand_in.faults.append(Fault("*", 500, times=99))
    assert library.find("me/gguf/tiny-Q8_0.gguf", ME).shape == found.shape       # from the disk


def test_a_model_that_is_not_on_disk_cannot_be_loaded(library: Library) -> None:
    with pytest.raises(InvalidRequest, match="downloaded"):
        library.load(library.find("me/tiny", ME), Quantization.NONE, SMALL, ME)


def test_loading_a_model_that_is_too_large_is_offered_only_if_it_is_on_disk(library: Library) -> None:
    def kinds(model: FoundModel) -> list[str]:
        return [remedy.kind for remedy in library.remedies(None, model, Quantization.NF4, 512, 100_000_000)]

    assert "force" not in kinds(library.find("me/tiny", ME))
    assert "force" in kinds(fetched(library, "me/tiny"))


def test_a_second_request_for_a_running_download_follows_it(library: Library, stand_in: StandIn) -> None:
    first = begun(library, stand_in)
    assert library.download(library.find("me/large", ME), ME).id == first.id


def test_a_cancelled_download_is_kept_and_can_be_resumed(library: Library, stand_in: StandIn) -> None:
    job = begun(library, stand_in)
    library.cancel(job.id, ME)
    assert ended(library, job).state == "cancelled"
    kept = library.find("me/large", ME).partial_bytes
    assert kept >= 150_000
    stand_in.bytes_per_second = None
    before = stand_in.sent[WEIGHTS]
    assert ended(library, library.resume(job.id, ME)).state == "done"
    missing = (stand_in.repositories["me/large"].folder / "model.safetensors").stat().st_size - kept
    assert stand_in.sent[WEIGHTS] - before < missing + 150_000      # and the header, to look at it again
    assert library.find("me/large", ME).is_on_disk


def test_a_download_of_a_killed_process_is_interrupted_and_can_be_resumed(
        new_library: Callable[..., Library], stand_in: StandIn, own: Settings) -> None:
    stand_in.bytes_per_second = 300_000
    subprocess.run([sys.executable, "-c", BEGIN, stand_in.address, str(own.cache_dir), str(own.data_dir)], timeout=120, check=False,
                   env={**os.environ, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"})
    library = new_library()
    job = library.visible_jobs(ME)[0]
    assert (job.state, job.title) == ("interrupted", "me/large")
    kept = library.find("me/large", ME).partial_bytes
    assert kept >= 200_000
    stand_in.bytes_per_second = None
    before = stand_in.sent[WEIGHTS]
    assert ended(library, library.resume(job.id, ME)).state == "done"
    size = (stand_in.repositories["me/large"].folder / "model.safetensors").stat().st_size
    assert stand_in.sent[WEIGHTS] - before < size - kept + 150_000


def test_files_shared_with_an_older_revision_are_not_counted_as_missing(library: Library, stand_in: StandIn, tmp_path: Path) -> None:
    newer = shutil.copytree(stand_in.repositories["me/large"].folder, tmp_path / "newer")
    (newer / "tokenizer_config.json").write_text('{"chat_template": "another"}')
    stand_in.repositories["me/large"] = replace(stand_in.repositories["me/large"], revisions={"next": newer})
    fetched(library, "me/large")
    found = library.find("me/large", ME, "next")
    assert not found.is_on_disk
    assert found.download_bytes - found.partial_bytes == len('{"chat_template": "another"}')


def test_a_model_that_is_not_from_the_hub_cannot_be_downloaded(library: Library) -> None:
    with pytest.raises(InvalidRequest, match="builtin"):
        library.download(library.find("builtin", ME), ME)


def test_only_a_download_can_be_resumed(library: Library) -> None:
    job = ended(library, library.jobs.start("save", "tiny", lambda progress: "", "me"))
    with pytest.raises(InvalidRequest, match="download"):
        library.resume(job.id, ME)


def test_a_finished_job_can_be_removed_from_the_list(library: Library) -> None:
    fetched(library, "me/tiny")
    library.hide(library.visible_jobs(ME)[0].id, ME)
    assert library.visible_jobs(ME) == ()


# --- without a hub ---

def test_without_a_hub_a_model_on_disk_is_found_and_loads(library: Library, stand_in: StandIn) -> None:
    fetched(library, "me/tiny")
    stand_in.faults.append(Fault("*", 500))
    found = library.find("me/tiny", ME)
    assert (found.where, found.revision, type(found.problem)) == ("disk", SHA, HubUnreachable)
    exhaust(library.load(found, Quantization.NONE, SMALL, ME).follow())
    assert library.is_in_use("me/tiny")


def test_a_model_on_disk_loads_although_the_hub_no_longer_has_it(library: Library, stand_in: StandIn) -> None:
    fetched(library, "me/tiny")
    del stand_in.repositories["me/tiny"]
    found = library.find("me/tiny", ME)
    assert (found.where, found.can_load, type(found.problem)) == ("disk", True, ModelNotFound)


def test_a_wrong_token_does_not_hide_a_model_on_disk(library: Library) -> None:
    fetched(library, "me/tiny")
    found = library.find("me/tiny", Visitor("me", Secret(BAD_TOKEN)))
    assert (found.can_load, type(found.problem)) == (True, TokenRejected)


def test_a_download_that_the_hub_does_not_describe_is_not_started(library: Library, stand_in: StandIn) -> None:
    stand_in.faults.append(Fault("*", 500))
    with pytest.raises(HubUnreachable):
        library.download(library.find(CATALOG, ME), ME)
    assert library.visible_jobs(ME) == ()


def test_without_a_hub_the_catalog_still_knows_a_shape(library: Library, stand_in: StandIn) -> None:
    stand_in.faults.append(Fault("*", 500))
    found = library.find(CATALOG, ME)
    assert (found.where, found.can_load, type(found.problem)) == ("catalog", False, HubUnreachable)
    assert library.fit(found, 4096, 1) is not None


def test_without_a_hub_an_unknown_model_is_unreachable(library: Library, stand_in: StandIn) -> None:
    stand_in.faults.append(Fault("*", 500))
    with pytest.raises(HubUnreachable):
        library.find("me/tiny", ME)


# --- disk ---

def test_a_model_in_use_can_be_deleted_only_after_it_is_unloaded(library: Library) -> None:
    found = fetched(library, "me/tiny")
    exhaust(library.load(found, Quantization.NONE, SMALL, ME).follow())
    with pytest.raises(EngineBusy, match="loaded"):
        library.delete("me/tiny", ME)
    library.unload(ME)
    assert library.delete("me/tiny", ME) > 100_000
    assert library.on_disk() == ()
    assert not library.find("me/tiny", ME).is_on_disk


@pytest.mark.parametrize("is_hub_there", [True, False], ids=["hub", "no hub"])
def test_a_deleted_model_is_not_loaded_by_a_page_that_still_shows_it(library: Library, stand_in: StandIn, is_hub_there: bool) -> None:
    found = fetched(library, "me/tiny")
    if not is_hub_there:
        stand_in.faults.append(Fault("*", 500))
        found = library.find("me/tiny", ME)
    library.delete("me/tiny", ME)
    with pytest.raises(InvalidRequest, match="downloaded"):
        library.load(found, Quantization.NONE, SMALL, ME)
    assert not library.refreshed(found).can_load


def test_nothing_is_deleted_while_a_model_is_loading(library: Library) -> None:
    tiny = fetched(library, "me/tiny")
    fetched(library, "me/large")
    exhaust(library.load(tiny, Quantization.NONE, LoadOptions(context_tokens=512, visitors=1), ME).follow())
    reply = library._engine.chat([Message("user", "hello")], GenerationOptions(max_new_tokens=400, temperature=1.0))
    while not isinstance(next(reply), TextDelta):
        pass
    load = library.load(tiny, Quantization.NF4, SMALL, ME)      # waits for the reply
    for name in ("me/tiny", "me/large"):
        with pytest.raises(EngineBusy, match="loading"):
            library.delete(name, ME)
    reply.close()
    exhaust(load.follow())


def test_a_model_that_is_asleep_is_in_use(new_library: Callable[..., Library], own: Settings) -> None:
    library = new_library(replace(own, idle_unload_s=1))
    exhaust(library.load(fetched(library, "me/tiny"), Quantization.NONE, SMALL, ME).follow())
    deadline = time.monotonic() + 20
    while library._engine.status().state != "asleep" and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(EngineBusy, match="me/tiny is loaded"):
        library.delete("me/tiny", ME)


def test_a_model_that_is_being_downloaded_can_be_deleted_only_afterwards(library: Library, stand_in: StandIn) -> None:
    job = begun(library, stand_in)
    with pytest.raises(EngineBusy, match="downloaded"):
        library.delete("me/large", ME)
    library.cancel(job.id, ME)
    ended(library, job)
    assert library.delete("me/large", ME) > 100_000
    assert library.find("me/large", ME).partial_bytes == 0


def test_saved_quantized_weights_are_listed_and_deleted(library: Library) -> None:
    found = fetched(library, "me/tiny")
    exhaust(library.load(found, Quantization.NF4, SMALL, ME).follow())
    assert ended(library, library.save_quantized(ME)).state == "done"
    assert [(each.model, each.quantization) for each in library.saved()] == [("me/tiny", Quantization.NF4)]
    with pytest.raises(EngineBusy):
        library.delete_saved("me/tiny", Quantization.NF4, ME)
    library.unload(ME)
    assert library.delete_saved("me/tiny", Quantization.NF4, ME) > 100_000
    assert library.saved() == ()


@pytest.mark.parametrize("is_hub_there", [True, False], ids=["hub", "no hub"])
def test_saved_quantized_weights_load_when_their_source_is_deleted(library: Library, stand_in: StandIn, is_hub_there: bool) -> None:
    exhaust(library.load(fetched(library, "me/tiny"), Quantization.NF4, SMALL, ME).follow())
    assert ended(library, library.save_quantized(ME)).state == "done"
    library.unload(ME)
    library.delete("me/tiny", ME)
    if not is_hub_there:
        stand_in.faults.append(Fault("*", 500))
    found = library.find("me/tiny", ME)
    assert (found.can_load, found.can_load_as(Quantization.NF4), found.can_load_as(Quantization.INT8)) == (False, True, False)
    exhaust(library.load(found, Quantization.NF4, SMALL, ME).follow())
    assert ask(library._engine, "hello", max_new_tokens=4)[1].usage.new_tokens
    assert library.on_disk() == ()


def test_weights_that_were_never_saved_cannot_be_deleted(library: Library) -> None:
    with pytest.raises(ModelNotFound):
        library.delete_saved("me/tiny", Quantization.NF4, ME)


def test_nothing_can_be_saved_while_no_model_is_loaded(library: Library) -> None:
    with pytest.raises(NoModelLoaded):
        library.save_quantized(ME)
