"""What is known about a model before it is downloaded, read from a stand-in for the hub."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine import Hub, Settings
from engine.checkpoint.shape import read_shape
from engine.errors import ModelAccessDenied, ModelNotFound
from engine.hub import HubListing
from engine.models.estimate import find_shape
from engine.settings import Secret
from tests import gguf_models, hub_folders, hub_standin, stored_models
from tests.hub_standin import GOOD_TOKEN, Repo, StandIn


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., StandIn]]:
    """Start a stand-in with these repositories; all are stopped at the end of the test."""
    with ExitStack() as stack:
        stack.enter_context(hub_standin.online())
        yield lambda repositories: stack.enter_context(hub_standin.running(repositories))


@pytest.fixture
def listing(serve: Callable[..., StandIn], tmp_path: Path) -> HubListing:
    folder = hub_folders.model(tmp_path / "tiny")
    return Hub(Settings(), serve({"me/tiny": Repo(folder, licence="mit")}).address).describe("me/tiny")


def describe(stand_in: StandIn, repo: str = "me/tiny", token: str = "") -> HubListing:
    return Hub(Settings(), stand_in.address).describe(repo, token=Secret(token))


def test_a_listing_has_the_files_and_the_needed_bytes(listing: HubListing, tmp_path: Path) -> None:
    needed = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {file.path for file in listing.needed_files} == needed
    assert {file.path for file in listing.files} == needed | {"README.md", ".gitattributes", "training_args.bin"}
    assert listing.needed_bytes == sum((tmp_path / "tiny" / name).stat().st_size for name in needed)


def test_a_listing_is_pinned_to_a_commit(listing: HubListing) -> None:
    assert (listing.repo, listing.sha, listing.revision, listing.renamed_to) == ("me/tiny", hub_standin.SHA, "main", "")


def test_the_card_comes_without_its_yaml(listing: HubListing) -> None:
    assert listing.card == "# A model\n\nIt says hello.\n"


def test_the_shape_equals_that_of_the_downloaded_weights(listing: HubListing, tmp_path: Path) -> None:
    from transformers import AutoConfig

    assert listing.shape == read_shape(tmp_path / "tiny", AutoConfig.from_pretrained(tmp_path / "tiny").to_dict(), "me/tiny")
    assert listing.shape is not None
    assert listing.parameters == listing.shape.parameters
    assert (listing.architecture, listing.has_chat_template, listing.obstacle) == ("llama", True, "")


def test_the_weights_themselves_are_never_read(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    stand_in = serve({"me/tiny": hub_folders.model(tmp_path / "tiny", kib=2048)})
    describe(stand_in)
    assert stand_in.sent["me/tiny/model.safetensors"] <= 100_000


def test_reading_stops_after_the_header_if_the_hub_ignores_ranges(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    stand_in = serve({"me/tiny": hub_folders.model(tmp_path / "tiny", kib=32 * 1024)})
    stand_in.has_ranges = False
    assert describe(stand_in).shape is not None
    assert stand_in.sent["me/tiny/model.safetensors"] < 16 * 2**20


def test_a_long_header_takes_a_second_request(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    folder = hub_folders.model(tmp_path / "tiny")
    hub_folders.write_weights(folder / "model.safetensors", {"a.weight": (8, 8)}, note="x" * 300_000)
    stand_in = serve({"me/tiny": folder})
    listing = describe(stand_in)
    assert listing.shape is not None
    assert listing.shape.linear_weights == 64
    assert len([request for request in stand_in.asked("model.safetensors") if request.is_storage]) == 2


def test_shards_are_read_and_other_layouts_of_the_same_weights_are_not(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    stand_in = serve({"me/tiny": hub_folders.sharded(tmp_path / "big")})
    listing = describe(stand_in)
    assert listing.shape is not None
    assert listing.shape.linear_weights == 3 * 64 * 64
    assert not stand_in.asked("consolidated")
    assert not any(file.is_needed for file in listing.files if "consolidated" in file.path or "original" in file.path)


def test_a_single_file_is_preferred_to_shards_as_transformers_does(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    folder = hub_folders.sharded(tmp_path / "both")
    hub_folders.model(folder)
    listing = describe(serve({"me/tiny": folder}))
    assert [file.path for file in listing.needed_files if file.path.endswith(".safetensors")] == ["model.safetensors"]


def test_a_gated_model_is_described_without_its_files(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    stand_in = serve({"me/tiny": Repo(hub_folders.model(tmp_path / "tiny"), gated="manual")})
    listing = describe(stand_in)
    assert (listing.is_gated, listing.gated_access, listing.shape, listing.obstacle) == (True, False, None, "")
    assert listing.licence_url == f"{stand_in.address}/me/tiny"
    assert listing.needed_bytes
    assert listing.parameters
    assert listing.card


def test_the_size_of_a_gated_model_is_known_without_its_index(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    folder = hub_folders.sharded(tmp_path / "big")
    stand_in = serve({"me/open": folder, "me/tiny": Repo(folder, gated="manual")})
    assert describe(stand_in).needed_bytes == describe(stand_in, "me/open").needed_bytes


def test_a_token_with_access_shows_a_gated_model(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    stand_in = serve({"me/tiny": Repo(hub_folders.model(tmp_path / "tiny"), gated="auto", readers=frozenset({GOOD_TOKEN}))})
    listing = describe(stand_in, token=GOOD_TOKEN)
    assert (listing.is_gated, listing.gated_access, listing.shape is not None) == (True, True, True)


def test_a_private_model_is_visible_to_its_owner_only(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    stand_in = serve({"me/tiny": Repo(hub_folders.model(tmp_path / "tiny"), is_private=True, readers=frozenset({GOOD_TOKEN}))})
    assert describe(stand_in, token=GOOD_TOKEN).shape is not None
    with pytest.raises(ModelNotFound):
        describe(stand_in)


def test_a_renamed_model_is_listed_under_its_new_name(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    folder = hub_folders.model(tmp_path / "tiny")
    listing = describe(serve({"me/new": folder, "me/tiny": Repo(folder, moved_to="me/new")}))
    assert (listing.repo, listing.renamed_to) == ("me/new", "me/new")
    assert listing.shape is not None


def test_pickled_weights_are_an_obstacle_and_a_pull_request_may_help(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    repo = Repo(hub_folders.pickled(tmp_path / "old"), revisions={
        "refs/pr/1": hub_folders.pickled(tmp_path / "pr1"), "refs/pr/2": hub_folders.model(tmp_path / "pr2")})
    stand_in = serve({"me/tiny": repo})
    listing = describe(stand_in)
    assert "pytorch_model.bin is pickled" in listing.obstacle
    assert listing.safetensors_revision == "refs/pr/2"
    other = Hub(Settings(), stand_in.address).describe("me/tiny", listing.safetensors_revision)
    assert (other.obstacle, other.shape is not None, other.revision) == ("", True, "refs/pr/2")


def test_without_a_better_revision_none_is_named(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    assert describe(serve({"me/tiny": hub_folders.pickled(tmp_path / "old")})).safetensors_revision is None


def test_a_repository_of_gguf_files_is_described_by_one_of_them(
        serve: Callable[..., StandIn], llama_folder: Path, tmp_path: Path) -> None:
    one = gguf_models.llama(llama_folder, tmp_path / "tiny" / "tiny-Q8_0.gguf", "Q8_0")
    other = gguf_models.llama(llama_folder, tmp_path / "tiny" / "tiny-F32.gguf")
    stand_in = serve({"me/tiny": tmp_path / "tiny"})
    listing, named = describe(stand_in), describe(stand_in, "me/tiny/tiny-F32.gguf")
    assert (listing.name, listing.obstacle, listing.has_chat_template) == ("me/tiny/tiny-Q8_0.gguf", "", True)
    assert (listing.needed_bytes, named.needed_bytes) == (one.stat().st_size, other.stat().st_size)
    assert [file.path for file in named.gguf_files] == ["tiny-Q8_0.gguf", "tiny-F32.gguf"]
    assert listing.shape == find_shape(str(one), Settings(device="cpu"))
    assert "it has no file missing.gguf" in describe(stand_in, "me/tiny/missing.gguf").obstacle


@pytest.mark.parametrize(("name", "content", "obstacle"), [
    ("adapter_config.json", "{}", "adapter"), ("model.gguf", "", "GGUF"), ("notes.txt", "", "no config.json")])
def test_other_repositories_have_an_obstacle(serve: Callable[..., StandIn], tmp_path: Path, name: str, content: str, obstacle: str) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / name).write_text(content)
    assert obstacle in describe(serve({"me/tiny": tmp_path / "odd"})).obstacle


@pytest.mark.parametrize(("change", "obstacle"), [
    ({"model_type": "brand_new", "auto_map": {"AutoConfig": "code.py"}}, "never run"), ({"model_type": "vit"}, "not a causal"),
    ({"quantization_config": {"quant_method": "aqlm"}}, "stored quantized (AQLM)"),
    ({"num_hidden_layers": "many"}, "makes no sense")])
def test_a_configuration_that_cannot_be_loaded_is_named(
        serve: Callable[..., StandIn], tmp_path: Path, change: dict[str, object], obstacle: str) -> None:
    folder = hub_folders.model(tmp_path / "tiny", config={**hub_folders.CONFIG, **change})
    listing = describe(serve({"me/tiny": folder}))
    assert obstacle in listing.obstacle
    assert listing.shape is None


@pytest.mark.parametrize(("named", "base"), [("me/original", "me/original"), (["me/original"], "me/original"), (["a/b", "c/d"], ""),
                                             ("../odd", ""), (7, "")])
def test_the_model_that_another_was_made_of_is_named(serve: Callable[..., StandIn], tmp_path: Path, named: object, base: str) -> None:
    folder = hub_folders.model(tmp_path / "tiny")
    assert describe(serve({"me/tiny": Repo(folder, card={"base_model": named})})).base_model == base


def test_stored_weights_are_described_by_what_they_expand_to(serve: Callable[..., StandIn], llama_folder: Path, tmp_path: Path) -> None:
    folder = stored_models.gptq(llama_folder, tmp_path / "tiny")
    plain = folder.with_name("tiny-expanded")
    listing, other = (describe(serve({"me/tiny": each})) for each in (folder, plain))
    assert (listing.obstacle, listing.parameters) == ("", other.parameters)
    assert listing.shape == find_shape(str(folder), Settings(device="cpu"))
    (plain / "config.json").write_text((folder / "config.json").read_text())
    assert "its files hold no such weights" in describe(serve({"me/tiny": plain})).obstacle


def test_missing_shards_and_broken_headers_are_named(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    lacking, broken = hub_folders.sharded(tmp_path / "lacking"), hub_folders.model(tmp_path / "broken")
    (lacking / "model-00002-of-00003.safetensors").unlink()
    (broken / "model.safetensors").write_bytes(b"\xff" * 2000)
    stand_in = serve({"me/lacking": lacking, "me/broken": broken})
    assert "missing" in describe(stand_in, "me/lacking").obstacle
    assert "not a safetensors file" in describe(stand_in, "me/broken").obstacle


def test_a_card_is_cut_where_it_gets_too_long(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    folder = hub_folders.model(tmp_path / "tiny")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n" + "long\n" * 500_000)
    assert len(describe(serve({"me/tiny": folder})).card) == 200_000


def test_a_custom_licence_has_its_name_and_page(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    folder = hub_folders.model(tmp_path / "tiny")
    stand_in = serve({
        "me/tiny": Repo(folder, licence="other", card={"license_name": "tiny-licence", "license_link": "https://example.com/licence"}),
        "me/file": Repo(folder, licence="other", card={"license_link": "LICENSE"}),
        "me/odd": Repo(folder, licence="other", card={"license_link": "javascript:alert(1)"})})
    listing = describe(stand_in)
    assert (listing.licence, listing.licence_url) == ("tiny-licence", "https://example.com/licence")
    assert describe(stand_in, "me/file").licence_url == f"{stand_in.address}/me/file/blob/main/LICENSE"
    assert describe(stand_in, "me/odd").licence_url.startswith(stand_in.address)


def test_a_chat_template_may_be_a_file_or_missing(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    plain, in_file = hub_folders.model(tmp_path / "plain"), hub_folders.model(tmp_path / "file")
    for folder in (plain, in_file):
        (folder / "tokenizer_config.json").write_text(json.dumps({}))
    (in_file / "chat_template.jinja").write_text("{{ messages }}")
    stand_in = serve({"me/plain": plain, "me/file": in_file})
    assert not describe(stand_in, "me/plain").has_chat_template
    assert describe(stand_in, "me/file").has_chat_template


def test_an_unknown_revision_is_named(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    stand_in = serve({"me/tiny": hub_folders.model(tmp_path / "tiny")})
    with pytest.raises(ModelNotFound, match="revision"):
        Hub(Settings(), stand_in.address).describe("me/tiny", "no-such-branch")


def test_a_file_of_a_gated_model_is_denied_with_the_page_to_ask_on(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    import threading

    stand_in = serve({"me/tiny": Repo(hub_folders.model(tmp_path / "tiny"), gated="manual")})
    hub = Hub(Settings(cache_dir=tmp_path / "cache"), stand_in.address)
    for token, has_token in (("", False), (GOOD_TOKEN, True)):
        with pytest.raises(ModelAccessDenied) as raised:
            hub.download("me/tiny", None, lambda progress: None, threading.Event(), Secret(token))
        assert (raised.value.licence_url, raised.value.has_token) == ("https://huggingface.co/me/tiny", has_token)
