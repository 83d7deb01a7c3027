"""Loading from the hub, with huggingface_hub's own client against a stand-in for its HTTP API."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Hub, Settings
from engine.errors import HubOffline, InvalidRequest
from engine.hub import HubQuery, parse_model_name
from tests import hub_folders, hub_standin
from tests.hub_standin import Repo, StandIn

SCRIPT = """
import json, sys
from engine import Engine, EngineError, GenerationOptions, Message, ModelSpec, Settings, TextDelta
engine, results = Engine(Settings(device="cpu")), {}
for name in sys.argv[1:]:
    try:
        for event in engine.load(ModelSpec(name)): pass
        text = "".join(e.text for e in engine.chat([Message("user", "hi")], GenerationOptions(8, 0.0)) if isinstance(e, TextDelta))
        results[name] = {"sha": engine._model.candidate.sha, "text": text}
    except EngineError as error:
        results[name] = {"error": type(error).__name__, "says": str(error)}
print("RESULT" + json.dumps(results))
engine.close()
"""
FIND = """
import json
from engine import EngineError, ModelSpec, Settings
from engine.models.loader import find
events = []
try:
    folder, sha = find(ModelSpec("me/tiny"), Settings(), events.append)
    result = {"folder": str(folder), "sha": sha}
except EngineError as error:
    result = {"error": type(error).__name__, "says": str(error)}
print("RESULT" + json.dumps({**result, "events": [(event.stage, event.done, event.total, event.note) for event in events]}))
"""


def run(script: str, names: list[str], endpoint: str, home: Path, **environment: str) -> dict[str, object]:
    """The output of a script, run in a separate process because the client library reads its environment only once."""
    done = subprocess.run([sys.executable, "-c", script, *names], capture_output=True, text=True, timeout=150, env={
        **os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_hidden",
        "MINDCUBES_DATA_DIR": str(home / "data"), "HF_HUB_DISABLE_TELEMETRY": "1", **environment})
    assert "RESULT" in done.stdout, done.stderr[-3000:]
    assert "hf_hidden" not in done.stdout + done.stderr
    return dict(json.loads(done.stdout.split("RESULT")[1]))


@pytest.fixture(scope="module")
def results(llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    with hub_standin.running({"me/tiny": llama_folder, "gated/model": Repo(llama_folder, gated="manual")}) as hub:
        return run(SCRIPT, ["me/tiny", "gated/model", "me/unknown"], hub.address, tmp_path_factory.mktemp("hub"))  # type: ignore[return-value]


def test_a_model_is_downloaded_loaded_and_pinned_to_its_commit(results: dict[str, dict[str, str]]) -> None:
    assert results["me/tiny"]["sha"] == hub_standin.SHA
    assert results["me/tiny"]["text"]


def test_a_gated_model_names_the_page_and_the_token(results: dict[str, dict[str, str]]) -> None:
    assert results["gated/model"]["error"] == "ModelAccessDenied"
    assert "https://huggingface.co/gated/model" in results["gated/model"]["says"]
    assert "HF_TOKEN" in results["gated/model"]["says"]


def test_an_unknown_name_is_not_found(results: dict[str, dict[str, str]]) -> None:
    assert results["me/unknown"]["error"] == "ModelNotFound"


def test_a_hub_that_does_not_answer_is_reported(tmp_path: Path) -> None:
    found = run(FIND, [], "http://127.0.0.1:9", tmp_path)
    assert found["error"] == "HubUnreachable"
    assert "HF_ENDPOINT" in str(found["says"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def found(home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    with hub_standin.running({"me/tiny": hub_folders.model(tmp_path_factory.mktemp("repo") / "tiny")}) as hub:
        return run(FIND, [], hub.address, home)


def test_a_load_reports_the_bytes_of_its_download(found: dict[str, object]) -> None:
    stage, done, total, _ = found["events"][-1]     # type: ignore[index]
    assert (stage, done) == ("download", total)
    assert total > 64 * 1024


def test_a_model_on_disk_is_loaded_while_the_hub_does_not_answer(found: dict[str, object], home: Path) -> None:
    again = run(FIND, [], "http://127.0.0.1:9", home)
    assert again["folder"] == found["folder"]
    assert "on disk" in again["events"][-1][3]      # type: ignore[index]


def test_offline_a_model_on_disk_is_loaded_and_another_one_is_not(found: dict[str, object], home: Path, tmp_path: Path) -> None:
    assert run(FIND, [], "http://127.0.0.1:9", home, HF_HUB_OFFLINE="1")["folder"] == found["folder"]
    assert run(FIND, [], "http://127.0.0.1:9", tmp_path, HF_HUB_OFFLINE="1")["error"] == "HubOffline"


@pytest.mark.parametrize("typed", [
    "me/tiny", " me/tiny\n", "https://huggingface.co/me/tiny", "https://huggingface.co/me/tiny/tree/main", "huggingface.co/me/tiny/",
    "https://hf.co/me/tiny?library=transformers#usage", "https://huggingface.co/me/tiny/blob/refs%2Fpr%2F1/config.json",
    "http://mirror.example:8080/me/tiny/tree/main"])
def test_a_model_name_or_a_pasted_address_is_accepted(typed: str) -> None:
    assert parse_model_name(typed, "http://mirror.example:8080") == "me/tiny"


@pytest.mark.parametrize("typed", [
    "", "tiny", "me/tiny/more", "../tiny", "me/..", "me/../..", "/etc/passwd", "~/models", "me\\tiny", "me/ti ny", "me/tiny.git", "me/a--b",
    "https://evil.example/me/tiny", "https://huggingface.co/datasets/me/tiny", "spaces/me", "https://huggingface.co/me", "http://[",
    "file:///etc/passwd", "https://huggingface.co/../../etc", "https://user@huggingface.co/me/tiny", "me/" + "x" * 97])
def test_text_that_is_not_a_model_name_is_refused_and_quoted(typed: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        parse_model_name(typed)
    assert repr(typed[:200]) in str(raised.value)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """55 models of 0.1 to 5.5 billion parameters by their headers; every fifth gated, every second under MIT."""
    root = tmp_path_factory.mktemp("many")
    repositories = {f"me/chat-{i:02}": Repo(hub_folders.claimed(root / str(i), i * 10**8), licence="mit" if i % 2 else "apache-2.0",
                                            gated="auto" if i % 5 == 0 else "", downloads=i, likes=100 - i, trending=i % 7 * 100 + i,
                                            updated=f"2026-01-{i % 28 + 1:02}T00:00:{i:02}.000Z") for i in range(1, 56)}
    others = {"me/pickled": Repo(hub_folders.pickled(root / "pickled"), downloads=1000),
              "me/small-gguf": Repo(hub_folders.pickled(root / "gguf"), tags=("gguf",), downloads=1000),
              "me/painter": Repo(hub_folders.model(root / "painter"), task="text-to-image", downloads=1000)}
    with hub_standin.running({**repositories, **others}) as running:
        yield running


@pytest.fixture
def hub(many: StandIn) -> Iterator[Hub]:
    with hub_standin.online():
        yield Hub(Settings(), many.address)


def names(hub: Hub, **query: object) -> list[str]:
    return [model.repo.removeprefix("me/chat-") for model in hub.search(HubQuery(**query)).models]      # type: ignore[arg-type]


def test_a_search_shows_chat_models_with_safetensors_most_downloaded_first(hub: Hub) -> None:
    assert names(hub) == [f"{i:02}" for i in range(55, 35, -1)]


def test_a_search_for_gguf_files_shows_repositories_that_have_them(hub: Hub) -> None:
    assert names(hub, format="gguf") == ["me/small-gguf"]
    with pytest.raises(InvalidRequest, match="format is 'onnx'"):
        names(hub, format="onnx")


def test_pages_cover_all_models_once(hub: Hub) -> None:
    pages = [hub.search(HubQuery(page=page)) for page in range(3)]
    assert [len(page.models) for page in pages] == [20, 20, 15]
    assert [page.has_more for page in pages] == [True, True, False]
    assert len({model.repo for page in pages for model in page.models}) == 55


@pytest.mark.parametrize(("sort", "first"), [("downloads", "55"), ("likes", "01"), ("trending", "55"), ("date", "55")])
def test_the_order_can_be_chosen(hub: Hub, sort: str, first: str, many: StandIn) -> None:
    key = {"downloads": "downloads", "likes": "likes", "trending": "trending", "date": "updated"}[sort]
    wanted = max((repo for name, repo in many.repositories.items() if "chat" in name), key=lambda repo: getattr(repo, key))
    assert many.repositories[f"me/chat-{names(hub, sort=sort)[0]}"] is wanted


def test_a_size_range_is_exact_to_the_parameter(hub: Hub) -> None:
    assert set(names(hub, min_parameters=500_000_000, max_parameters=1_500_000_000)) == {f"{i:02}" for i in range(5, 16)}


def test_a_narrow_range_is_searched_on_more_than_one_page(hub: Hub) -> None:
    assert names(hub, min_parameters=10**8, max_parameters=2 * 10**8) == ["02", "01"]


def test_licence_and_gating_are_filters(hub: Hub) -> None:
    assert all(int(name) % 2 for name in names(hub, licence="mit"))
    assert names(hub, gated=True) == [f"{i:02}" for i in range(55, 0, -5)]
    assert not any(int(name) % 5 == 0 for name in names(hub, gated=False))


def test_the_search_text_matches_part_of_the_name(hub: Hub) -> None:
    assert names(hub, text=" CHAT-0 ") == [f"0{i}" for i in range(9, 0, -1)]
    assert hub.search(HubQuery(text="nothing like it")).models == ()


def test_a_search_result_has_what_a_list_needs(hub: Hub) -> None:
    model = hub.search(HubQuery(text="chat-55")).models[0]
    assert (model.repo, model.downloads, model.likes, model.updated) == ("me/chat-55", 55, 45, "2026-01-28T00:00:55.000Z")
    assert (model.licence, model.is_gated, model.parameters) == ("mit", True, 5_500_000_000)
    assert "safetensors" in model.tags


@pytest.mark.parametrize("query", [HubQuery(page=-1), HubQuery(page=10**9), HubQuery(sort="; drop")])    # type: ignore[arg-type]
def test_an_impossible_query_is_refused(hub: Hub, query: HubQuery) -> None:
    with pytest.raises(InvalidRequest):
        hub.search(query)


def test_offline_nothing_is_searched_or_described(many: StandIn) -> None:
    hub = Hub(Settings(), many.address)         # the tests are offline by default
    many.requests.clear()
    for ask in (lambda: hub.search(HubQuery()), lambda: hub.describe("me/chat-01")):
        with pytest.raises(HubOffline, match="HF_HUB_OFFLINE"):
            ask()
    assert not many.requests
