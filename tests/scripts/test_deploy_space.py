"""Deploying to the stand-in of the hub; the Space that runs there is a page of this process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from engine import Secret
from scripts.deploy_space import QUESTION, Deployment, DeploymentFailed, deploy, parse
from tests import hub_standin, hub_standin_spaces
from tests.hub_standin import BAD_TOKEN, GOOD_TOKEN
from tests.hub_standin_spaces import SpacesStandIn
from tests.ui.conftest import address, engine, launched, page_engine, scripted, served, shared_page  # noqa: F401  the same fixtures
from tests.ui.scripted_engine import ScriptedEngine, answer

from .test_check_space import FILES, ROOT


@pytest.fixture(autouse=True)
def _online() -> Iterator[None]:
    with hub_standin.online():
        yield


@pytest.fixture
def spaces(address: str) -> Iterator[SpacesStandIn]:     # noqa: F811
    with hub_standin_spaces.running(address, files={".gitattributes": b"", "old.py": b"", "README.md": b"old"}) as running:
        yield running


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    return Deployment("me/app", tmp_path, {"MINDCUBES_MODEL": "builtin"}, {"HF_TOKEN": Secret("hf_secret")}, poll_s=0.01, wait_s=20)


def api_of(spaces: SpacesStandIn, token: str = GOOD_TOKEN) -> HfApi:
    return HfApi(endpoint=spaces.address, token=token)


def test_a_new_space_is_private_has_its_settings_and_files_and_answers(
        spaces: SpacesStandIn, deployment: Deployment, engine: ScriptedEngine) -> None:     # noqa: F811
    engine.script = answer("Qwen3 1.7B")
    assert deploy(deployment, api_of(spaces)) == "Qwen3 1.7B"
    space = spaces.spaces["me/app"]
    assert {name: space.created[name] for name in ("sdk", "visibility")} == {"sdk": "gradio", "visibility": "private"}
    assert (space.variables, space.secrets) == ({"MINDCUBES_MODEL": "builtin"}, {"HF_TOKEN": "hf_secret"})
    assert sorted(space.files) == sorted([".gitattributes", *FILES])
    assert space.files["README.md"] == (deployment.folder / "README.md").read_bytes()
    assert [message.content for message in engine.asked[-1][0]] == [QUESTION]


def test_an_existing_space_is_updated_and_keeps_its_visibility(
        spaces: SpacesStandIn, deployment: Deployment, engine: ScriptedEngine) -> None:     # noqa: F811
    engine.script = answer("one")
    deploy(replace(deployment, is_private=False, hardware="zero-a10g"), api_of(spaces))
    (deployment.folder / "app.py").write_text("import spaces\n")
    deploy(replace(deployment, variables={"MINDCUBES_MODEL": "me/other"}), api_of(spaces))
    space = spaces.spaces["me/app"]
    assert (space.created["visibility"], space.created["hardware"]) == ("public", "zero-a10g")
    assert space.variables == {"MINDCUBES_MODEL": "me/other"}
    assert space.files["app.py"] == space.runs["app.py"] == b"import spaces\n"      # the answer is that of the new version


def test_a_space_that_does_not_start_is_reported_with_the_platforms_reason(address: str, deployment: Deployment) -> None:  # noqa: F811
    with (hub_standin_spaces.running(address, ("BUILDING", "RUNTIME_ERROR")) as failing,
          pytest.raises(DeploymentFailed, match="RUNTIME_ERROR: it did not start")):
        deploy(deployment, api_of(failing))


def test_a_space_that_never_starts_is_given_up(address: str, deployment: Deployment) -> None:     # noqa: F811
    with (hub_standin_spaces.running(address, ("BUILDING",)) as slow,
          pytest.raises(DeploymentFailed, match="not running after 0 s")):
        deploy(replace(deployment, wait_s=0.05), api_of(slow))


def test_a_space_that_does_not_answer_is_reported(
        spaces: SpacesStandIn, deployment: Deployment, engine: ScriptedEngine) -> None:     # noqa: F811
    engine.script = answer("")
    with pytest.raises(DeploymentFailed, match="its answer is empty"):
        deploy(deployment, api_of(spaces))
    engine.script = [RuntimeError("broken")]
    with pytest.raises(DeploymentFailed, match="did not answer"):
        deploy(deployment, api_of(spaces))


def test_a_token_without_rights_is_reported_and_shown_nowhere(spaces: SpacesStandIn, deployment: Deployment) -> None:
    with pytest.raises(DeploymentFailed, match="hub refused") as caught:
        deploy(deployment, api_of(spaces, BAD_TOKEN))
    assert "hf_" not in str(caught.value)
    assert "hf_secret" not in repr(deployment)


def test_a_repository_with_problems_is_not_deployed(spaces: SpacesStandIn, deployment: Deployment) -> None:
    (deployment.folder / "pre-requirements.txt").unlink()
    with pytest.raises(DeploymentFailed, match="cannot run as a Space"):
        deploy(deployment, api_of(spaces))
    assert spaces.spaces == {}


@pytest.mark.parametrize(("arguments", "problem"), [
    (["app"], "must be owner/name"), (["me/app", "--variable", "A"], "must be NAME=VALUE"), (["me/app", "--secret", "B"], "has no B")])
def test_a_wrong_command_is_explained(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(arguments, {})
    assert problem in capsys.readouterr().err


def test_a_command_becomes_a_deployment() -> None:
    found = parse(["me/app", "--variable", "A=1=2", "--secret", "B", "--hardware", "zero-a10g"], {"B": "x"})
    assert (found.variables, found.secrets, found.is_private, found.hardware) == ({"A": "1=2"}, {"B": Secret("x")}, True, "zero-a10g")
