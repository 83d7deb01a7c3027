from pathlib import Path

import pytest

from engine import Settings
from engine.errors import InvalidRequest, ModelNotFound
from engine.models.resolve import BUILTIN_FOLDER, HubRepo, LocalModel, may_be_repo, names_a_model, resolve


@pytest.mark.parametrize("is_public", [True, False])
def test_the_built_in_model_has_its_own_name(is_public: bool) -> None:
    assert resolve(" Builtin ", Settings(is_public=is_public)) == LocalModel("builtin", BUILTIN_FOLDER)


@pytest.mark.parametrize("typed", ["me/tiny", " me/tiny ", "https://huggingface.co/me/tiny/tree/main", "hf.co/me/tiny"])
@pytest.mark.parametrize("is_public", [True, False])
def test_a_name_and_an_address_are_looked_up_on_the_hub(typed: str, is_public: bool) -> None:
    assert resolve(typed, Settings(is_public=is_public)) == HubRepo("me/tiny")


def test_a_path_is_a_folder(llama_folder: Path) -> None:
    assert resolve(str(llama_folder), Settings(is_public=False)) == LocalModel(str(llama_folder.resolve()), llama_folder.resolve())


def test_a_relative_path_is_a_folder_only_if_a_model_is_there(llama_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me" / "tiny").mkdir(parents=True)
    assert resolve("me/tiny", Settings(is_public=False)) == HubRepo("me/tiny")
    assert resolve("./me/tiny", Settings(is_public=False)) == LocalModel(str(tmp_path / "me" / "tiny"), tmp_path / "me" / "tiny")
    (tmp_path / "me" / "tiny" / "config.json").write_text("{}")
    assert resolve("me/tiny", Settings(is_public=False)) == LocalModel(str(tmp_path / "me" / "tiny"), tmp_path / "me" / "tiny")


def test_no_folder_can_be_named_on_a_public_page(llama_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequest):
        resolve(str(llama_folder), Settings(is_public=True))
    monkeypatch.chdir(llama_folder.parent)
    with pytest.raises(InvalidRequest):
        resolve(llama_folder.name, Settings(is_public=True))


def test_the_folder_of_the_operators_settings_is_a_model_on_a_public_page_too(llama_folder: Path) -> None:
    settings = Settings(is_public=True, model=str(llama_folder))
    assert resolve(str(llama_folder), settings) == LocalModel(str(llama_folder.resolve()), llama_folder.resolve())
    with pytest.raises(InvalidRequest):
        resolve(str(llama_folder.parent), settings)


@pytest.mark.parametrize("typed", ["/no/such/folder", "./nowhere", "~/nowhere-at-all", "~nobody-of-this-name/x", "/nul\0l", "C:\\models"])
def test_a_path_that_does_not_exist_is_not_a_hub_name(typed: str) -> None:
    with pytest.raises(ModelNotFound, match="this machine"):
        resolve(typed, Settings(is_public=False))


@pytest.mark.parametrize("typed", ["", "tiny", "two words", "a/b/c", "https://evil.example/me/tiny"])
def test_text_that_is_not_a_name_is_refused(typed: str) -> None:
    with pytest.raises(InvalidRequest):
        resolve(typed, Settings(is_public=False))


def test_names_are_distinguished_from_search_terms() -> None:
    assert [text for text in ("builtin", "me/tiny", "./x", "C:\\x", "qwen 3", "llama") if names_a_model(text)] == [
        "builtin", "me/tiny", "./x", "C:\\x"]
    assert [text for text in ("me/tiny", "chat and/or code", "/me/tiny", "~/tiny", "a/b/c", "tiny") if may_be_repo(text)] == ["me/tiny"]
