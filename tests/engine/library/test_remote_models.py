"""Models on other servers: who may use them, what is kept, and whose token is sent where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine, Library, Secret, Settings
from engine.errors import EngineBusy, InvalidRequest, NotPermitted
from engine.library import Visitor
from engine.remote import INFERENCE_PROVIDERS, RemoteUnreachable
from tests.conftest import ask, exhaust
from tests.openai_standin import OpenAIStandin, serve

ME = Visitor("me")
NO_KEY = Secret("")


@pytest.fixture(scope="module")
def standin() -> Iterator[OpenAIStandin]:
    with serve() as standin:
        yield standin


@pytest.fixture
def library(new_engine: Callable[..., Engine], settings: Settings, tmp_path: Path) -> Iterator[Library]:
    library = Library(new_engine(made_with=replace(settings, data_dir=tmp_path, hf_token=Secret("hf_server"))))
    yield library
    library.jobs.close()


def test_a_server_is_asked_connected_used_and_forgotten(library: Library, standin: OpenAIStandin) -> None:
    remote, engine = library.remote, library._engine
    answer = remote.ask(standin.address, NO_KEY, ME)
    assert [each.name for each in answer.models] == ["tiny"]
    assert remote.connections(ME) == ()
    exhaust(remote.connect(standin.address, "tiny", Secret("sk-1"), ME).follow())
    assert ask(engine, "Hello")[0] == "Hello there"
    [connection] = remote.connections(ME)
    assert connection.name == "tiny"
    with pytest.raises(EngineBusy, match="is loaded"):
        remote.forget(connection.name, ME)
    library.unload(ME)
    exhaust(remote.use(connection.name, ME).follow())
    assert standin.keys[-1] == "Bearer sk-1"
    library.unload(ME)
    remote.forget(connection.name, ME)
    assert remote.connections(ME) == ()


def test_a_server_without_a_list_can_be_used_by_name(library: Library) -> None:
    with serve() as standin:
        standin.models_answer = (404, {"detail": "Not Found"})
        assert library.remote.ask(standin.address, NO_KEY, ME).models == ()
        exhaust(library.remote.connect(standin.address, "tiny", NO_KEY, ME).follow())
        assert ask(library._engine, "Hello")[0] == "Hello there"


def test_wrong_addresses_and_dead_servers_are_refused(library: Library) -> None:
    with pytest.raises(InvalidRequest, match="address"):
        library.remote.ask("not an address", NO_KEY, ME)
    with pytest.raises(RemoteUnreachable):
        library.remote.ask("http://127.0.0.1:9", NO_KEY, ME)
    with pytest.raises(InvalidRequest, match="model"):
        library.remote.connect("http://127.0.0.1:9", "", NO_KEY, ME)


def test_visitors_of_a_public_page_cannot_make_it_send_requests(new_engine: Callable[..., Engine], settings: Settings, tmp_path: Path,
                                                                standin: OpenAIStandin) -> None:
    library = Library(new_engine(made_with=replace(settings, data_dir=tmp_path, is_public=True, operator="boss")))
    boss, seen = Visitor("b", name="boss"), len(standin.keys)
    for act in (lambda: library.remote.ask(standin.address, NO_KEY, ME), lambda: library.remote.use("server", ME),
                lambda: library.remote.connect(standin.address, "tiny", NO_KEY, ME), lambda: library.remote.forget("server", ME)):
        with pytest.raises(NotPermitted, match="only the operator"):
            act()
    assert len(standin.keys) == seen
    library.remote.ask(standin.address, NO_KEY, boss)
    assert library.remote.may_connect(boss)
    assert not library.remote.may_connect(ME)
    assert library.remote.connections(ME) == ()
    library.jobs.close()


def test_the_hugging_face_token_goes_to_hugging_face_only(library: Library, standin: OpenAIStandin) -> None:
    library.remote.ask(standin.address, NO_KEY, Visitor("me", Secret("hf_mine")))
    assert standin.keys[-1] == "Bearer none"
    key = library.remote._key
    assert key(INFERENCE_PROVIDERS, NO_KEY, Visitor("me", Secret("hf_mine"))) == Secret("hf_mine")
    assert key(INFERENCE_PROVIDERS, NO_KEY, ME) == Secret("hf_server")
    assert key(INFERENCE_PROVIDERS, Secret("typed"), ME) == Secret("typed")
    for other in ("https://router.huggingface.co.evil.example/v1", "http://router.huggingface.co/v1"):
        assert key(other, NO_KEY, ME) == NO_KEY


def test_equal_names_on_other_servers_are_told_apart(library: Library, standin: OpenAIStandin) -> None:
    remote = library.remote
    for address, model in ((standin.address, "Qwen/Qwen3-8B"), (standin.address, "unsloth/Qwen3-8B"), (standin.address, "模型"),
                           ("http://127.0.0.1:9", "Qwen/Qwen3-8B"), (standin.address, "Qwen/Qwen3-8B")):
        remote.connect(address, model, NO_KEY, ME)._task.wait()
    assert [(each.name, each.address.startswith(standin.address)) for each in remote.connections(ME)] == [
        ("Qwen/Qwen3-8B", True), ("Qwen/Qwen3-8B (2)", False), ("unsloth/Qwen3-8B", True), ("模型", True)]
