"""The API in the page's own server: its addresses, and the guard against other sites."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from api import routes
from tests.ui.scripted_engine import ScriptedEngine, answer
from ui.app import build_app, launch

CHAT = {"model": "default", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    engine = ScriptedEngine(answer("Good day."))
    page = build_app(engine)        # type: ignore[arg-type]
    yield launch(page, engine, routes(engine), server_name="127.0.0.1").rstrip("/")        # type: ignore[arg-type]
    page.close(verbose=False)


def test_the_api_and_the_page_answer_at_one_address(url: str) -> None:
    reply = httpx.post(f"{url}/v1/chat/completions", json=CHAT).json()
    assert reply["choices"][0]["message"]["content"].strip() == "Good day."
    assert "MindCubes" in httpx.get(url).text
    assert httpx.get(f"{url}/gradio_api/info").status_code == 200
    assert httpx.get(f"{url}/health").json() == {"status": "ok", "state": "ready"}
    assert b"mindcubes_model_info" in httpx.get(f"{url}/metrics").content
    assert "/v1/chat/completions" in httpx.get(f"{url}/v1/openapi.json").json()["paths"]
    assert httpx.get(f"{url}/v1/nothing").json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(("method", "path"), [
    ("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/metrics"), ("GET", "/health")])
def test_another_site_cannot_use_the_api(url: str, method: str, path: str) -> None:
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    reply = httpx.request(method, url + path, json=CHAT if method == "POST" else None, headers=foreign)
    assert reply.status_code == 403
    assert not [name for name in reply.headers if name.startswith("access-control-")]
    asked = {**foreign, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = httpx.options(url + path, headers=asked)
    assert preflight.status_code == 403
    assert not [name for name in preflight.headers if name.startswith("access-control-")]


def test_a_request_body_has_a_limit(url: str) -> None:
    reply = httpx.post(f"{url}/v1/chat/completions", content=b'{"a":"' + b"x" * 70_000_000 + b'"}',
                       headers={"Content-Type": "application/json"})
    assert reply.status_code == 413


def test_a_name_that_was_rebound_to_this_address_reaches_no_api(url: str) -> None:
    assert httpx.get(f"{url}/v1/models", headers={"Host": "evil.example"}).status_code == 403
