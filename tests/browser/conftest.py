"""Chromium, the real app in its own process, and pages over a scripted engine for what a model cannot be made to do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.ui.conftest import serve  # noqa: F401  the same fixture

ROOT = Path(__file__).parent.parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
START_S = 90

expect.set_options(timeout=20_000)      # a busy machine lays out slowly; a check that holds returns at once


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        path = path or (playwright.chromium.executable_path if Path(playwright.chromium.executable_path).exists() else None)
        if path is None:
            pytest.fail("The browser tests need Chromium: install it as `chromium`, or run `playwright install chromium`.")
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`python app.py`, up before its model: tests wait for what they need."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("app") / "log.txt"
    environ = {**os.environ, "GRADIO_SERVER_PORT": str(port), "HF_HUB_OFFLINE": "1", "CI": "true",
               "MINDCUBES_DATA_DIR": str(log.parent / "data")}
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for_app(address, process, log)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_for_app(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"app.py did not answer in {START_S} s:\n{log.read_text()}")


@pytest.fixture
def visit(browser: Browser, serve: object) -> Iterator[Callable[..., Page]]:  # noqa: F811
    """A new visitor, with nothing in common with the others; settings are those of a browser context.

    After `serve`, so that pages are closed first: a server waits 5 s for those that are still open.
    """
    contexts = []

    def open_page(address: str, **settings: Any) -> Page:
        context = browser.new_context(**{"locale": "en-US", **settings})
        contexts.append(context)
        page = context.new_page()
        page.goto(address)
        page.locator("#mc-message textarea").wait_for(timeout=30_000)
        page.locator(".mc-status").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
