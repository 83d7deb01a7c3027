"""A model on another server in the place of a loaded one: swaps, replies, what only a model of this machine can do."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, GenerationOptions, Message, ModelSpec, Secret, Settings
from engine.errors import InvalidRequest, LoadError, ModelNotFound, NotOnThisMachine
from engine.messages import NO_LIMIT
from engine.remote import Connection, RemoteModelMissing
from tests.conftest import ask, exhaust
from tests.openai_standin import OpenAIStandin, serve

REMOTE = ModelSpec("remote:office")


@pytest.fixture
def standin() -> Iterator[OpenAIStandin]:
    with serve() as standin:
        yield standin


@pytest.fixture
def engine(new_engine: Callable[..., Engine], settings: Settings, tmp_path: Path, standin: OpenAIStandin) -> Engine:
    engine = new_engine(made_with=replace(settings, data_dir=tmp_path))
    engine.connections.save(Connection("office", standin.address, "tiny", Secret("sk-1")))
    return engine


def test_a_remote_model_takes_the_place_of_a_loaded_one_and_back(engine: Engine, llama_folder: Path) -> None:
    exhaust(engine.load(str(llama_folder)))
    events = exhaust(engine.load(REMOTE))
    assert [event.stage for event in events if event.released] == ["unload"]      # type: ignore[attr-defined]
    status = engine.status()
    assert (status.state, status.model, status.lane, status.window_tokens, status.dtype) == ("ready", "office", "remote", 512, "")
    assert status.lane_reason == "tiny runs on another server"
    assert ask(engine, "Hello")[0] == "Hello there"
    exhaust(engine.load(str(llama_folder)))
    assert engine.status().lane == "batched"


def test_a_server_that_lacks_the_model_leaves_the_loaded_one_alone(engine: Engine, standin: OpenAIStandin, llama_folder: Path) -> None:
    exhaust(engine.load(str(llama_folder)))
    before, standin.answer = engine.admission.model, lambda body: (404, {"error": "no such model"})
    standin.models = []
    with pytest.raises(RemoteModelMissing):
        exhaust(engine.load(REMOTE))
    assert engine.admission.model is before
    assert engine.status().state == "ready"


def test_a_failed_load_goes_back_to_the_remote_model(engine: Engine, tmp_path: Path, llama_folder: Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    exhaust(engine.load(REMOTE))
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in llama_folder.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    weights = broken / "model.safetensors"
    header = int.from_bytes(weights.read_bytes()[:8], "little")
    data = bytearray(weights.read_bytes())
    data[8 + header:] = b"\xff" * (len(data) - 8 - header)       # every weight is not a number: it fails after the unload
    weights.write_bytes(bytes(data))
    with pytest.raises(LoadError, match="not a number"):
        exhaust(engine.load(str(broken)))
    assert ask(engine, "Hello")[0] == "Hello there"


def test_the_models_numbers_are_not_available(engine: Engine) -> None:
    exhaust(engine.load(REMOTE))
    with pytest.raises(NotOnThisMachine, match="office runs on another server"), engine.using():
        pass
    with pytest.raises(NotOnThisMachine):
        engine.view_prompt([Message("user", "Hello")], engine.default_options())
    assert engine.count_tokens("Hello there, this is a text.") == 10


def test_the_estimate_of_tokens_follows_what_the_server_counts(engine: Engine, standin: OpenAIStandin) -> None:
    exhaust(engine.load(REMOTE))
    text = "word " * 400
    before = engine.count_tokens(text)
    standin.answer = lambda body: [{"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "tiny", "usage": {
        "prompt_tokens": 500, "completion_tokens": 1, "total_tokens": 501}, "choices": [
            {"index": 0, "delta": {"content": "ok"}, "finish_reason": "stop"}]}]
    ask(engine, text)
    assert (before, engine.count_tokens(text)) == (667, 500)


def test_a_loaded_connection_can_be_given_another_key(engine: Engine, standin: OpenAIStandin) -> None:
    exhaust(engine.load(REMOTE))
    engine.connections.save(Connection("office", standin.address, "tiny", Secret("sk-new")))
    exhaust(engine.load(REMOTE))
    ask(engine, "Hello")
    assert standin.keys[-1] == "Bearer sk-new"


def test_an_unknown_connection_is_refused(engine: Engine) -> None:
    with pytest.raises(ModelNotFound, match="nowhere"):
        exhaust(engine.load(ModelSpec("remote:nowhere")))


# --- connections ---

def test_a_key_is_kept_only_if_asked(engine: Engine, standin: OpenAIStandin) -> None:
    kept = Connection("kept", standin.address, "tiny", Secret("sk-2"), keeps_key=True)
    engine.connections.save(kept)
    database = engine.database.path
    assert b"sk-1" not in database.read_bytes()
    assert database.stat().st_mode & 0o777 == 0o600
    assert engine.connections.get("remote:office").key == Secret("sk-1")
    again = Engine(engine.settings)
    assert [(each.name, each.key.reveal()) for each in again.connections.all()] == [("kept", "sk-2"), ("office", "")]
    again.close()


def test_the_settings_name_a_connection(settings: Settings, tmp_path: Path, standin: OpenAIStandin) -> None:
    values = {"MINDCUBES_REMOTE_URL": standin.address, "MINDCUBES_REMOTE_MODEL": "tiny", "MINDCUBES_REMOTE_KEY": "sk-3",
              "MINDCUBES_MODEL": "remote:server", "MINDCUBES_DATA_DIR": str(tmp_path), "MINDCUBES_DEVICE": "cpu"}
    engine = Engine(Settings.from_env(values, tmp_path / "none"))
    exhaust(engine.load(engine.default_spec()))
    assert ask(engine, "Hello")[0] == "Hello there"
    assert standin.keys[-1] == "Bearer sk-3"
    with pytest.raises(InvalidRequest, match="MINDCUBES_REMOTE_URL"):
        engine.connections.save(Connection("server", standin.address, "tiny"))
    engine.close()


def test_a_deleted_connection_and_its_key_are_gone(engine: Engine) -> None:
    engine.connections.delete("office")
    assert engine.connections.all() == ()
    with pytest.raises(ModelNotFound):
        engine.connections.get("remote:office")


def test_what_a_remote_model_cannot_do_is_refused_and_not_left_out(engine: Engine) -> None:
    exhaust(engine.load(REMOTE))
    for options in (GenerationOptions(top_logprobs=2), GenerationOptions(adapter="mine")):
        with pytest.raises(NotOnThisMachine):
            exhaust(engine.chat([Message("user", "Hello")], options))
    with pytest.raises(NotOnThisMachine):
        exhaust(engine.complete("Hello"))


def test_a_reply_without_limit_names_none_to_the_server(engine: Engine, standin: OpenAIStandin) -> None:
    exhaust(engine.load(REMOTE))
    exhaust(engine.chat([Message("user", "Hello")], GenerationOptions(max_new_tokens=NO_LIMIT)))
    assert "max_tokens" not in standin.requests[-1]
