"""Conversations in other hands: exported, imported, shared, kept apart, on a phone, in another language, after a crash."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Download, Page, expect

from benchmarks.page import endless_copy
from engine import TextDelta
from tests.ui.scripted_engine import ScriptedEngine, answer

from .conftest import ROOT, app_here, free_port
from .test_chat import LOAD_MS, REPLY_MS, Visit, send, wait_for_end, wait_for_model
from .test_conversations import asked, bot, line, listed, talk

PHONE = {"width": 390, "height": 844}
LOCALES = ROOT / "ui" / "locales"


def exported(page: Page, form: str) -> Download:
    page.get_by_label("Export", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Export as {form}").click()
    return download.value


def share_link(page: Page) -> str:
    page.get_by_role("button", name="Share").click()
    return page.get_by_role("dialog", name="Share").get_by_role("textbox").input_value()


# --- out and in again ---

def test_a_chat_is_exported_as_markdown(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("**Bold** words")
    talk(page, "Hello")
    file = exported(page, "Markdown")
    assert file.suggested_filename == "Hello.md"
    content = Path(file.path()).read_text("utf-8")
    assert content.startswith("# Hello\n")
    assert "**Bold** words" in content


def test_exported_chats_are_the_same_when_imported_elsewhere(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    page = visit(address)
    talk(page, "Hello", "And then")
    page.get_by_role("button", name="New chat").click()
    expect(asked(page)).to_have_count(0)
    talk(page, "Other")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export all").click()
    other = visit(address)
    expect(listed(other)).to_have_count(0)
    with other.expect_file_chooser() as chooser:
        other.get_by_role("button", name="Import").click()
    chooser.value.set_files({"name": "chats.json", "mimeType": "application/json", "buffer": Path(download.value.path()).read_bytes()})
    expect(other.get_by_text("2 chats imported")).to_be_visible()
    expect(listed(other)).to_have_count(2)
    listed(other).filter(has_text="Hello").click()
    expect(asked(other)).to_have_text(["Hello", "And then"])
    expect(bot(other)).to_have_text(["Words", "Words"])


# --- shared, and kept apart ---

def test_a_shared_chat_is_read_only_can_be_copied_and_is_gone_when_it_is_revoked(
        page: Page, visit: Visit, engine: ScriptedEngine) -> None:
    engine.script = answer("Between us")
    talk(page, "Hello")
    link = share_link(page)
    page.keyboard.press("Escape")
    talk(page, "After the link")
    guest = visit_shared(visit, link)
    expect(asked(guest)).to_have_text("Hello")
    expect(bot(guest)).to_have_text("Between us")
    expect(guest.get_by_text("read-only")).to_be_visible()
    expect(line(guest)).to_be_hidden()
    for name in ("Send", "Edit", "Delete", "Regenerate", "Branch"):
        expect(guest.get_by_role("button", name=name, exact=True)).to_have_count(0)
    guest.get_by_role("button", name="Open in MindCubes").click()
    expect(line(guest)).to_be_visible()
    expect(listed(guest)).to_have_text("Hello")
    send(guest, "Going on")
    wait_for_end(guest, 2)
    expect(asked(guest)).to_have_text(["Hello", "Going on"])
    page.get_by_role("button", name="Share").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("The link no longer works.")).to_be_visible()
    guest.get_by_role("button", name="New chat").click()
    guest.goto(link)
    expect(guest.get_by_role("alert")).to_contain_text("does not work")
    expect(asked(guest)).to_have_count(0)


def visit_shared(visit: Visit, link: str) -> Page:
    """As `visit`, for a page without a line to write in."""
    guest = visit(link.split("?")[0])
    guest.goto(link)
    return guest


def test_visitors_never_see_each_others_chats(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    mine, yours = visit(address), visit(address)
    talk(mine, "Aardvark")
    talk(yours, "Zeppelin")
    expect(listed(mine)).to_have_text("Aardvark")
    expect(listed(yours)).to_have_text("Zeppelin")
    yours.goto(mine.url)
    expect(yours.get_by_role("alert")).to_contain_text("no longer exists")
    expect(asked(yours)).to_have_count(0)
    expect(listed(yours)).to_have_text("Zeppelin")
    assert "Aardvark" not in yours.content()


# --- on a phone, in another language ---

def test_on_a_phone_the_chats_are_a_drawer_that_escape_closes(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("A long word: " + "w" * 300)
    page = visit(address, viewport=PHONE)
    talk(page, "Apples")
    expect(page.locator("#mc-side")).to_be_hidden()
    page.get_by_role("button", name="Show chats").click()
    page.get_by_role("button", name="New chat").click()
    expect(page.locator("#mc-side")).to_be_hidden()
    expect(asked(page)).to_have_count(0)
    talk(page, "Pears")
    page.get_by_role("button", name="Show chats").click()
    expect(page.locator("#mc-side")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.keyboard.press("Escape")
    expect(page.locator("#mc-side")).to_be_hidden()
    page.get_by_role("button", name="Show chats").click()
    listed(page).filter(has_text="Apples").click()
    expect(asked(page)).to_have_text("Apples")
    expect(page.locator("#mc-side")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize(("locale", "greeting"), [("tr-TR", "Merhaba"), ("zh-CN", "你好")])
def test_no_english_is_left_in_another_language(visit: Visit, engine: ScriptedEngine, address: str, locale: str, greeting: str) -> None:
    engine.script = answer("1 2 3")
    own = texts(locale)
    page = visit(address, locale=locale)
    talk(page, greeting)
    page.locator("[data-act=regenerate]").click()
    expect(page.locator(".bot-row")).to_contain_text("2 / 2")
    wait_for_end(page)
    page.locator(".user-row").hover()
    page.locator("[data-act=edit]").click()
    expect(page.locator(".mc-tag")).to_be_visible()
    shown = page.evaluate(WORDS_JS)
    page.locator("[data-act=cancel-edit]").click()
    expect(page.locator(".mc-tag")).to_have_count(0)
    engine.script = [TextDelta("4 "), 60.0]
    send(page, greeting)
    expect(page.locator("#mc-stop")).to_be_visible()
    expect(bot(page)).to_have_text(["1 2 3", "4"])
    shown += page.evaluate(WORDS_JS)
    assert {own[name] for name in ("chat.new", "share.title", "chat.branch", "chat.send", "attach.title", "chat.editing", "chat.stop",
                                   "chat.writing")} <= set(shown)
    english = [re.compile(re.sub(r"\\{\w+\\}", ".+", re.escape(text))) for name, text in texts("en").items() if own[name] != text]
    assert [word for word in shown if any(pattern.fullmatch(word) for pattern in english)] == []


def texts(locale: str) -> dict[str, str]:
    loaded: dict[str, str] = json.loads((LOCALES / f"{locale[:2]}.json").read_text("utf-8"))
    return loaded


WORDS_JS = """() => {
  const boxes = [...document.querySelectorAll('#mc-side, #mc-head, .mc-foot, .mc-composer')];
  const words = e => [e.getAttribute('aria-label'), e.title, e.placeholder, e.children.length ? '' : e.textContent];
  return [...new Set(boxes.flatMap(box => [box, ...box.querySelectorAll('*')]).flatMap(words).map(text => text?.trim()).filter(Boolean))];
}"""


# --- a crash ---

class App:
    """`python app.py` with an answer that never ends, on a port and a data folder that outlive its process."""

    def __init__(self, home: Path) -> None:
        port, self.home = free_port(), home
        self.address = f"http://127.0.0.1:{port}"
        self.settings = {"GRADIO_SERVER_PORT": str(port), "MINDCUBES_MODEL": str(endless_copy(home / "endless"))}
        environ = {**os.environ, **self.settings, "HF_HUB_OFFLINE": "1", "CI": "true", "MINDCUBES_DATA_DIR": str(home / "data")}
        self.process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)

    def wait(self) -> None:
        assert self.process.stdout is not None
        lines = []
        for written in self.process.stdout:
            lines.append(written)
            if written.startswith("Open "):
                return
        pytest.fail("".join(lines))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = App(tmp_path)
    app.wait()
    yield app
    app.kill()


def test_an_answer_cut_by_a_killed_app_is_kept_and_can_be_continued(visit: Visit, app: App) -> None:
    page = visit(app.address)
    wait_for_model(page)
    page.locator("#mc-options-toggle").click()
    most = page.get_by_role("spinbutton", name=re.compile("Max tokens"))
    most.fill("4096")
    most.press("Tab")
    page.get_by_role("button", name="Close").click()
    send(page, "Tell me everything")
    expect(bot(page)).to_have_text(re.compile(r"[\s\S]{800,}"), timeout=REPLY_MS)
    seen = bot(page).inner_text()
    address, children = page.url, psutil.Process(app.process.pid).children(recursive=True)
    app.kill()
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in psutil.wait_procs(children, 10)[1])
    page.goto("about:blank")        # Gradio's own script reloads a page whose server is a new one, which would end our reload
    with app_here(app.home, **app.settings) as started:
        assert started == app.address
        page.goto(address)
        continued(page, seen)


def continued(page: Page, seen: str) -> None:
    """In the next app over the same data."""
    wait_for_model(page)
    expect(asked(page)).to_have_text("Tell me everything")
    expect(page.locator(".mc-facts")).to_contain_text("interrupted")
    kept = bot(page).inner_text().strip()
    assert kept
    assert kept[:100] == seen[:100]
    page.get_by_role("button", name="Continue").click()
    expect(bot(page)).to_have_text(re.compile(rf"[\s\S]{{{len(kept) + 200},}}"), timeout=REPLY_MS)
    assert bot(page).inner_text()[:100] == seen[:100]
    page.get_by_role("button", name="Stop").click(timeout=LOAD_MS)
    expect(page.locator(".mc-facts")).not_to_contain_text("interrupted")
