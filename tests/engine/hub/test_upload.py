"""Uploading a folder to the hub, over HTTP, with the visitor's token."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import Secret, Settings
from engine.errors import InvalidRequest, ModelAccessDenied, TokenRejected
from engine.hub.hub import Hub
from tests import hub_standin
from tests.hub_standin import BAD_TOKEN, GOOD_TOKEN


@pytest.fixture(autouse=True)
def plain_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large files by the protocol of Git LFS: the stand-in has no storage of the kind that hf_xet writes to."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "result"
    made.mkdir()
    (made / "README.md").write_text("---\nlibrary_name: peft\n---\n# Mine\n")
    (made / "adapter_model.safetensors").write_bytes(b"weights" * 1000)
    return made


def test_a_folder_becomes_a_private_model_with_this_token(settings: Settings, folder: Path) -> None:
    with hub_standin.running({}) as hub, hub_standin.online():
        address = Hub(settings, hub.address).upload("me/tuned", folder, Secret(GOOD_TOKEN))

    upload = hub.uploads["me/tuned"]
    assert address == f"{hub.address}/me/tuned"
    assert upload.is_private
    assert upload.token == GOOD_TOKEN
    assert upload.files == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {request.authorization for request in hub.requests} == {f"Bearer {GOOD_TOKEN}"}


def test_it_is_public_only_if_asked_for(settings: Settings, folder: Path) -> None:
    with hub_standin.running({}) as hub, hub_standin.online():
        Hub(settings, hub.address).upload("me/tuned", folder, Secret(GOOD_TOKEN), is_private=False)
    assert not hub.uploads["me/tuned"].is_private


def test_a_wrong_token_and_someone_elses_name_are_refused(settings: Settings, folder: Path) -> None:
    with hub_standin.running({}) as hub, hub_standin.online():
        client = Hub(settings, hub.address)
        with pytest.raises(TokenRejected):
            client.upload("me/tuned", folder, Secret(BAD_TOKEN))
        with pytest.raises(ModelAccessDenied):
            client.upload("other/tuned", folder, Secret(GOOD_TOKEN))
        with pytest.raises(TokenRejected):      # never with the server's own
            client.upload("me/tuned", folder, Secret(""))
        with pytest.raises(InvalidRequest):
            client.upload("../etc", folder, Secret(GOOD_TOKEN))
    assert hub.uploads == {}
