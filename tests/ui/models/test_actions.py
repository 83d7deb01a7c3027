"""What the buttons of the Models tab do to a page's session, with the real library and a stand-in for the hub."""

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
from ui.models.actions import perform, search, use_token
from ui.models.session import ModelsSession
from ui.shared.context import Context, build_services
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
def context(new_engine: Callable[..., Engine], settings: Settings, stand_in: StandIn, tmp_path: Path) -> Iterator[Context]:
    own = replace(settings, data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")
    engine = new_engine(made_with=own)
    library = Library(engine, None, Hub(own, stand_in.address, timeout_s=1))
    yield Context(**vars(build_services(engine, library=library)), visitor=ME)
    library.jobs.close()
    engine.close()


@pytest.fixture
def session() -> ModelsSession:
    return ModelsSession()


def shown(session: ModelsSession) -> str:
    return session.model.spec_model if session.model else ""


def downloaded(context: Context, session: ModelsSession) -> None:
    perform(context, session, "download", "")
    assert session.problem is None
    list(context.library.jobs.follow(context.library.visible_jobs(ME)[0].id))
    perform(context, session, "again", "")


# --- finding ---

def test_a_name_opens_its_model(context: Context, session: ModelsSession) -> None:
    search(context, session, " me/tiny ", HubQuery())
    assert (shown(session), session.query, session.problem) == ("me/tiny", None, None)


def test_a_name_after_an_empty_search_result_shows_the_recommended_models_again(context: Context, session: ModelsSession) -> None:
    search(context, session, "zzz", HubQuery())
    assert session.query is not None
    search(context, session, "me/tiny", HubQuery())
    assert session.query is None


def test_the_use_that_models_are_recommended_for_can_be_chosen(context: Context, session: ModelsSession) -> None:
    perform(context, session, "use", "code")
    assert session.use == "code"
    perform(context, session, "use", "chess")
    assert session.use == "code"


def test_keywords_are_searched_on_the_hub(context: Context, session: ModelsSession) -> None:
    search(context, session, "tin", HubQuery())
    assert [model.repo for model in session.found] == ["me/tiny"]


def test_an_empty_search_shows_the_recommended_models(context: Context, session: ModelsSession) -> None:
    search(context, session, "tin", HubQuery())
    search(context, session, "", HubQuery())
    assert (session.query, session.found) == (None, [])


def test_a_name_that_the_hub_does_not_know_is_searched_and_named_in_the_problem(context: Context, session: ModelsSession) -> None:
    search(context, session, "me/unknown", HubQuery())
    assert (session.found, type(session.problem)) == ([], ModelNotFound)


def test_a_private_model_opens_once_its_token_is_given(context: Context, session: ModelsSession) -> None:
    search(context, session, "me/private", HubQuery())
    assert actions.needs_token(session)
    use_token(context, session, GOOD_TOKEN)
    assert (shown(session), session.problem) == ("me/private", None)


def test_a_gated_model_opens_once_its_token_is_given(context: Context, session: ModelsSession) -> None:
    perform(context, session, "choose", "me/closed")
    assert session.model is not None
    assert isinstance(session.model.problem, ModelAccessDenied)
    assert actions.needs_token(session)
    use_token(context, session, GOOD_TOKEN)
    assert session.model.problem is None


def test_a_search_that_failed_with_a_wrong_token_is_repeated_without_it(context: Context, session: ModelsSession) -> None:
    use_token(context, session, BAD_TOKEN)
    search(context, session, "tin", HubQuery())
    assert isinstance(session.problem, TokenRejected)
    use_token(context, session, "")
    assert ([model.repo for model in session.found], session.problem) == (["me/tiny"], None)


def test_text_that_is_not_a_token_is_not_kept(context: Context, session: ModelsSession) -> None:
    use_token(context, session, "two words")
    assert isinstance(session.problem, PageError)
    assert not session.token


def test_a_model_that_is_not_found_replaces_the_one_shown_before(context: Context, session: ModelsSession, stand_in: StandIn) -> None:
    perform(context, session, "choose", "me/tiny")
    stand_in.faults.append(Fault("me/wide", 500))
    search(context, session, "me/wide", HubQuery())
    assert (session.model, type(session.problem)) == (None, HubUnreachable)
    stand_in.faults.clear()
    perform(context, session, "remedy", "retry")
    assert (shown(session), session.problem) == ("me/wide", None)


def test_a_single_failure_of_the_hub_does_not_close_the_model(context: Context, session: ModelsSession, stand_in: StandIn) -> None:
    perform(context, session, "choose", "me/tiny")
    stand_in.faults.append(Fault("*", 500))
    perform(context, session, "again", "")
    assert (shown(session), type(session.problem)) == ("me/tiny", HubUnreachable)


def test_another_revision_opens_with_one_click(context: Context, session: ModelsSession) -> None:
    perform(context, session, "choose", "me/pickled")
    perform(context, session, "remedy", "revision refs/pr/1")
    assert session.model is not None
    assert session.model.problem is None
    assert session.model.listing is not None
    assert session.model.listing.revision == "refs/pr/1"


# --- choosing how to load ---

def test_remedies_change_how_a_model_is_loaded(context: Context, session: ModelsSession) -> None:
    perform(context, session, "choose", "me/wide")
    perform(context, session, "remedy", "quantize nf4")
    perform(context, session, "remedy", "context 2000")
    assert (session.quantization, session.options().context_tokens) == (Quantization.NF4, 2000)


def test_a_small_window_is_forgotten_with_its_model(context: Context, session: ModelsSession) -> None:
    perform(context, session, "choose", "me/tiny")
    assert session.options().context_tokens == 512
    perform(context, session, "choose", "me/wide")
    assert session.options().context_tokens == 4096


# --- disk ---

def test_a_deleted_model_can_be_downloaded_again(context: Context, session: ModelsSession) -> None:
    perform(context, session, "choose", "me/tiny")
    downloaded(context, session)
    assert session.model is not None
    assert session.model.can_load
    perform(context, session, "delete", "me/tiny")
    assert (session.problem, session.model.can_load) == (None, False)


# --- what no button says ---

@pytest.mark.parametrize(("name", "value"), [
    ("unknown", ""), (None, None), ("cancel", "x"), ("cancel", "-1"), ("hide", "9" * 30), ("resume", "12345"), ("remedy", "unknown"),
    ("remedy", "context x"), ("remedy", "quantize x"), ("delete-saved", "x"), ("delete", "../.."), ("delete", "me/nothing"),
    ("download", ""), ("load", ""), ("more", ""), ("again", ""), ("choose", ""), ("choose", "../../etc"), ("remedy", "revision ../x"),
    ("remedy", "force")])
def test_made_up_values_are_refused_with_a_sentence(context: Context, session: ModelsSession, name: object, value: object) -> None:
    perform(context, session, name, value)
    assert isinstance(session.problem, (PageError, LoadError, InvalidRequest)) or "does not exist" in str(session.problem)
    assert session.model is None
