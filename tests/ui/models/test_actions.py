"""What the buttons of the Models tab do to a page's session, over the real library and a stand-in of the hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, Hub, Library, Quantization, Settings
from engine.errors import HubUnreachable, InvalidRequest, LoadError, ModelAccessDenied, ModelNotFound, TokenRejected
from engine.hub import HubQuery
from engine.library import Visitor
from tests import hub_folders, hub_standin
from tests.hub_standin import BAD_TOKEN, GOOD_TOKEN, Fault, Repo, StandIn
from ui.models import actions
from ui.models.actions import Counter, perform, search, use_token
from ui.models.session import ModelsSession
from ui.shared.errors import PageError

ME = Visitor("me")


@pytest.fixture(autouse=True)
def _online() -> Iterator[None]:
    with hub_standin.online():
        yield


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    folder, readers = hub_folders.model(tmp_path / "tiny"), frozenset({GOOD_TOKEN})
    wide = hub_folders.model(tmp_path / "wide", config={**hub_folders.CONFIG, "max_position_embeddings": 32_768})
    with hub_standin.running({
            "me/tiny": folder, "me/wide": wide, "me/closed": Repo(folder, gated="auto", readers=readers),
            "me/private": Repo(folder, is_private=True, readers=readers),
            "me/pickled": Repo(hub_folders.pickled(tmp_path / "pickled"), revisions={"refs/pr/1": folder})}) as running:
        yield running


@pytest.fixture
def counter(new_engine: Callable[..., Engine], settings: Settings, stand_in: StandIn, tmp_path: Path) -> Iterator[Counter]:
    own = replace(settings, data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")
    engine = new_engine(made_with=own)
    library = Library(engine, None, Hub(own, stand_in.address, timeout_s=1))
    yield Counter(library, ME)
    library.jobs.close()
    engine.close()


@pytest.fixture
def session() -> ModelsSession:
    return ModelsSession()


def shown(session: ModelsSession) -> str:
    return session.model.spec_model if session.model else ""


def downloaded(counter: Counter, session: ModelsSession) -> None:
    perform(counter, session, "download", "")
    assert session.problem is None
    list(counter.library.jobs.follow(counter.library.visible_jobs(ME)[0].id))
    perform(counter, session, "again", "")


# --- finding ---

def test_a_name_opens_its_model(counter: Counter, session: ModelsSession) -> None:
    search(counter, session, " me/tiny ", HubQuery())
    assert (shown(session), session.query, session.problem) == ("me/tiny", None, None)


def test_a_name_after_a_search_that_found_nothing_brings_back_what_is_recommended(counter: Counter, session: ModelsSession) -> None:
    search(counter, session, "zzz", HubQuery())
    assert session.query is not None
    search(counter, session, "me/tiny", HubQuery())
    assert session.query is None


def test_words_are_looked_for(counter: Counter, session: ModelsSession) -> None:
    search(counter, session, "tin", HubQuery())
    assert [model.repo for model in session.found] == ["me/tiny"]


def test_nothing_typed_goes_back_to_what_is_recommended(counter: Counter, session: ModelsSession) -> None:
    search(counter, session, "tin", HubQuery())
    search(counter, session, "", HubQuery())
    assert (session.query, session.found) == (None, [])


def test_a_name_that_the_hub_does_not_know_is_looked_for_and_named(counter: Counter, session: ModelsSession) -> None:
    search(counter, session, "me/unknown", HubQuery())
    assert (session.found, type(session.problem)) == ([], ModelNotFound)


def test_a_private_model_opens_once_its_token_is_given(counter: Counter, session: ModelsSession) -> None:
    search(counter, session, "me/private", HubQuery())
    assert actions.needs_token(session)
    use_token(counter, session, GOOD_TOKEN)
    assert (shown(session), session.problem) == ("me/private", None)


def test_a_gated_model_opens_once_its_token_is_given(counter: Counter, session: ModelsSession) -> None:
    perform(counter, session, "choose", "me/closed")
    assert session.model is not None
    assert isinstance(session.model.problem, ModelAccessDenied)
    assert actions.needs_token(session)
    use_token(counter, session, GOOD_TOKEN)
    assert session.model.problem is None


def test_a_search_that_a_wrong_token_spoiled_is_made_again_without_it(counter: Counter, session: ModelsSession) -> None:
    use_token(counter, session, BAD_TOKEN)
    search(counter, session, "tin", HubQuery())
    assert isinstance(session.problem, TokenRejected)
    use_token(counter, session, "")
    assert ([model.repo for model in session.found], session.problem) == (["me/tiny"], None)


def test_a_token_that_is_none_is_not_kept(counter: Counter, session: ModelsSession) -> None:
    use_token(counter, session, "two words")
    assert isinstance(session.problem, PageError)
    assert not session.token


def test_what_is_not_found_takes_the_place_of_the_model_before(counter: Counter, session: ModelsSession, stand_in: StandIn) -> None:
    perform(counter, session, "choose", "me/tiny")
    stand_in.faults.append(Fault("me/wide", 500))
    search(counter, session, "me/wide", HubQuery())
    assert (session.model, type(session.problem)) == (None, HubUnreachable)
    stand_in.faults.clear()
    perform(counter, session, "remedy", "retry")
    assert (shown(session), session.problem) == ("me/wide", None)


def test_a_hub_that_fails_once_does_not_take_the_model_away(counter: Counter, session: ModelsSession, stand_in: StandIn) -> None:
    perform(counter, session, "choose", "me/tiny")
    stand_in.faults.append(Fault("*", 500))
    perform(counter, session, "again", "")
    assert (shown(session), type(session.problem)) == ("me/tiny", HubUnreachable)


def test_another_revision_is_looked_at_with_one_click(counter: Counter, session: ModelsSession) -> None:
    perform(counter, session, "choose", "me/pickled")
    perform(counter, session, "remedy", "revision refs/pr/1")
    assert session.model is not None
    assert session.model.problem is None
    assert session.model.listing is not None
    assert session.model.listing.revision == "refs/pr/1"


# --- choosing how to load ---

def test_remedies_change_how_a_model_is_loaded(counter: Counter, session: ModelsSession) -> None:
    perform(counter, session, "choose", "me/wide")
    perform(counter, session, "remedy", "quantize nf4")
    perform(counter, session, "remedy", "context 2000")
    assert (session.quantization, session.options().context_tokens) == (Quantization.NF4, 2000)


def test_a_small_window_is_forgotten_with_its_model(counter: Counter, session: ModelsSession) -> None:
    perform(counter, session, "choose", "me/tiny")
    assert session.options().context_tokens == 512
    perform(counter, session, "choose", "me/wide")
    assert session.options().context_tokens == 4096


# --- disk ---

def test_a_deleted_model_can_be_downloaded_again(counter: Counter, session: ModelsSession) -> None:
    perform(counter, session, "choose", "me/tiny")
    downloaded(counter, session)
    assert session.model is not None
    assert session.model.can_load
    perform(counter, session, "delete", "me/tiny")
    assert (session.problem, session.model.can_load) == (None, False)


# --- what no button says ---

@pytest.mark.parametrize(("name", "value"), [
    ("unknown", ""), (None, None), ("cancel", "x"), ("cancel", "-1"), ("hide", "9" * 30), ("resume", "12345"), ("remedy", "unknown"),
    ("remedy", "context x"), ("remedy", "quantize x"), ("delete-saved", "x"), ("delete", "../.."), ("delete", "me/nothing"),
    ("download", ""), ("load", ""), ("more", ""), ("again", ""), ("choose", ""), ("choose", "../../etc"), ("remedy", "revision ../x"),
    ("remedy", "force")])
def test_what_a_page_makes_up_becomes_a_sentence(counter: Counter, session: ModelsSession, name: object, value: object) -> None:
    perform(counter, session, name, value)
    assert isinstance(session.problem, (PageError, LoadError, InvalidRequest)) or "no job" in str(session.problem)
    assert session.model is None
