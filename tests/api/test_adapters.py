"""Adapters of the loaded model are models of the API."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from openai import NotFoundError, OpenAI

from api.serving import Server
from engine import Engine, LoadOptions, ModelSpec, Settings
from engine.background import StopSignal
from tests.conftest import exhaust
from tests.engine.runtime.test_model_adapters import adapter

GREEDY = {"temperature": 0, "max_tokens": 12}


@pytest.fixture
def client(serve: Callable[[Engine], str], llama_folder: Path, settings: Settings, tmp_path: Path) -> OpenAI:
    one, two = (adapter(tmp_path / name, llama_folder, seed) for seed, name in enumerate(("one", "two")))
    engine = Engine(settings)
    exhaust(engine.load(ModelSpec(str(one)), LoadOptions(adapters=(str(two),))))
    return OpenAI(base_url=f"{serve(engine)}/v1", api_key="none", max_retries=0)


def test_a_models_name_chooses_the_base_or_an_adapter(client: OpenAI) -> None:
    def reply(model: str, **more: object) -> str:
        answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}], extra_body=more, **GREEDY)
        return str(answer.choices[0].message.content)

    base = Path(client.models.list().data[0].id).name
    assert [model.id for model in client.models.list().data] == [base, f"{base}:one", f"{base}:two"]
    assert client.models.retrieve(f"{base}:two").parent == base     # type: ignore[attr-defined]
    replies = {name: reply(name) for name in (base, f"{base}:one", f"{base}:two")}
    assert len(set(replies.values())) == 3
    assert (reply("one"), reply("two")) == (replies[f"{base}:one"], replies[f"{base}:two"])
    assert reply("default") == replies[f"{base}:one"]       # loaded with it
    assert reply(base, adapter="two") == replies[f"{base}:two"]
    with pytest.raises(NotFoundError):
        reply(f"{base}:three")
    assert httpx.get(f"{client.base_url}models").json()["data"][1]["parent"] == base


def test_a_sleeping_model_has_the_names_that_it_had(llama_folder: Path, settings: Settings, tmp_path: Path) -> None:
    """Also the names of an adapter that is called like its base."""
    one, same = adapter(tmp_path / "one", llama_folder, 1), adapter(tmp_path / llama_folder.name, llama_folder, 2)
    engine = Engine(replace(settings, idle_unload_s=0.2))
    server, base = Server(engine), llama_folder.name
    exhaust(engine.load(str(one)))
    engine.add_adapter(str(same))

    def meant() -> dict[str, str | None]:
        return {name: server.adapter_of(name) for name in (base, "one", f"{base}:one", f"{base}:{base}", "default")}

    engine.admission.wait_until(lambda: engine.status().state == "asleep", StopSignal())
    assert meant() == {base: "", "one": "one", f"{base}:one": "one", f"{base}:{base}": base, "default": None}
    assert {server.require_model(name) for name in (base, f"{base}:one")} == {engine.current[0]}
    assert (engine.status().adapters, engine.status().adapter) == (("one", base), "one")
    job = engine.start_loading(*engine.current)         # what a message does
    assert meant() == {base: "", "one": "one", f"{base}:one": "one", f"{base}:{base}": base, "default": None}
    exhaust(job.follow())
    engine.close()
