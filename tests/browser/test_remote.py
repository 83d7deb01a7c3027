"""A model on another server in the page: test the server, use its model, chat with it, see its errors, go back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.openai_standin import OpenAIStandin, chunk, reply, serve

from .conftest import app_here
from .test_accessibility import violations
from .test_chat import Visit, answers, send, wait_for_end
from .test_models import open_models

KEY = "sk-of-the-office"


@pytest.fixture(scope="module")
def standin() -> Iterator[OpenAIStandin]:
    with serve() as standin:
        yield standin


@pytest.fixture(scope="module")
def own_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with app_here(tmp_path_factory.mktemp("home")) as address:
        yield address


def ask_server(page: Page, address: str, key: str = "") -> None:
    page.locator("#mc-remote-address").locator("input, textarea").fill(address)
    page.locator("#mc-remote-key input").fill(key)
    page.get_by_role("button", name="Test the server").click()


def test_a_server_is_tested_used_and_left(visit: Visit, own_app: str, standin: OpenAIStandin, caplog: pytest.LogCaptureFixture,
                                          capfd: pytest.CaptureFixture[str]) -> None:
    page = visit(own_app, viewport={"width": 390, "height": 844})
    open_models(page)
    page.get_by_role("button", name="Add a server").click()
    ask_server(page, "http://127.0.0.1:9")
    expect(page.locator("#mc-remote-answer [role=alert]")).to_contain_text("cannot be reached")
    expect(page.locator("#mc-remote-address").locator("input, textarea")).to_have_value("http://127.0.0.1:9")

    ask_server(page, standin.address, KEY)
    expect(page.locator("#mc-remote-answer")).to_contain_text("answered in")
    expect(page.locator("#mc-remote-model input")).to_have_value("tiny")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="Use this model").click()
    expect(page.locator("#mc-remote .is-good")).to_be_visible()
    expect(page.locator("#mc-remote-key input")).to_have_value("")
    expect(page.locator("#mc-status")).to_contain_text("tiny")
    assert KEY not in page.content()
    assert KEY not in "".join((caplog.text, *capfd.readouterr()))

    page.get_by_role("tab", name="Chat").click()
    standin.answer = lambda body: [chunk(reasoning_content="A greeting."), *reply("Hello from the other server.")]
    send(page, "Hello")
    wait_for_end(page)
    assert answers(page)[-1].strip().endswith("Hello from the other server.")
    expect(page.locator(".mc-think select")).to_have_value("")
    standin.answer, standin.headers = lambda body: (429, {"error": {"message": "slow down"}}), {"Retry-After": "7"}
    send(page, "Again")
    expect(page.locator(".mc-conversation")).to_contain_text("Try again in 7 s")
    page.reload()
    expect(page.locator("#mc-status")).to_contain_text("tiny")
