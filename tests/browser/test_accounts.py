"""Accounts off a Space: sign in, see who uses how much, set a limit, make a key for a program, take a break."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import expect

from .conftest import ROOT, Visitors, app_here
from .test_accessibility import violations
from .test_chat import send, wait_for_end, wait_for_model
from .test_models import open_models

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def signed_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    _add(home, "ann")
    with app_here(home, MINDCUBES_PUBLIC="1", MINDCUBES_OPERATOR="ann") as address:
        yield address


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _add(home: Path, name: str) -> None:
    known = {**os.environ, "MINDCUBES_DATA_DIR": str(home / "data")}
    subprocess.run([sys.executable, "-m", "engine.users", "add", name], cwd=ROOT, env=known, input=f"{PASSWORD}\n", text=True, check=True)


def test_the_operator_signs_in_limits_visitors_and_makes_a_key(visitors: Visitors, signed_app: str, stack: ExitStack) -> None:
    assert httpx2.get(f"{signed_app}/config").status_code == 401
    page = visitors.arrive().new_page()
    page.goto(signed_app)
    for password in ("wrong", PASSWORD):
        page.get_by_label("username").fill("ann")
        page.get_by_label("password").fill(password)
        page.get_by_role("button", name="Login").click()
        if password != PASSWORD:
            expect(page.get_by_text("Incorrect")).to_be_visible()
            expect(page.get_by_label("username")).to_have_value("")
    wait_for_model(page)
    send(page, "Hello")
    wait_for_end(page)

    open_models(page)
    page.get_by_role("button", name="Visitors and limits").click()
    expect(page.locator("#mc-operation tbody tr")).to_contain_text("ann")
    page.locator("#mc-limit-messages-per-minute input").fill("1")
    page.get_by_role("button", name="Save limits").click()
    page.locator("#mc-key-name").locator("input, textarea").fill("laptop")
    page.get_by_role("button", name="Make a key").click()
    key = page.locator("#mc-keys code").inner_text()
    assert violations(page) == []

    programs = stack.enter_context(httpx2.Client(base_url=f"{signed_app}/v1", headers={"Authorization": f"Bearer {key}"}, timeout=60))
    hello = {"model": "default", "max_tokens": 4, "messages": [{"role": "user", "content": "Hello"}]}
    assert programs.post("/chat/completions", json=hello).status_code == 200
    refused = programs.post("/chat/completions", json=hello)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert httpx2.post(f"{signed_app}/v1/chat/completions", json=hello).status_code == 401

    page.locator("#mc-operation").get_by_role("button", name="Take no new messages").click()
    expect(page.locator("#mc-operation [role=status]")).to_contain_text("are refused")
    assert programs.post("/chat/completions", json=hello).json()["error"]["code"] == "engine_busy"
    page.get_by_role("tab", name="Chat").click()
    send(page, "Are you there?")
    expect(page.locator(".mc-problem, .mc-notice, [role=alert]").filter(has_text="busy").first).to_be_visible()
    expect(page.locator("#mc-message textarea")).to_have_value("Are you there?")
