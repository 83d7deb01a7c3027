"""Loading from the hub, with huggingface_hub's own client against a stand-in of its HTTP API."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import hub_standin

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


def load_all(names: list[str], endpoint: str, home: Path) -> dict[str, dict[str, str]]:
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_hidden",
                   "MINDCUBES_DATA_DIR": str(home / "data"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT, *names], capture_output=True, text=True, env=environment, timeout=150)
    assert "RESULT" in done.stdout, done.stderr[-3000:]
    assert "hf_hidden" not in done.stdout + done.stderr
    return dict(json.loads(done.stdout.split("RESULT")[1]))


@pytest.fixture(scope="module")
def results(llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    with hub_standin.running({"me/tiny": llama_folder}) as endpoint:
        return load_all(["me/tiny", "gated/model", "me/unknown"], endpoint, tmp_path_factory.mktemp("hub"))


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
    says = load_all(["me/tiny"], "http://127.0.0.1:9", tmp_path)["me/tiny"]
    assert says["error"] == "HubUnreachable"
    assert "HF_ENDPOINT" in says["says"]
