"""Adapters in the library: found with their base, downloaded together, and loaded; on a public page only what is offered."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, Hub, Library, LoadOptions, ModelSpec, Quantization, Settings
from engine.background import StopSignal
from engine.checkpoint.adapter import UnsupportedAdapter, parse_adapter_config
from engine.errors import NotPermitted
from engine.library import Visitor
from engine.models.adapters import base_of, find_adapters, of_its_base
from tests import hub_standin
from tests.conftest import ask, exhaust
from tests.engine.runtime.test_model_adapters import adapter
from tests.hub_standin import Repo, StandIn

ME = Visitor("me")
SMALL = LoadOptions(context_tokens=128, visitors=1)


@pytest.fixture
def stand_in(llama_folder: Path, tmp_path: Path) -> Iterator[StandIn]:
    tuned = adapter(tmp_path / "tuned", llama_folder, 1)
    config = json.loads((tuned / "adapter_config.json").read_text())
    (tuned / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "me/base"}))
    (tuned / "training_args.bin").write_bytes(b"pickled")
    pickled = shutil.copytree(tuned, tmp_path / "pickled")
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    path = shutil.copytree(tuned, tmp_path / "path")
    (path / "adapter_config.json").write_text(json.dumps(config))
    with hub_standin.online(), hub_standin.running(
            {"me/base": llama_folder, "me/tuned": tuned, "me/pickled": pickled, "me/path": path}) as running:
        yield running


@pytest.fixture
def new_library(new_engine: Callable[..., Engine], stand_in: StandIn, settings: Settings, tmp_path: Path) -> Callable[..., Library]:
    def make(**changes: object) -> Library:
        own = replace(settings, data_dir=tmp_path / "data", cache_dir=tmp_path / "cache", **changes)
        return Library(new_engine(made_with=own), None, Hub(own, stand_in.address, timeout_s=2))
    return make


def test_an_adapter_is_found_with_its_base_downloaded_with_it_and_loaded(new_library: Callable[..., Library], tmp_path: Path) -> None:
    library = new_library()
    found = library.find("me/tuned", ME)
    assert (found.name, found.source, found.spec_model) == ("base + tuned", "me/tuned", "me/base")
    assert found.shape is not None
    assert not found.can_load
    assert found.download_bytes == sum(listing.needed_bytes for listing in found.listings)
    assert len(found.listings) == 2
    job = library.download(found, ME)
    assert [*library.jobs.follow(job.id)][-1].state == "done"
    here = library.refreshed(found)
    assert here.can_load
    assert not list((tmp_path / "cache").rglob("training_args.bin"))
    list(library.load(here, Quantization.NONE, SMALL, ME).follow())
    engine = library._engine
    assert engine.status().model == "base + tuned"
    assert ask(engine, "hello")[0] != ask(engine, "hello", adapter="")[0]
    assert library.is_in_use("me/tuned")
    assert library.is_in_use("me/base")
    library.remove_adapter("tuned", ME)
    assert engine.status().adapters == ()


def test_the_revision_of_an_adapter_is_kept(settings: Settings, llama_folder: Path, tmp_path: Path, stand_in: StandIn) -> None:
    folder, own = tmp_path / "tuned", replace(settings, cache_dir=tmp_path / "cache")
    with hub_standin.running({"me/base": llama_folder, "me/tuned": Repo(folder, revisions={"v1": folder})}) as running:
        for name, revision in (("me/base", None), ("me/tuned", "v1")):      # never its newest
            Hub(own, running.address, timeout_s=2).download(name, revision, lambda progress: None, threading.Event())
    spec = of_its_base(ModelSpec("me/tuned", revision="v1"), own, lambda event: None)
    assert (spec.adapter, spec.name) == ("me/tuned@v1", "base + tuned@v1")
    assert find_adapters(spec, LoadOptions(), own, lambda event: None)[1][0].name == "tuned@v1"


def test_the_files_of_a_sleeping_model_are_in_use(new_library: Callable[..., Library], llama_folder: Path, tmp_path: Path) -> None:
    library, folder = new_library(idle_unload_s=0.2), str(tmp_path / "path")
    exhaust(library._engine.load(folder))
    library._engine.admission.wait_until(lambda: library._engine.status().state == "asleep", StopSignal())
    assert [library.is_in_use(name) for name in (folder, str(llama_folder), "path")] == [True, True, False]


def test_an_adapter_that_cannot_be_used_is_found_with_the_reason(new_library: Callable[..., Library]) -> None:
    library = new_library()
    assert "pickled" in str(library.find("me/pickled", ME).problem)
    with pytest.raises(UnsupportedAdapter, match="not on this machine"):        # a path that only its author's machine has
        library.find("me/path", ME)


@pytest.mark.parametrize("base", ["x/../../secret", "x/../../../../../../../../tmp", "here/llama", "/tmp", "~/x"])
def test_a_repository_opens_no_folder_as_its_base(base: str, llama_folder: Path, tmp_path: Path, settings: Settings,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path / "secret", tmp_path / "a" / "here" / "llama"):
        shutil.copytree(llama_folder, folder)
    (tmp_path / "a" / "x").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    config = parse_adapter_config({"peft_type": "LORA", "r": 2, "base_model_name_or_path": base})
    with pytest.raises(UnsupportedAdapter, match="not on this machine"):
        base_of("me/tuned", config, settings)
    assert base_of("me/tuned", replace(config, base="builtin"), settings) == ("builtin", None)


def test_an_adapter_in_a_folder_is_found(new_library: Callable[..., Library], llama_folder: Path, tmp_path: Path) -> None:
    found = new_library().find(str(tmp_path / "path"), ME)
    assert (found.name, found.can_load) == (f"{llama_folder.name} + path", True)


def test_a_public_page_offers_adapters_that_its_operator_lists(new_library: Callable[..., Library]) -> None:
    library = new_library(is_public=True, allowed_models=("me/base",))
    with pytest.raises(NotPermitted, match="me/tuned"):
        library.download(library.find("me/tuned", ME), ME)
    library = new_library(is_public=True, allowed_models=("me/base", "me/tuned"))
    job = library.download(library.find("me/tuned", ME), ME)
    assert [*library.jobs.follow(job.id)][-1].state == "done"
