"""axe-core over the states of the Models tab, its width on a phone, and its way by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests import hub_folders, hub_standin, tiny_models
from tests.hub_standin import Repo, StandIn

from .conftest import app_here
from .test_accessibility import violations
from .test_chat import Visit
from .test_models import find, open_models, primary

CARD = "---\nlicense: apache-2.0\n---\n# A tiny model\n\nSome `code`.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint('one')\n```\n"
LONG = "a-long-organisation/And-A-Name-That-Is-Longer-Than-Any-Card-32B-Instruct-v0.3"
SCREENS = {"desktop": {}, "phone": {"viewport": {"width": 390, "height": 844}}}


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    root = tmp_path_factory.mktemp("hub")
    folder = tiny_models.llama(root / "tiny", width=320)
    (folder / "README.md").write_text(CARD)
    huge = hub_folders.claimed(root / "huge", 700_000_000_000)
    repos = {"me/tiny": Repo(folder, downloads=5000), "me/closed": Repo(folder, gated="auto"), "me/huge": huge, LONG: folder}
    with hub_standin.running(repos) as running:
        yield running


@pytest.fixture(scope="module")
def hub_app(stand_in: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with app_here(tmp_path_factory.mktemp("home"), stand_in.address) as address:
        yield address


def recommended(page: Page, stand_in: StandIn) -> None:
    open_models(page)


def chosen(page: Page, stand_in: StandIn) -> None:
    find(page, "me/tiny")
    expect(page.locator("#mc-model .mc-table")).to_be_visible()
    page.locator("#mc-model summary").click()
    page.get_by_role("button", name="Model card").click()
    expect(page.locator(".mc-model-card table")).to_be_visible()


def too_large(page: Page, stand_in: StandIn) -> None:
    find(page, "me/huge")
    expect(page.locator("#mc-model-problem")).to_contain_text("does not fit")


def gated(page: Page, stand_in: StandIn) -> None:
    find(page, "me/closed")
    expect(page.get_by_label("Access token")).to_be_visible()


def downloading(page: Page, stand_in: StandIn) -> None:
    stand_in.bytes_per_second = 200_000
    find(page, LONG)
    expect(page.get_by_role("heading", name=LONG)).to_be_visible()      # the button may still be that of the model before
    primary(page).filter(has_text=re.compile("Download|Resume")).click()
    expect(page.locator(".mc-job[data-state=running]")).to_contain_text("left")


def deleting(page: Page, stand_in: StandIn) -> None:
    primary(page).filter(has_text="Cancel download").click()
    expect(page.locator(".mc-job[data-state=cancelled]")).to_be_visible()
    page.get_by_role("button", name=f"Delete {LONG}").click()
    expect(page.get_by_role("dialog")).to_be_visible()


STATES: dict[str, list[Callable[[Page, StandIn], None]]] = {
    "desktop": [recommended, chosen, too_large, gated, downloading, deleting],
    "phone": [recommended, chosen, gated, downloading, deleting]}


@pytest.mark.parametrize("screen", SCREENS)
def test_every_state_of_the_tab_is_accessible_and_fits_its_screen(visit: Visit, hub_app: str, stand_in: StandIn, screen: str) -> None:
    page = visit(hub_app, **SCREENS[screen])
    found, too_wide = {}, []
    for state in STATES[screen]:
        state(page, stand_in)
        found[state.__name__] = violations(page)
        too_wide += [] if fits(page) else [state.__name__]
        if state is downloading:
            see_the_chat(page)
    assert ({name: each for name, each in found.items() if each}, too_wide) == ({}, [])


def see_the_chat(page: Page) -> None:
    """The line to write in stays on the screen below a running job."""
    page.get_by_role("tab", name="Chat").click()
    send = page.locator("#mc-send").bounding_box()
    assert send
    assert send["y"] + send["height"] <= page.evaluate("innerHeight")
    page.get_by_role("tab", name="Models").click()


def fits(page: Page) -> bool:
    """Whether nothing is cut off at the right; tables and code have scroll bars of their own."""
    return bool(page.evaluate("""() => [...document.querySelectorAll('.mc-models *, #mc-jobs *, dialog, dialog *')].every(element =>
        element.getBoundingClientRect().right <= innerWidth + 1 || element.closest('.mc-scroll, pre, .mc-model-card'))"""))


def tab_to(page: Page, selector: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached by Tab")


def test_a_model_is_chosen_and_downloaded_by_keyboard(visit: Visit, hub_app: str, stand_in: StandIn) -> None:
    page = visit(hub_app)
    stand_in.bytes_per_second = 200_000
    open_models(page)
    find(page, "tiny")
    expect(page.locator("#mc-listing [data-value='me/tiny']")).to_be_visible()
    tab_to(page, "#mc-listing [data-value='me/tiny']")
    page.keyboard.press("Enter")
    expect(primary(page)).to_contain_text("Download")
    tab_to(page, "#mc-primary")
    page.keyboard.press("Enter")
    expect(page.locator(".mc-job[data-state=running]")).to_contain_text("me/tiny")
    stand_in.bytes_per_second = None
    expect(page.locator(".mc-job", has_text="me/tiny")).to_contain_text("Done")
