"""Models for tasks in the library: found by their names as others are, and loaded for their task instead of being refused."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, Hub, Library, LoadOptions, Quantization, Settings
from engine.errors import NotPermitted
from engine.library import Visitor
from engine.pipelines import TaskInput
from tests import hub_standin, task_models
from tests.hub_standin import StandIn

ME = Visitor("me")
SMALL = LoadOptions(context_tokens=128, visitors=1)
LISTED = "dslim/bert-base-NER"


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    tags = task_models.encoder(tmp_path / "tags", "token-classification")
    plain = task_models.encoder(tmp_path / "plain", "none")
    with hub_standin.online(), hub_standin.running({"me/tags": tags, "me/plain": plain, LISTED: tags}) as running:
        yield running


@pytest.fixture
def new_library(new_engine: Callable[..., Engine], stand_in: StandIn, settings: Settings, tmp_path: Path) -> Callable[..., Library]:
    def make(**changes: object) -> Library:
        own = replace(settings, data_dir=tmp_path / "data", cache_dir=tmp_path / "cache", **changes)
        return Library(new_engine(made_with=own), None, Hub(own, stand_in.address, timeout_s=2))
    return make


def test_an_encoder_of_the_hub_is_downloaded_and_loaded_for_its_task(new_library: Callable[..., Library]) -> None:
    library = new_library()
    found = library.find("me/tags", ME)
    assert (found.tasks, found.problem) == (("token-classification",), None)
    fit = library.fit(found, 4096, 8)
    assert fit is not None
    assert [choice.quantization for choice in fit.choices] == [Quantization.NONE]
    assert fit.choices[0].fit.kv_bytes == 0
    job = library.download(found, ME)
    assert [*library.jobs.follow(job.id)][-1].state == "done"
    list(library.load(library.refreshed(found), Quantization.NONE, SMALL, ME).follow())
    assert library._engine.status().task == "token-classification"
    assert list(library._engine.run_task(TaskInput(("Ada Lovelace",))))


def test_an_encoder_in_a_folder_and_one_without_a_head(new_library: Callable[..., Library], tmp_path: Path) -> None:
    library = new_library()
    assert library.find(str(tmp_path / "tags"), ME).can_load
    assert "another task" in str(library.find("me/plain", ME).problem)


def test_a_public_page_offers_the_listed_models_for_tasks(new_library: Callable[..., Library]) -> None:
    library = new_library(is_public=True)
    with pytest.raises(NotPermitted):
        library.download(library.find("me/tags", ME), ME)
    assert library.download(library.find(LISTED, ME), ME)
