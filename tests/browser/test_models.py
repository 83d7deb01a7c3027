"""The Models tab against a stand-in of the hub, with the real app: find, judge, download, load, delete."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import hub_folders, hub_standin, tiny_models
from tests.hub_standin import GOOD_TOKEN, Repo, StandIn

from .conftest import KeptPages, Visitors, app_here
from .test_chat import Visit, send, wait_for_end, wait_for_model

LOAD_MS = 60_000


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    root = tmp_path_factory.mktemp("hub")
    tiny = tiny_models.llama(root / "tiny", width=320)
    gated = tiny_models.gpt2(root / "gated")
    (tiny / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A tiny model\n\n<script>window.ran = true</script>Made for tests.")
    pickled, mended = root / "pickled", hub_folders.model(root / "mended")
    hub_folders.describe(pickled, hub_folders.CONFIG)
    (pickled / "pytorch_model.bin").write_bytes(b"not read")
    repos = {"me/tiny-chat": Repo(tiny, downloads=5000, likes=12), "me/closed": Repo(gated, gated="auto", readers=frozenset({GOOD_TOKEN})),
             "me/huge": hub_folders.claimed(root / "huge", 700_000_000_000),
             "me/pickled": Repo(pickled, revisions={"refs/pr/1": mended})}
    with hub_standin.running(repos) as running:
        yield running


@pytest.fixture(scope="module")
def hub_app(stand_in: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app, which knows no other hub than the stand-in."""
    with app_here(tmp_path_factory.mktemp("home"), stand_in.address) as address:
        yield address


@pytest.fixture
def models_page(kept_pages: KeptPages, hub_app: str) -> Page:
    """The Models tab, with what the test before left in it."""
    page = kept_pages.at(hub_app)
    open_models(page)
    return page


def open_models(page: Page) -> None:
    page.get_by_role("tab", name="Models").click()
    expect(page.locator("#mc-listing .mc-card").first).to_be_visible()


def find(page: Page, typed: str) -> None:
    box = page.get_by_label("Search or enter a model")
    box.fill(typed)
    box.press("Enter")


def primary(page: Page) -> Locator:
    return page.locator("#mc-primary")


def test_a_model_is_found_judged_downloaded_loaded_used_and_deleted(visit: Visit, hub_app: str, stand_in: StandIn) -> None:
    page = visit(hub_app)
    wait_for_model(page)
    open_models(page)
    find(page, "tiny")
    page.locator("#mc-listing").get_by_role("button", name="me/tiny-chat").click()
    expect(page.locator("#mc-model .mc-table")).to_contain_text("Fits")
    expect(primary(page)).to_have_text(re.compile("Download .* MB"))

    stand_in.bytes_per_second = 1_500_000
    primary(page).click()
    job = page.locator(".mc-job", has_text="me/tiny-chat")
    expect(job.get_by_role("progressbar")).to_be_visible()
    page.reload()
    expect(job).to_contain_text("MB /")
    stand_in.bytes_per_second = None
    expect(job).to_contain_text("Done", timeout=LOAD_MS)

    open_models(page)
    page.locator("#mc-disk").get_by_role("button", name="me/tiny-chat", exact=False).first.click()
    primary(page).filter(has_text="Swap to this model").click()
    expect(page.locator(".mc-chip.is-ready")).to_contain_text("tiny-chat", timeout=LOAD_MS)
    expect(page.locator("#mc-model")).to_contain_text("Loaded")
    expect(page.locator("#mc-disk").get_by_role("button", name="Delete")).to_have_count(0)

    page.get_by_role("tab", name="Chat").click()
    send(page, "Hello")
    wait_for_end(page)

    page.get_by_role("tab", name="Models").click()
    find(page, "builtin")
    primary(page).filter(has_text="Swap to this model").click()
    expect(page.locator(".mc-chip.is-ready")).to_contain_text("Built-in guide", timeout=LOAD_MS)
    page.get_by_role("button", name="Delete me/tiny-chat").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#mc-disk")).to_contain_text("Models you download appear here")


def test_a_cancelled_download_is_resumed_without_fetching_again(models_page: Page, stand_in: StandIn) -> None:
    page = models_page
    find(page, "me/tiny-chat")
    expect(primary(page)).to_contain_text("Download")
    before = stand_in.sent["me/tiny-chat/model.safetensors"]
    stand_in.bytes_per_second = 1_500_000
    primary(page).filter(has_text="Download").click()
    job = page.locator(".mc-job[data-state=running]")
    expect(job).to_contain_text(re.compile(r"[1-9]\.\d MB / "))
    primary(page).filter(has_text="Cancel download").click()
    resume = primary(page).filter(has_text="Resume download")
    expect(resume).to_be_visible()
    stand_in.bytes_per_second = None
    resume.click()
    expect(primary(page)).to_have_text("Swap to this model")
    size = (stand_in.repositories["me/tiny-chat"].folder / "model.safetensors").stat().st_size
    assert stand_in.sent["me/tiny-chat/model.safetensors"] - before < 1.3 * size       # what was on its way, and headers


def test_a_gated_model_asks_for_a_token_and_takes_it(visit: Visit, hub_app: str) -> None:
    page = visit(hub_app)
    open_models(page)
    find(page, "me/closed")
    expect(page.locator("#mc-model-problem")).to_contain_text("licence")
    expect(primary(page)).to_be_hidden()
    page.get_by_label("Access token").fill(GOOD_TOKEN)
    page.get_by_role("button", name="Use token").click()
    expect(primary(page)).to_have_text(re.compile("Download"))
    assert GOOD_TOKEN not in page.content()


def test_another_visitor_does_not_get_the_token(visit: Visit, hub_app: str, stand_in: StandIn) -> None:
    page = visit(hub_app)
    open_models(page)
    stand_in.requests.clear()
    find(page, "me/closed")
    expect(page.locator("#mc-model-problem")).to_contain_text("licence")
    assert {request.authorization for request in stand_in.requests} == {""}


def test_a_model_that_is_too_large_is_marked_so(models_page: Page) -> None:
    page = models_page
    find(page, "me/huge")
    expect(page.locator("#mc-model .mc-table")).to_contain_text("Too large")


def test_a_model_without_safetensors_offers_the_revision_that_has_them(models_page: Page) -> None:
    page = models_page
    find(page, "me/pickled")
    expect(page.locator("#mc-model-problem")).to_contain_text("safetensors")
    page.get_by_role("button", name="Use revision refs/pr/1").click()
    expect(primary(page)).to_have_text(re.compile("Download"))


def test_a_search_without_results_keeps_the_typed_name(models_page: Page) -> None:
    page = models_page
    find(page, "zzz-nothing")
    expect(page.locator("#mc-listing")).to_contain_text("No models found")
    expect(page.get_by_label("Search or enter a model")).to_have_value("zzz-nothing")
    page.get_by_role("button", name="Back to recommended models").click()
    expect(page.locator("#mc-listing")).to_contain_text("Recommended for this machine")


def test_a_card_cannot_run_anything(models_page: Page) -> None:
    page = models_page
    find(page, "me/tiny-chat")
    page.get_by_role("button", name="Model card").click()
    expect(page.get_by_text("Made for tests.")).to_be_visible()
    assert page.evaluate("window.ran") is None


def test_the_models_tab_is_in_the_visitors_language(visit: Visit, hub_app: str) -> None:
    page = visit(hub_app, locale="tr-TR")
    page.get_by_role("tab", name="Modeller").click()
    expect(page.locator("#mc-listing")).to_contain_text("Bu makine için önerilenler")
    expect(page.get_by_label("Sıralama")).to_have_value("İndirme sayısı")




def test_a_link_opens_the_tab_and_the_model_that_it_names(visitors: Visitors, hub_app: str) -> None:
    page = visitors.arrive().new_page()
    page.goto(f"{hub_app}?tab=models&model=me/tiny-chat")
    expect(page.get_by_role("tab", name="Models")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#mc-model")).to_contain_text("tiny-chat")
    expect(page.locator("#mc-primary")).to_be_visible()
