from dataclasses import replace
from types import SimpleNamespace

import pytest

from engine import Secret, Settings
from engine.errors import JobNotFound, NotPermitted
from engine.library import Permissions, Visitor
from engine.models.catalog import catalog
from engine.storage.runs import Job

ANN, BOSS = Visitor("ann", name="ann"), Visitor("boss", name="boss")
PUBLIC = Settings(is_public=True, operator="boss", allowed_models=("me/ok",), hf_token=Secret("hf_server"))


def permissions(settings: Settings = PUBLIC, *, has_accounts: bool = False) -> Permissions:
    return Permissions(SimpleNamespace(settings=settings, accounts=SimpleNamespace(are_used=has_accounts)))  # type: ignore[arg-type]


def job(owner: str) -> Job:
    return Job(7, "download", "me/ok", owner, "running")


@pytest.mark.parametrize(("settings", "visitor", "expected"), [
    (PUBLIC, BOSS, True), (PUBLIC, ANN, False), (PUBLIC, Visitor("x"), False),
    (replace(PUBLIC, operator=""), Visitor("x"), False), (replace(PUBLIC, is_public=False), ANN, True)])
def test_the_operator_is_named_in_the_settings_or_is_anyone_on_a_private_page(settings: Settings, visitor: Visitor, expected: bool) -> None:
    assert permissions(settings).is_operator(visitor) is expected


def test_on_a_private_page_with_accounts_the_named_one_is_the_operator() -> None:
    private = permissions(replace(PUBLIC, is_public=False), has_accounts=True)
    assert [private.is_operator(each) for each in (BOSS, ANN)] == [True, False]
    assert permissions(Settings(), has_accounts=True).is_operator(ANN)


def test_actions_reserved_for_the_operator_are_refused_by_name() -> None:
    with pytest.raises(NotPermitted, match=r"only the operator can delete models\."):
        permissions().require_operator(ANN, "delete models")
    with pytest.raises(NotPermitted, match="only the operator can run measurements"):
        permissions().require_measuring(ANN)
    permissions().require_operator(BOSS, "delete models")
    permissions().require_measuring(BOSS)


def test_anonymous_visitors_can_use_the_models_that_the_page_offers() -> None:
    for model in ("builtin", catalog()[0].repo, "me/ok"):
        permissions().require_offered(model, ANN)
    with pytest.raises(NotPermitted, match="me/other"):
        permissions().require_offered("me/other", ANN)
    permissions().require_offered("me/other", BOSS)


def test_only_the_operator_can_download_gated_models() -> None:
    with pytest.raises(NotPermitted, match="gated"):
        permissions().require_open("me/ok", ANN, is_gated=True)
    permissions().require_open("me/ok", ANN, is_gated=False)
    permissions().require_open("me/ok", BOSS, is_gated=True)


def test_a_job_is_visible_to_its_owner_and_to_the_operator() -> None:
    assert permissions().require_own(job("ann"), ANN).owner == "ann"
    assert permissions().require_own(job("ann"), BOSS).owner == "ann"
    with pytest.raises(JobNotFound):
        permissions().require_own(job("ben"), ANN)


def test_the_servers_token_is_used_for_the_operator_only() -> None:
    own = replace(ANN, token=Secret("hf_ann"))
    assert permissions().hub_token(ANN) is None
    assert permissions().hub_token(own) == Secret("hf_ann")
    assert permissions().hub_token(BOSS) == Secret("hf_server")
    assert permissions(replace(PUBLIC, hf_token=Secret(""))).hub_token(BOSS) is None


def test_a_public_page_keeps_fewer_fine_tuning_runs_of_a_visitor() -> None:
    assert [permissions().kept_runs(each) for each in (ANN, BOSS)] == [5, 50]
    assert permissions(replace(PUBLIC, is_public=False)).kept_runs(ANN) == 50
