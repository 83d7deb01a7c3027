"""Loading from the hub, with huggingface_hub's own client against a stand-in of its HTTP API."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import hub_folders, hub_standin
from tests.hub_standin import Repo

SCRIPT = """
import json, sys
from engine import Engine, EngineError, GenerationOptions, Message, ModelSpec, Settings, TextDelta
engine, results = Engine(Settings(device="cpu")), {}
for name in sys.argv[1:]:
    try:
        for event in engine.load(ModelSpec(name)): pass
        text = "".join(e.text for e in engine.chat([Message("user", "hi")], GenerationOptions(8, 0.0)) if isinstance(e, TextDelta))
        results[name] = {"sha": engine._residence.candidate.sha, "text": text}
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
    result = {"error": type(error).__name__}
print("RESULT" + json.dumps({**result, "events": [(event.stage, event.done, event.total, event.note) for event in events]}))
"""


def run(script: str, names: list[str], endpoint: str, home: Path, **environment: str) -> dict[str, object]:
    """What a script prints, run in a process of its own: the client library reads its environment once."""
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


def test_a_hub_that_does_not_answer_is_named(tmp_path: Path) -> None:
    says = run(SCRIPT, ["me/tiny"], "http://127.0.0.1:9", tmp_path)["me/tiny"]
    assert says["error"] == "HubUnreachable"        # type: ignore[index]
    assert "HF_ENDPOINT" in says["says"]            # type: ignore[index]


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
