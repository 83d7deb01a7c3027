"""Chromium, the real app in this process, and pages over a scripted engine for what a model cannot be made to do.

A test that fails prints what its pages showed; their pictures are in test-results/.
"""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from api import routes
from engine import AgentSessions, Benchmarks, Conversations, Engine, Hub, Library, Settings
from tests import hub_standin
from tests.ui.conftest import address, engine, launched, page_engine, scripted, served, shared_page  # noqa: F401  the same fixtures
from tests.ui.scripted_engine import ScriptedEngine
from ui.app import build_app, launch

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "test-results"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# The address bar's own two pages cost a fifth of every visit; the other features are Playwright's choice, which a second list replaces.
FEATURES = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup", "AvoidUnnecessaryBeforeUnloadCheckSync",
            "DestroyProfileOnBrowserClose", "HttpsUpgrades", "LensOverlay", "MediaRouter", "PaintHolding", "OptimizationHints")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", f"--disable-features={','.join(FEATURES)}"]

STORED = "local_storage,indexeddb,cache_storage,service_workers,websql,file_systems"        # of an origin

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


@contextmanager
def app_here(home: Path, hub: str = "", **environ: str) -> Iterator[str]:
    """What app.py serves, from this process, which has imported all of it: a process of its own costs ten seconds of a core.

    hub: the address of a stand-in; without one, no hub can be reached.
    """
    settings = Settings.from_env({"MINDCUBES_DATA_DIR": str(home / "data"), "MINDCUBES_CACHE_DIR": str(home / "hub"), **environ})
    owner = Engine(settings)
    conversations = Conversations(owner)
    library, sessions = Library(owner, conversations, Hub(settings, hub)), AgentSessions(owner)
    page = build_app(owner, conversations, library, sessions, Benchmarks(owner, library.jobs))
    owner.start_loading(owner.default_spec())
    with hub_standin.online() if hub else nullcontext():
        try:
            yield launch(page, owner, routes(owner), server_name=settings.host, server_port=settings.port).rstrip("/")
        finally:
            page.close(verbose=False)
            conversations.close()
            sessions.close()
            library.jobs.close()
            owner.close()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class Contexts:
    """Browser contexts that go from one visitor to the next one of the same settings, with nothing of the one before but what the browser
    has fetched and compiled: in a new one each page costs a second of processor time more.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._free: dict[str, list[BrowserContext]] = {}
        self._of: dict[BrowserContext, str] = {}
        self.consoles: dict[BrowserContext, list[str]] = {}

    def take(self, **settings: Any) -> BrowserContext:
        key = repr(sorted(settings.items()))
        if self._free.get(key):
            return self._free[key].pop()
        context = self._browser.new_context(**settings)
        self._of[context], written = key, self.consoles.setdefault(context, [])
        context.on("console", lambda message: written.append(f"{message.type}: {message.text}"))
        context.on("weberror", lambda error: written.append(f"uncaught: {error.error}"))
        context.on("requestfailed", lambda request: written.append(f"request failed: {request.url} {request.failure}"))
        return context

    def give_back(self, context: BrowserContext) -> None:
        for page in context.pages:
            origin, _, _ = page.url.partition("?")
            context.new_cdp_session(page).send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": STORED})
            page.close()        # and with it what is stored for one page
        context.clear_cookies()
        self.consoles[context].clear()
        self._free.setdefault(self._of[context], []).append(context)


@pytest.fixture(scope="session")
def contexts(browser: Browser) -> Contexts:
    return Contexts(browser)


class Visitors:
    """Browser contexts: each is a person of its own, and keeps what its pages wrote to the console."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts
        self.consoles: dict[BrowserContext, list[str]] = {}

    def arrive(self, **settings: Any) -> BrowserContext:
        context = self._contexts.take(**{"locale": "en-US", **settings})
        self.consoles[context] = self._contexts.consoles[context]
        return context

    def leave(self) -> None:
        for context in self.consoles:
            self._contexts.give_back(context)
        self.consoles = {}


@pytest.fixture
def visitors(contexts: Contexts, request: pytest.FixtureRequest) -> Iterator[Visitors]:
    found = Visitors(contexts)
    request.node.stash.setdefault(VISITORS, []).append(found)
    yield found
    found.leave()


@pytest.fixture
def visit(visitors: Visitors) -> Callable[..., Page]:
    """A new visitor, with nothing in common with the others; settings are those of a browser context."""
    def open_page(url: str, **settings: Any) -> Page:
        page = visitors.arrive(**settings).new_page()
        page.goto(url)
        page.locator("#mc-message textarea").wait_for(timeout=30_000)
        page.locator(".mc-status").wait_for()
        return page

    return open_page


# --- one page for many tests: opening one costs seconds of processor time ---

class KeptPages:
    """Pages that stay open for a module's tests, one for each address. A page in which a test failed is opened anew."""

    def __init__(self, contexts: Contexts) -> None:
        self.visitors = Visitors(contexts)
        self._pages: dict[str, Page] = {}

    def at(self, url: str) -> Page:
        if url not in self._pages:
            page = self.visitors.arrive(permissions=["clipboard-read", "clipboard-write"]).new_page()
            page.goto(url)
            page.locator("#mc-message textarea").wait_for(timeout=30_000)
            page.locator(".mc-status").wait_for()
            self._pages[url] = page
        for other in self._pages[url].context.pages:        # that the test before opened
            if other is not self._pages[url]:
                other.close()
        return self._pages[url]

    def close(self) -> None:
        self._pages.clear()
        self.visitors.leave()


@pytest.fixture(scope="module")
def module_pages(contexts: Contexts) -> Iterator[KeptPages]:
    pages = KeptPages(contexts)
    yield pages
    pages.close()


@pytest.fixture
def kept_pages(module_pages: KeptPages, request: pytest.FixtureRequest) -> Iterator[KeptPages]:
    request.node.stash.setdefault(VISITORS, []).append(module_pages.visitors)
    yield module_pages
    if request.node.stash.get(HAS_FAILED, False):
        module_pages.close()


@pytest.fixture
def page(kept_pages: KeptPages, engine: ScriptedEngine, address: str) -> Page:      # noqa: F811
    """The page over the scripted engine, with a new chat; chats of the tests before are in its list."""
    page = kept_pages.at(address)
    with page.expect_event("requestfailed", lambda request: request.url.split("?")[0].endswith("/queue/data")):
        page.locator("#mc-new").click()         # Gradio ends its stream of events after the last one that was waited for
    expect(page.locator("[data-example]")).to_have_count(4)
    page.locator("#mc-message textarea").fill("")       # the draft of a test that sent nothing
    return page


# --- what a failed test's pages showed ---

VISITORS = pytest.StashKey[list[Visitors]]()
HAS_FAILED = pytest.StashKey[bool]()
TELLING = ".mc-status, [role=alert], .mc-problem, .mc-toast, #mc-jobs, dialog[open], .mc-head, .mc-welcome, .mc-conversation, .mc-tags"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.failed and report.when != "teardown":
        item.stash[HAS_FAILED] = True
        folder = RESULTS / re.sub(r"[^\w.-]+", "-", item.nodeid.removeprefix("tests/browser/"))
        consoles = [console for each in item.stash.get(VISITORS, []) for console in each.consoles.items()]
        for index, (context, written) in enumerate(consoles, 1):
            folder.mkdir(parents=True, exist_ok=True)
            for number, page in enumerate(context.pages, 1):
                name = f"visitor-{index}-page-{number}"
                report.sections.append((f"What {name} showed", page_state(page, folder / f"{name}.png", written)))
    return report


def page_state(page: Page, picture: Path, written: list[str]) -> str:
    """The page's address, the visible text of its telling parts and its console; also kept beside its picture."""
    try:
        page.screenshot(path=picture, timeout=10_000)
        shown = page.locator(TELLING).filter(visible=True).all_inner_texts()
    except Error as error:      # a page that is closed, crashed or stuck has no picture
        shown = [f"cannot be read: {error}"]
    lines = [f"address: {page.url}", f"picture: {picture}", "text:", *(f"  {text[:600]!r}" for text in shown if text.strip()),
             "console:", *(f"  {line[:400]}" for line in written[-30:])]
    picture.with_suffix(".txt").write_text("\n".join(lines), "utf-8")
    return "\n".join(lines)
