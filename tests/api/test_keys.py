"""Who may use the API, and that only hashes of keys are kept."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api import build_api
from api.keys import hash_of
from engine import Engine, Finished, Settings, TextDelta
from engine.errors import InvalidRequest
from engine.limits import Limits
from tests.ui.scripted_engine import USAGE, ScriptedEngine, answer

ROOT = Path(__file__).parents[2]
USER, ADMIN = "mc-of-a-user", "mc-of-the-operator"
CHAT = {"model": "default", "messages": [{"role": "user", "content": "Hello"}]}


def client(engine: Engine | None = None, **settings: object) -> TestClient:
    scripted = ScriptedEngine(answer("Good day."))
    scripted.settings = replace(scripted.settings, **settings)      # type: ignore[arg-type]
    return TestClient(build_api(engine or scripted))     # type: ignore[arg-type]


def keyed(*, is_public: bool = False) -> TestClient:
    return client(api_keys=(("alice", hash_of(USER)),), admin_key=hash_of(ADMIN), is_public=is_public)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/metrics"),
                                              ("POST", "/load_model"), ("GET", "/v1/openapi.json"), ("GET", "/v1/unknown")])
@pytest.mark.parametrize("key", ["", "mc-wrong", USER + "x"])
def test_without_a_known_key_nothing_is_answered(method: str, path: str, key: str) -> None:
    reply = keyed().request(method, path, json=CHAT, headers=bearer(key) if key else {})
    assert reply.status_code == 401
    assert reply.json()["error"]["code"] == "invalid_api_key"
    assert key == "" or key not in reply.text


def test_with_a_key_requests_are_answered() -> None:
    for key in (USER, ADMIN):
        assert keyed(is_public=True).post("/v1/chat/completions", json=CHAT, headers=bearer(key)).status_code == 200


def test_a_private_api_without_keys_is_open_and_a_public_one_closed() -> None:
    assert client().post("/v1/chat/completions", json=CHAT).status_code == 200
    assert client().post("/v1/chat/completions", json=CHAT, headers=bearer("any")).status_code == 200
    public = client(is_public=True)
    assert public.post("/v1/chat/completions", json=CHAT).status_code == 401
    assert public.get("/health").status_code == 200


def test_only_the_operators_key_loads_models() -> None:
    for api, key in ((client(), ""), (keyed(), USER)):
        reply = api.post("/v1/models/load", json={"model": "builtin"}, headers=bearer(key))
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "not_permitted")


def test_the_operator_loads_a_model(settings: Settings, llama_folder: Path, gpt2_folder: Path) -> None:
    engine = Engine(replace(settings, admin_key=hash_of(ADMIN)))
    try:
        api = client(engine)
        loaded = api.post("/v1/models/load", json={"model": str(llama_folder), "context_tokens": 128}, headers=bearer(ADMIN)).json()
        assert (loaded["id"], loaded["max_model_len"], loaded["state"]) == (llama_folder.name, 128, "ready")
        assert api.get("/v1/models").json()["data"] == [loaded]
        missing = api.post("/v1/models/load", json={"model": "/no/such/folder"}, headers=bearer(ADMIN))
        assert missing.status_code == 404
        assert api.get("/v1/models").json()["data"][0]["id"] == llama_folder.name
    finally:
        engine.close()


def test_callers_take_turns_by_their_keys() -> None:
    seen: list[str] = []

    class Watched(ScriptedEngine):
        def chat(self, *arguments: object, visitor: str = "", **named: object) -> object:       # type: ignore[override]
            seen.append(visitor)
            return super().chat(*arguments, **named)        # type: ignore[arg-type]

    engine = Watched(answer("Yes."))
    engine.settings = replace(engine.settings, api_keys=(("alice", hash_of(USER)),))
    TestClient(build_api(engine)).post("/v1/chat/completions", json=CHAT, headers=bearer(USER))     # type: ignore[arg-type]
    assert seen == ["alice"]


def test_the_command_makes_a_key_and_the_settings_that_permit_it() -> None:
    for name, variable in (("alice", "MINDCUBES_API_KEYS"), ("admin", "MINDCUBES_ADMIN_KEY")):
        shown = subprocess.run([sys.executable, "-m", "api.keys", name], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        key, line = shown.split("\n")[0], shown.strip().split("\n")[-1]
        assert re.fullmatch(r"mc-[\w-]{43}", key)
        found, _, value = line.partition("=")
        assert found == variable
        settings = Settings.from_env({variable: value})
        assert hash_of(key) in (settings.admin_key, dict(settings.api_keys).get("alice"))


@pytest.mark.parametrize("values", [{"MINDCUBES_API_KEYS": "alice:mc-secret"}, {"MINDCUBES_API_KEYS": "mc-secret"},
                                    {"MINDCUBES_ADMIN_KEY": "mc-secret"}])
def test_a_key_in_place_of_its_hash_is_refused_without_repeating_it(values: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Settings.from_env(values)
    assert "mc-secret" not in str(refused.value)


def test_pages_of_an_invited_site_may_ask_with_a_key_and_no_others() -> None:
    api = client(api_origins=("https://friend.example",), api_keys=(("alice", hash_of(USER)),))
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = api.options("/v1/chat/completions", headers={"Origin": "https://friend.example", **asked})
    assert preflight.headers["access-control-allow-origin"] == "https://friend.example"
    reply = api.post("/v1/chat/completions", json=CHAT, headers={"Origin": "https://friend.example", **bearer(USER)})
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, "https://friend.example")
    assert api.post("/v1/chat/completions", json=CHAT, headers={"Origin": "https://friend.example"}).status_code == 401
    refused = api.options("/v1/chat/completions", headers={"Origin": "https://evil.example", **asked})
    assert "access-control-allow-origin" not in refused.headers


def test_an_account_closes_the_api_too(tmp_path: Path) -> None:
    engine = ScriptedEngine(answer("Good day."), data_dir=tmp_path)
    engine.accounts.save("ann", "correct horse battery")
    api = client(engine)        # type: ignore[arg-type]
    assert {path: api.get(path).status_code for path in ("/v1/models", "/metrics", "/health")} == {
        "/v1/models": 401, "/metrics": 401, "/health": 200}


def test_deleting_the_last_key_does_not_open_the_api(tmp_path: Path) -> None:
    engine = ScriptedEngine(answer("Good day."), data_dir=tmp_path)
    api, key = client(engine), engine.api_keys.add("alice")      # type: ignore[arg-type]
    assert api.get("/v1/models", headers=bearer(key)).status_code == 200
    engine.api_keys.delete("alice")
    assert [api.get("/v1/models", headers=headers).status_code for headers in ({}, bearer(key))] == [401, 401]
    assert engine.api_keys.all() == {}
    assert api.get("/v1/models", headers=bearer(engine.api_keys.add("alice"))).status_code == 200


def test_more_choices_than_a_visitor_may_have_are_refused_at_once(tmp_path: Path) -> None:
    engine = ScriptedEngine(answer("Good day."), data_dir=tmp_path)
    engine.visitors.set_limits(Limits(replies_at_once=2))
    refused = client(engine).post("/v1/chat/completions", json={**CHAT, "n": 3})     # type: ignore[arg-type]
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "n")
    assert engine.visitors.today() == ()


def test_what_was_left_out_of_a_request_is_in_its_usage() -> None:
    scripted = ScriptedEngine([TextDelta("Good day."), Finished("stop", USAGE, ("Left out: seed.",))])
    whole = client(scripted).post("/v1/chat/completions", json=CHAT).json()        # type: ignore[arg-type]
    assert whole["usage"]["notes"] == ["Left out: seed."]
