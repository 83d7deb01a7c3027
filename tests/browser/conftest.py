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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.ui.conftest import serve  # noqa: F401  the same fixture

ROOT = Path(__file__).parent.parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# The address bar's own two pages cost a fifth of every visit; the other features are Playwright's choice, which a second list replaces.
FEATURES = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup", "AvoidUnnecessaryBeforeUnloadCheckSync",
            "DestroyProfileOnBrowserClose", "HttpsUpgrades", "LensOverlay", "MediaRouter", "PaintHolding", "OptimizationHints")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", f"--disable-features={','.join(FEATURES)}"]
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
    """Up before its model: tests wait for what they need."""
    with app_running(tmp_path_factory.mktemp("app"), HF_HUB_OFFLINE="1") as address:
        yield address


@contextmanager
def app_running(home: Path, **environ: str) -> Iterator[str]:
    """`python app.py` with chats, models and log in `home`; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = home / "log.txt"
    known = {**os.environ, "GRADIO_SERVER_PORT": str(port), "CI": "true", "HF_HOME": str(home / "hf"), "HF_TOKEN": "",
             "MINDCUBES_DATA_DIR": str(home / "data"), "HF_HUB_DISABLE_TELEMETRY": "1", **environ}
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=known, stdout=output, stderr=subprocess.STDOUT)
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
