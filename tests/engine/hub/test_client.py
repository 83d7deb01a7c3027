"""Every refusal and failure of the hub, and whose token is sent. A stand-in server fails; nothing in the client is mocked."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import EngineError, Hub, Settings
from engine.errors import HubUnreachable, ModelAccessDenied, ModelNotFound, RateLimited, TokenRejected, UnsupportedModel
from engine.hub import HubQuery
from engine.settings import Secret
from tests import hub_folders, hub_standin
from tests.hub_standin import BAD_TOKEN, GOOD_TOKEN, Fault, Repo, StandIn


@pytest.fixture(autouse=True)
def _online() -> Iterator[None]:
    with hub_standin.online():
        yield


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    folder = hub_folders.model(tmp_path / "tiny")
    with hub_standin.running({"me/tiny": folder, "me/gated": Repo(folder, gated="auto", readers=frozenset({GOOD_TOKEN}))}) as running:
        yield running


@pytest.fixture
def hub(stand_in: StandIn, tmp_path: Path) -> Hub:
    return Hub(Settings(cache_dir=tmp_path / "cache"), stand_in.address, timeout_s=0.5)


def fetch(hub: Hub, repo: str, token: Secret | None = None) -> Path:
    return hub.download(repo, None, lambda progress: None, threading.Event(), token)


def refusal(ask: Callable[[], object]) -> EngineError:
    with pytest.raises(EngineError) as raised:
        ask()
    return raised.value


@pytest.mark.parametrize(("fault", "expected", "says"), [
    (Fault("/api/models", status=500), HubUnreachable, "HTTP 500"),
    (Fault("/api/models", status=503), HubUnreachable, "HTTP 503"),
    (Fault("/api/models", then="stall"), HubUnreachable, "ReadTimeout"),
    (Fault("/api/models", then="cut", after=10), HubUnreachable, "RemoteProtocolError"),
    (Fault("/api/models", status=200), HubUnreachable, "answer"),
    (Fault("/api/models", status=404, headers={"X-Error-Code": "RepoNotFound"}), ModelNotFound, "spelling"),
    (Fault("/api/models", status=403, headers={"X-Error-Code": "GatedRepo"}), ModelAccessDenied, "licence"),
    (Fault("/api/models", status=403), ModelAccessDenied, "licence"),
    (Fault("/api/models", status=403, headers={"X-Error-Message": "Access to this resource is disabled."}), UnsupportedModel, "disabled"),
    (Fault("/api/models", status=429, headers={"Retry-After": "120"}), RateLimited, "120 s"),
    (Fault("/api/models", status=429, headers={"RateLimit": '"api";r=0;t=77'}), RateLimited, "77 s"),
    (Fault("/api/models", status=429), RateLimited, "300 s"),
])
def test_every_failure_has_its_own_text(hub: Hub, stand_in: StandIn, fault: Fault, expected: type[EngineError], says: str) -> None:
    stand_in.faults.append(fault)
    error = refusal(lambda: hub.describe("me/tiny"))
    assert type(error) is expected
    assert says in str(error)
    assert "me/tiny" in str(error)


def test_a_response_that_is_not_json_counts_as_an_unreachable_hub(stand_in: StandIn) -> None:
    hub = Hub(Settings(), f"{stand_in.storage}/me/tiny/{hub_standin.SHA}/README.md?")      # a page where an API was expected
    assert type(refusal(lambda: hub.describe("me/tiny"))) is HubUnreachable


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "no address", "ftp://127.0.0.1", "http://no.such.host.invalid", "http://["])
def test_an_invalid_endpoint_counts_as_an_unreachable_hub(endpoint: str) -> None:
    assert type(refusal(lambda: Hub(Settings(), endpoint, timeout_s=2).search(HubQuery()))) is HubUnreachable


def test_a_short_rate_limit_is_waited_for_once(hub: Hub, stand_in: StandIn) -> None:
    stand_in.faults.append(Fault("/api/models/me/tiny", status=429, headers={"Retry-After": "1"}, times=1))
    began = time.monotonic()
    assert hub.describe("me/tiny").repo == "me/tiny"
    assert 1 <= time.monotonic() - began < 5


def test_a_rate_limit_that_does_not_end_is_raised(hub: Hub, stand_in: StandIn) -> None:
    stand_in.faults.append(Fault("/api/models", status=429, headers={"Retry-After": "0"}))
    assert isinstance(refusal(lambda: hub.search(HubQuery())), RateLimited)
    assert len(stand_in.requests) == 2


def test_a_download_that_is_refused_half_way_can_be_resumed(hub: Hub, stand_in: StandIn) -> None:
    stand_in.faults += [Fault("model.safetensors", then="cut", after=20 * 1024, times=1),
                        Fault("resolve/*/model.safetensors", status=429, headers={"Retry-After": "600"}, spared=1, times=1)]
    assert isinstance(refusal(lambda: fetch(hub, "me/tiny")), RateLimited)
    fetch(hub, "me/tiny")
    assert [request.range for request in stand_in.requests if request.is_storage] == ["", f"bytes={20 * 1024}-"]


def test_a_wrong_token_is_not_a_missing_licence(hub: Hub) -> None:
    for ask in (lambda: hub.describe("me/gated", token=Secret(BAD_TOKEN)), lambda: fetch(hub, "me/tiny", Secret(BAD_TOKEN)),
                lambda: hub.search(HubQuery(), Secret(BAD_TOKEN))):
        error = refusal(ask)
        assert type(error) is TokenRejected
        assert "settings/tokens" in str(error)


@pytest.mark.parametrize("typed", ["hf_with\nnewline", "hf_ünicode", "hf_" + "x" * 600])
def test_text_that_cannot_be_a_token_is_rejected_before_it_is_sent(hub: Hub, stand_in: StandIn, typed: str) -> None:
    error = refusal(lambda: hub.describe("me/tiny", token=Secret(typed)))
    assert type(error) is TokenRejected
    assert not stand_in.requests


def test_a_token_without_permission_is_distinguished_from_none(hub: Hub) -> None:
    without, with_one = (refusal(lambda token=token: fetch(hub, "me/gated", token)) for token in (None, Secret("hf_other")))  # type: ignore[misc]
    assert isinstance(without, ModelAccessDenied)
    assert isinstance(with_one, ModelAccessDenied)
    assert (without.has_token, with_one.has_token) == (False, True)
    assert str(without) != str(with_one)


def tokens(stand_in: StandIn) -> set[str]:
    return {request.authorization.removeprefix("Bearer ") for request in stand_in.requests if not request.is_storage}


def ask_everything(hub: Hub, token: Secret | None) -> None:
    hub.search(HubQuery(), token)
    hub.describe("me/tiny", token=token)
    fetch(hub, "me/tiny", token)


def test_a_visitors_token_is_sent_and_not_stored(hub: Hub, stand_in: StandIn) -> None:
    ask_everything(hub, Secret(GOOD_TOKEN))
    assert tokens(stand_in) == {GOOD_TOKEN}
    stand_in.requests.clear()
    hub.describe("me/tiny", token=Secret("hf_second"))
    assert tokens(stand_in) == {"hf_second"}
    assert GOOD_TOKEN not in repr(vars(hub))


def test_on_a_public_page_the_owners_token_is_used_for_the_owner_only(stand_in: StandIn, tmp_path: Path) -> None:
    ask_everything(Hub(Settings(cache_dir=tmp_path, is_public=True, hf_token=Secret("hf_owner")), stand_in.address), None)
    assert tokens(stand_in) == {""}


def test_on_a_private_page_the_token_of_the_settings_is_used(stand_in: StandIn, tmp_path: Path) -> None:
    ask_everything(Hub(Settings(cache_dir=tmp_path, hf_token=Secret("hf_owner")), stand_in.address), Secret(""))
    assert tokens(stand_in) == {"hf_owner"}


def test_a_token_never_reaches_the_storage_of_large_files(hub: Hub, stand_in: StandIn) -> None:
    fetch(hub, "me/gated", Secret(GOOD_TOKEN))
    stored = [request for request in stand_in.requests if request.is_storage]
    assert stored
    assert not any(request.authorization for request in stored)


def test_a_token_never_follows_a_page_link_to_another_host(stand_in: StandIn, tmp_path: Path) -> None:
    with hub_standin.running({}) as other:
        stand_in.faults.append(Fault("/api/models", status=200, body=b"[]", times=1,
                                     headers={"Link": f'<{other.address}/api/models?cursor=1>; rel="next"'}))
        Hub(Settings(), stand_in.address).search(HubQuery(), Secret(GOOD_TOKEN))
    assert not other.requests


@pytest.mark.parametrize("fault", [
    Fault("me/tiny", status=401, headers={"X-Error-Message": f"Invalid credentials: {GOOD_TOKEN}"}),
    Fault("me/tiny", status=403, headers={"X-Error-Message": f"No: {GOOD_TOKEN}"}), Fault("me/tiny", status=500),
    Fault("me/tiny", then="cut"),
    Fault("me/tiny", status=429, headers={"Retry-After": "0"})])
def test_a_token_is_in_no_error_text_log_or_cause(
        hub: Hub, stand_in: StandIn, fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stand_in.faults.append(fault)
    error = refusal(lambda: hub.describe("me/tiny", token=Secret(GOOD_TOKEN)))
    assert GOOD_TOKEN not in "".join(traceback.format_exception(error)) + caplog.text + repr(error) + repr(vars(error))
    assert error.__cause__ is None
    assert error.__context__ is None
