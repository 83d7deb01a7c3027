"""A public page: what visitors who are not the operator may do, whose token is sent, and who may swap the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Conversations, Engine, EngineError, GenerationOptions, Hub, Library, LoadOptions, Quantization, Secret, Settings
from engine.background import Job
from engine.chat import Ask, Question
from engine.errors import EngineBusy, HubUnreachable, InvalidRequest, JobNotFound, NotPermitted
from engine.hub import HubQuery
from engine.library import FoundModel, Visitor
from tests import hub_folders, hub_standin
from tests.conftest import exhaust
from tests.hub_standin import GOOD_TOKEN, Fault, Repo, StandIn

BOSS, ANN, BEN = Visitor("boss-key", name="boss"), Visitor("ann"), Visitor("ben")
SMALL = LoadOptions(context_tokens=512, visitors=2)
SLOW = "Qwen/Qwen3-0.6B"            # of the catalog, and so allowed; here a slow one
GATED = "google/gemma-3-1b-it"      # of the catalog, and gated
LONG, SHORT = (Ask(GenerationOptions(max_new_tokens=tokens, temperature=1.0)) for tokens in (450, 2))


@pytest.fixture(autouse=True)
def _online() -> Iterator[None]:
    with hub_standin.online():
        yield


@pytest.fixture
def stand_in(llama_folder: Path, tmp_path: Path) -> Iterator[StandIn]:
    gated = Repo(llama_folder, gated="auto", readers=frozenset({GOOD_TOKEN}))
    with hub_standin.running({"me/ok": llama_folder, "me/other": llama_folder, GATED: gated,
                              SLOW: hub_folders.model(tmp_path / "slow", kib=768)}) as running:
        yield running


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    return replace(settings, data_dir=tmp_path / "data", cache_dir=tmp_path / "cache", is_public=True, operator="boss",
                   allowed_models=("me/ok",), hf_token=Secret("hf_server"))


@pytest.fixture
def engine(new_engine: Callable[..., Engine], own: Settings) -> Iterator[Engine]:
    engine = new_engine(made_with=own)
    yield engine
    engine.close()


@pytest.fixture
def conversations(engine: Engine) -> Iterator[Conversations]:
    conversations = Conversations(engine)
    yield conversations
    conversations.close()


@pytest.fixture
def library(engine: Engine, conversations: Conversations, stand_in: StandIn, own: Settings) -> Iterator[Library]:
    library = Library(engine, conversations, Hub(own, stand_in.address, timeout_s=2))
    yield library
    library.jobs.close()


def fetched(library: Library, name: str, visitor: Visitor = BOSS) -> FoundModel:
    job = library.download(library.find(name, visitor), visitor)
    assert list(library.jobs.follow(job.id))[-1].state == "done"
    return library.find(name, visitor)


def loaded(library: Library) -> FoundModel:
    model = fetched(library, "me/ok")
    exhaust(library.load(model, Quantization.NONE, SMALL, BOSS).follow())
    return model


def begun(library: Library, stand_in: StandIn, visitor: Visitor) -> Job:
    stand_in.bytes_per_second = 100_000
    return library.download(library.find(SLOW, visitor), visitor)


# --- what is offered ---

def test_an_anonymous_visitor_can_download_and_load_allowed_models(library: Library) -> None:
    model = fetched(library, "me/ok", ANN)
    exhaust(library.load(model, Quantization.NONE, SMALL, ANN).follow())
    assert library.is_in_use("me/ok")


def test_an_anonymous_visitor_cannot_download_anything_else(library: Library) -> None:
    with pytest.raises(NotPermitted, match="me/other"):
        library.download(library.find("me/other", ANN), ANN)


def test_an_anonymous_visitor_cannot_load_anything_else(library: Library) -> None:
    with pytest.raises(NotPermitted, match="me/other"):
        library.load(fetched(library, "me/other"), Quantization.NONE, SMALL, ANN)


def test_the_operator_can_download_and_load_anything(library: Library) -> None:
    exhaust(library.load(fetched(library, "me/other"), Quantization.NONE, SMALL, BOSS).follow())
    assert library.is_in_use("me/other")


@pytest.mark.parametrize("visitor", [ANN, BOSS], ids=["anonymous", "operator"])
def test_nobody_can_load_a_folder_by_its_path(library: Library, llama_folder: Path, visitor: Visitor) -> None:
    with pytest.raises(InvalidRequest):
        library.find(str(llama_folder), visitor)


def test_an_anonymous_visitor_cannot_download_a_gated_model(library: Library) -> None:
    ann = replace(ANN, token=Secret(GOOD_TOKEN))
    with pytest.raises(NotPermitted, match="gated"):
        library.download(library.find(GATED, ann), ann)


def test_an_anonymous_visitor_cannot_download_a_model_not_known_to_be_open(library: Library, stand_in: StandIn) -> None:
    ann = replace(ANN, token=Secret(GOOD_TOKEN))
    stand_in.faults.append(Fault("*", 500))
    found = library.find(GATED, ann)
    stand_in.faults.clear()
    with pytest.raises(HubUnreachable):
        library.download(found, ann)
    assert library.on_disk() == ()


def test_an_anonymous_visitor_cannot_change_the_disk(library: Library) -> None:
    loaded(library)
    with pytest.raises(NotPermitted, match="delete"):
        library.delete("me/ok", ANN)
    with pytest.raises(NotPermitted, match="delete"):
        library.delete_saved("me/ok", Quantization.NF4, ANN)
    with pytest.raises(NotPermitted, match="write"):
        library.save_quantized(ANN)
    assert (library.permissions.is_operator(ANN), library.permissions.is_operator(BOSS)) == (False, True)


def test_an_anonymous_visitor_cannot_unload(library: Library, engine: Engine) -> None:
    loaded(library)
    with pytest.raises(NotPermitted, match="unload"):
        library.unload(ANN)
    library.unload(BOSS)
    assert engine.spec is None


def test_without_a_named_operator_nobody_is_the_operator(new_engine: Callable[..., Engine], own: Settings) -> None:
    library = Library(new_engine(made_with=replace(own, operator="")))
    with pytest.raises(NotPermitted):
        library.unload(Visitor("ann", name=""))


# --- jobs ---

def test_an_anonymous_visitor_can_neither_see_nor_change_jobs_of_others(library: Library, stand_in: StandIn) -> None:
    job = begun(library, stand_in, ANN)
    assert (library.visible_jobs(BEN), [each.id for each in library.visible_jobs(ANN)]) == ((), [job.id])
    for act in (library.cancel, library.resume, library.hide):
        with pytest.raises(JobNotFound):
            act(job.id, BEN)
    assert library.jobs.get(job.id).state == "running"


def test_the_operator_can_see_and_cancel_every_job(library: Library, stand_in: StandIn) -> None:
    job = begun(library, stand_in, ANN)
    assert [each.id for each in library.visible_jobs(BOSS)] == [job.id]
    library.cancel(job.id, BOSS)
    assert list(library.jobs.follow(job.id))[-1].state == "cancelled"


def test_a_download_that_another_visitor_has_started_is_refused_with_the_reason(library: Library, stand_in: StandIn) -> None:
    begun(library, stand_in, ANN)
    with pytest.raises(EngineBusy, match="someone else"):
        library.download(library.find(SLOW, BEN), BEN)


def test_an_anonymous_visitor_sees_their_job_however_many_others_have_started_since(library: Library) -> None:
    mine = library.jobs.start("count", "mine", lambda progress: "", "ann")
    for number in range(30):
        list(library.jobs.follow(library.jobs.start("count", str(number), lambda progress: "", f"ben {number}").id))
    assert [job.id for job in library.visible_jobs(ANN)] == [mine.id]


# --- swapping ---

def test_a_model_that_is_replying_to_another_visitor_is_not_swapped(library: Library, conversations: Conversations) -> None:
    model = loaded(library)
    conversations.send("ben", None, None, Question("hello"), [LONG])
    with pytest.raises(NotPermitted, match="using"):
        library.load(model, Quantization.NF4, SMALL, ANN)


def test_a_model_that_another_visitor_used_recently_is_not_swapped(
        library: Library, conversations: Conversations, engine: Engine) -> None:
    model = loaded(library)
    answer(conversations, "ben")
    with pytest.raises(NotPermitted, match="using"):
        library.load(model, Quantization.NF4, SMALL, ANN)
    exhaust(library.load(model, Quantization.NF4, SMALL, BEN).follow())
    assert engine.status().quantization is Quantization.NF4


def test_the_operator_can_swap_at_any_time(library: Library, conversations: Conversations, engine: Engine) -> None:
    model = loaded(library)
    answer(conversations, "ben")
    exhaust(library.load(model, Quantization.NF4, SMALL, BOSS).follow())
    assert engine.status().quantization is Quantization.NF4


def answer(conversations: Conversations, owner: str) -> None:
    chat = conversations.send(owner, None, None, Question("hello"), [SHORT])
    deadline = time.monotonic() + 20
    while conversations.is_writing(chat.id) and time.monotonic() < deadline:
        time.sleep(0.02)


# --- whose token is sent ---

def authorizations(stand_in: StandIn, use: Callable[[], object]) -> set[str]:
    stand_in.requests.clear()
    try:
        use()
    except EngineError:
        pass
    return {request.authorization for request in stand_in.requests if not request.is_storage}    # its addresses are signed


def test_an_anonymous_visitors_own_token_is_sent_for_that_visitor_only(library: Library, stand_in: StandIn) -> None:
    ann = replace(ANN, token=Secret(GOOD_TOKEN))
    assert authorizations(stand_in, lambda: library.find("me/ok", ann)) == {f"Bearer {GOOD_TOKEN}"}
    assert authorizations(stand_in, lambda: library.find("me/ok", BEN)) == {""}


def test_the_servers_token_is_never_sent_for_an_anonymous_visitor(library: Library, stand_in: StandIn) -> None:
    def use() -> None:
        library.search(HubQuery("ok"), ANN)
        exhaust(library.load(fetched(library, "me/ok", ANN), Quantization.NONE, SMALL, ANN).follow())

    assert authorizations(stand_in, use) == {""}


def test_the_servers_token_is_sent_for_the_operator(library: Library, stand_in: StandIn) -> None:
    assert authorizations(stand_in, lambda: library.find("me/ok", BOSS)) == {"Bearer hf_server"}
