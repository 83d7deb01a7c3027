"""Conversations over time: found again, watched and stopped from other pages, edited, versioned, branched, listed, searched."""

import hashlib
import re
import threading

import pytest
from playwright.sync_api import Locator, Page, expect

from engine import Finished, TextDelta
from engine.storage.chats import ChatStore
from engine.storage.records import ChatMessage
from tests.ui.scripted_engine import USAGE, ScriptedEngine, answer

from .test_chat import Visit, send, wait_for_end

NOTICE_MS = 6_000       # how soon a page shows by itself what another one did


def line(page: Page) -> Locator:
    return page.locator("#mc-message textarea")


def bot(page: Page) -> Locator:
    return page.locator(".mc-conversation [data-testid=bot] .prose")


def asked(page: Page) -> Locator:
    return page.locator(".mc-conversation [data-testid=user] .prose")


def listed(page: Page) -> Locator:
    return page.locator(".mc-chats [data-act=open]")


def second_tab(page: Page) -> Page:
    """The same visitor, looking at the same chat."""
    other = page.context.new_page()
    other.goto(page.url)
    return other


def owner_of(page: Page) -> str:
    key = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "mindcubes_key")
    return hashlib.sha256(f"browser {key}".encode()).hexdigest()


def talk(page: Page, *messages: str) -> None:
    for count, message in enumerate(messages, 1):
        send(page, message)
        wait_for_end(page, count)


def menu(page: Page, title: str, name: str) -> None:
    page.get_by_label(f"Actions for {title}", exact=True).click()
    page.locator(".mc-menu[open]").get_by_role("button", name=name, exact=True).click()


# --- a chat outlives its page ---

def test_a_reload_shows_the_chat_again(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("Kept words")
    talk(page, "Hello")
    expect(page).to_have_url(re.compile(r"[?&]chat=\w+"))
    page.reload()
    expect(asked(page)).to_have_text("Hello")
    expect(bot(page)).to_have_text("Kept words")
    expect(listed(page).first).to_have_attribute("aria-current", "page")


def test_an_answer_goes_on_through_a_reload(page: Page, engine: ScriptedEngine) -> None:
    go_on = threading.Event()
    engine.script = [TextDelta("Begun "), go_on, TextDelta("and ended."), Finished("stop", USAGE)]
    send(page, "Hello")
    expect(bot(page)).to_have_text("Begun")
    page.reload()
    expect(bot(page)).to_have_text("Begun")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    assert engine.num_closed == 0
    go_on.set()
    wait_for_end(page)
    expect(bot(page)).to_have_text("Begun and ended.")
    assert len(engine.asked) == 1


def test_stop_from_a_second_tab_ends_the_answer_in_both(page: Page, engine: ScriptedEngine) -> None:
    engine.script = [TextDelta("Half"), 60.0]
    send(page, "Hello")
    expect(bot(page)).to_have_text("Half")
    other = second_tab(page)
    expect(bot(other)).to_have_text("Half")
    other.get_by_role("button", name="Stop").click()
    for tab in (other, page):
        expect(tab.locator(".mc-facts")).to_contain_text("stopped")
        expect(bot(tab)).to_have_text("Half")


def test_a_message_appears_by_itself_in_the_other_tab(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("Words")
    talk(page, "First")
    other = second_tab(page)
    expect(asked(other)).to_have_text("First")
    send(page, "Second")
    expect(asked(other)).to_have_text(["First", "Second"], timeout=NOTICE_MS)
    wait_for_end(other, 2)


def test_a_message_from_a_stale_page_is_refused_and_its_text_stays(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    page = visit(address)
    talk(page, "First")
    store, owner, calls = ChatStore(engine.database), owner_of(page), re.compile("queue/join|run/predict")
    page.route(calls, lambda route: route.continue_() if "Too late" in (route.request.post_data or "") else None)
    line(page).fill("Too late")
    with page.expect_request(calls):        # the page looks for news, but its question does not get through
        pass
    chat = store.get(owner, store.list(owner)[0].id)
    elsewhere = ChatMessage("user", "From elsewhere", parent=chat.path[-1].id)
    store.add(owner, chat.id, None, [elsewhere, ChatMessage("assistant", "Other words")])
    line(page).press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("changed on another page")
    expect(line(page)).to_have_value("Too late")
    expect(asked(page)).to_have_text(["First", "From elsewhere"])
    assert len(engine.asked) == 1
    page.unroute(calls)
    line(page).press("Enter")
    expect(asked(page)).to_have_text(["First", "From elsewhere", "Too late"])


# --- versions ---

def test_an_edited_message_is_a_second_version_beside_the_first(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("Answer one")
    talk(page, "Question one")
    engine.script = answer("Answer two")
    page.locator(".user-row").hover()
    page.get_by_role("button", name="Edit").click()
    expect(line(page)).to_have_value("Question one")
    send(page, "Question two")
    expect(bot(page)).to_have_text("Answer two")
    expect(page.locator(".user-row")).to_contain_text("2 / 2")
    assert [message.content for message in engine.asked[-1][0]] == ["Question two"]
    page.locator(".user-row").get_by_role("button", name="Previous version").click()
    expect(asked(page)).to_have_text("Question one")
    expect(bot(page)).to_have_text("Answer one")
    expect(page.locator(".user-row")).to_contain_text("1 / 2")


def test_another_answer_is_a_second_version(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("First")
    talk(page, "Hello")
    engine.script = answer("Second")
    page.get_by_role("button", name="Regenerate").click()
    expect(page.locator(".bot-row")).to_contain_text("2 / 2")
    expect(bot(page)).to_have_text("Second")
    page.get_by_role("button", name="Previous version").click()
    expect(bot(page)).to_have_text("First")
    page.get_by_role("button", name="Next version").click()
    expect(bot(page)).to_have_text("Second")


@pytest.mark.parametrize("begun_by", ["send", "regenerate"])
def test_another_chat_can_be_opened_while_an_answer_is_written(page: Page, engine: ScriptedEngine, begun_by: str) -> None:
    engine.script = answer("Words")
    talk(page, "Apples")
    page.get_by_role("button", name="New chat").click()
    expect(asked(page)).to_have_count(0)
    if begun_by == "regenerate":
        talk(page, "Pears")
    engine.script = [TextDelta("Slow"), 60.0]
    if begun_by == "send":
        send(page, "Pears")
    else:
        page.get_by_role("button", name="Regenerate").click()
    expect(bot(page)).to_have_text("Slow")
    listed(page).filter(has_text="Apples").first.click()
    expect(page.get_by_role("heading", name="Apples")).to_be_visible()
    wait_for_end(page)
    expect(page.locator("#mc-stop")).to_be_hidden()
    expect(asked(page)).to_have_text("Apples")
    expect(bot(page)).to_have_text("Words")


# --- deleting, and second thoughts ---

def test_a_deleted_chat_comes_back_with_undo(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("Words")
    talk(page, "Delete me")
    menu(page, "Delete me", "Delete")
    expect(page.get_by_text("Chat deleted")).to_be_visible()
    expect(listed(page).filter(has_text="Delete me")).to_have_count(0)
    expect(page.locator(".mc-welcome")).to_be_visible()
    expect(page).not_to_have_url(re.compile("chat="))
    page.get_by_role("button", name="Undo").click()
    expect(bot(page)).to_have_text("Words")
    expect(listed(page).first).to_have_text("Delete me")


# --- the list ---

def test_a_chat_is_renamed_in_a_dialog(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("Words")
    talk(page, "First name")
    menu(page, "First name", "Rename")
    title = page.get_by_role("dialog").get_by_label("New title")
    expect(title).to_have_value("First name")
    title.fill("Better name")
    title.press("Enter")
    expect(listed(page).first).to_have_text("Better name")
    expect(page.get_by_role("heading", name="Better name")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("way", ["Escape", "Cancel"])
def test_a_rename_is_cancelled(page: Page, engine: ScriptedEngine, way: str) -> None:
    engine.script = answer("Words")
    talk(page, f"Kept after {way}")
    menu(page, f"Kept after {way}", "Rename")
    page.get_by_role("dialog").get_by_label("New title").fill("Other")
    if way == "Escape":
        page.keyboard.press("Escape")
    else:
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.reload()
    expect(listed(page).first).to_have_text(f"Kept after {way}")


def test_search_finds_a_word_inside_a_message(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("Perdeden ışık sızıyor")
    talk(page, "Hello")
    page.get_by_role("button", name="New chat").click()
    expect(asked(page)).to_have_count(0)
    engine.script = answer("Nothing")
    talk(page, "Other")
    page.get_by_label("Search chats").press_sequentially("isik")
    expect(page.locator(".mc-chats mark")).to_have_text(["ışık"])
    expect(listed(page)).to_have_count(1)
    listed(page).click()
    expect(bot(page)).to_have_text("Perdeden ışık sızıyor")
    page.get_by_label("Search chats").clear()
    expect(listed(page).first).to_have_text("Other")


# --- long chats, long answers ---

def test_a_long_chat_shows_its_end_and_the_rest_on_request(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    page = visit(address)
    path = [ChatMessage("user" if index % 2 == 0 else "assistant", f"Message {index}") for index in range(60)]
    chat = ChatStore(engine.database).copy(owner_of(page), "Long", path)
    page.goto(f"{address}?chat={chat.id}")
    expect(asked(page)).to_have_count(15)
    expect(asked(page).last).to_be_in_viewport()
    page.get_by_role("button", name="Show 30 older messages").click()
    expect(asked(page)).to_have_count(30)
    expect(asked(page).first).to_have_text("Message 0")
    expect(page.get_by_role("button", name=re.compile("older messages"))).to_have_count(0)


def test_scrolling_up_while_an_answer_grows_is_respected(page: Page, engine: ScriptedEngine) -> None:
    paragraphs = [step for index in range(200) for step in (TextDelta(f"Paragraph {index}.\n\n"), 0.04)]
    engine.script = [*paragraphs, Finished("stop", USAGE)]
    send(page, "Hello")
    expect(bot(page)).to_contain_text("Paragraph 60.")
    page.mouse.move(760, 300)
    page.mouse.wheel(0, -900)       # a flick, while the next lines come
    wait_for_end(page)
    expect(page.get_by_text("Paragraph 199.", exact=True)).not_to_be_in_viewport()
    page.get_by_role("button", name="Scroll to bottom").click()
    expect(page.get_by_text("Paragraph 199.", exact=True)).to_be_in_viewport()
