"""What a message is made of before it is sent: queued ones, files, long pastes, two answers at once, presets, drafts."""

import re
import threading

import pytest
from playwright.sync_api import Locator, Page, expect

from engine import Finished, TextDelta
from tests.ui.scripted_engine import USAGE, ScriptedEngine, answer

from .test_chat import Visit, send, wait_for_end
from .test_conversations import asked, bot, line, talk

BINARY = {"name": "noise.bin", "mimeType": "application/octet-stream", "buffer": bytes(range(256)) * 8}
NOTES = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"The cat sleeps\n"}
CLIPBOARD = ["clipboard-read", "clipboard-write"]


def tags(page: Page) -> Locator:
    return page.locator(".mc-tag")


def attach(page: Page, *files: dict[str, object]) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Attach").click()
    chooser.value.set_files(list(files))  # type: ignore[arg-type]


def open_options(page: Page) -> None:
    page.locator("#mc-options-toggle").click()
    expect(page.get_by_label("System prompt", exact=True)).to_be_visible()


def choose_preset(page: Page, name: str) -> None:
    page.locator("#mc-presets input").click()
    page.get_by_role("option", name=name, exact=True).click()


# --- messages that wait ---

def test_a_message_sent_during_an_answer_waits_and_is_sent_by_itself(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    go_on = threading.Event()
    engine.script = [TextDelta("Slow "), go_on, TextDelta("end."), Finished("stop", USAGE)]
    page = visit(address)
    send(page, "First")
    expect(bot(page)).to_have_text("Slow")
    engine.script = answer("Quick")
    send(page, "Second")
    expect(tags(page)).to_contain_text("Queued: Second")
    expect(line(page)).to_have_value("")
    expect(bot(page)).to_have_text("Slow")
    go_on.set()
    wait_for_end(page, 2)
    expect(asked(page)).to_have_text(["First", "Second"])
    expect(bot(page)).to_have_text(["Slow end.", "Quick"])
    expect(tags(page)).to_have_count(0)


def test_a_waiting_message_is_taken_back_to_the_line(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = [TextDelta("Slow"), 60.0]
    page = visit(address)
    send(page, "First")
    expect(bot(page)).to_have_text("Slow")
    send(page, "Second")
    page.get_by_role("button", name="Remove from queue").click()
    expect(line(page)).to_have_value("Second")
    expect(tags(page)).to_have_count(0)
    page.get_by_role("button", name="Stop").click()
    wait_for_end(page)
    expect(line(page)).to_have_value("Second")
    assert len(engine.asked) == 1


# --- files and long pastes ---

def test_a_text_file_goes_with_the_message_and_the_model_reads_it(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    page = visit(address)
    attach(page, NOTES)
    expect(tags(page)).to_contain_text("notes.txt · 3 tokens")
    talk(page, "What does it do?")
    expect(tags(page)).to_have_count(0)
    expect(page.locator(".user-row")).to_contain_text("notes.txt")
    expect(asked(page)).to_have_text("What does it do?")
    content = engine.asked[0][0][-1].content
    assert "notes.txt" in content
    assert "The cat sleeps" in content
    assert content.endswith("What does it do?")


def test_a_file_can_be_removed_before_it_is_sent(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    page = visit(address)
    attach(page, NOTES)
    tags(page).get_by_role("button", name="Remove").click()
    expect(tags(page)).to_have_count(0)
    talk(page, "Hello")
    assert engine.asked[0][0][-1].content == "Hello"


def test_a_file_longer_than_half_the_window_can_be_shortened(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    page = visit(address)
    attach(page, {**NOTES, "buffer": b"word " * 3_000})
    expect(tags(page)).to_contain_text("longer than half of the context window")
    line(page).fill("Hello")
    line(page).press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("One file is too long")
    expect(line(page)).to_have_value("Hello")
    page.get_by_role("button", name="Use first part").click()
    expect(tags(page)).to_contain_text("notes.txt · 2,048 tokens")
    line(page).press("Enter")
    wait_for_end(page)
    assert engine.asked[0][0][-1].content.count("word") == 2_048


def test_a_binary_file_is_refused_in_words(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    page = visit(address)
    attach(page, BINARY)
    expect(page.get_by_role("alert")).to_contain_text("noise.bin cannot be attached")
    expect(tags(page)).to_have_count(0)


def test_a_long_paste_becomes_a_file(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    page = visit(address, permissions=CLIPBOARD)
    page.evaluate("navigator.clipboard.writeText('word '.repeat(900))")
    line(page).click()
    page.keyboard.press("Control+V")
    expect(tags(page)).to_contain_text("pasted text.txt · 900 tokens")
    expect(line(page)).to_have_value("")
    talk(page, "Count them")
    assert engine.asked[0][0][-1].content.count("word") == 900


def test_a_short_paste_stays_text(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    page = visit(address, permissions=CLIPBOARD)
    page.evaluate("navigator.clipboard.writeText('A short text')")
    line(page).click()
    page.keyboard.press("Control+V")
    expect(line(page)).to_have_value("A short text")
    expect(tags(page)).to_have_count(0)


# --- two answers ---

@pytest.mark.parametrize(("side", "place"), [("#mc-left", "1 / 2"), ("#mc-right", "2 / 2")], ids=["first", "second"])
def test_of_two_answers_side_by_side_one_is_kept(visit: Visit, engine: ScriptedEngine, address: str, side: str, place: str) -> None:
    engine.script = [lambda options: TextDelta(f"Asked at {options.temperature:.1f}"), Finished("stop", USAGE)]
    page = visit(address)
    open_options(page)
    page.get_by_label("Compare two replies").check()
    page.get_by_role("slider", name=re.compile("Temperature of the second reply")).or_(
        page.get_by_role("spinbutton", name=re.compile("Temperature of the second reply"))).last.fill("1.5")
    page.get_by_role("button", name="Close").click()
    send(page, "Hello")
    expect(page.get_by_role("button", name="Keep this reply")).to_have_count(2)
    texts = {"#mc-left": f"Asked at {engine.options.temperature:.1f}", "#mc-right": "Asked at 1.5"}
    for name, text in texts.items():
        expect(page.locator(name).get_by_text(text)).to_be_visible()
    page.locator(side).get_by_role("button", name="Keep this reply").click()
    expect(page.locator("#mc-conversation [data-testid=bot] .prose")).to_have_text(texts[side])
    expect(page.locator("#mc-conversation .bot-row")).to_contain_text(place)
    expect(page.locator("#mc-left")).to_be_hidden()
    page.reload()
    expect(page.locator("#mc-conversation [data-testid=bot] .prose")).to_have_text(texts[side])


# --- what the model is told ---

def test_what_the_model_sees_is_shown_in_a_dialog(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    page = visit(address)
    open_options(page)
    page.get_by_label("System prompt", exact=True).fill("Be brief.")
    talk(page, "Hello")
    page.get_by_title("Full prompt").click()
    dialog = page.get_by_role("dialog", name="Full prompt")
    expect(dialog.locator(".mc-tokens")).to_have_text(re.compile(r"^<system>Be ?brief\.<user>Hello$"))
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_preset_fills_the_system_prompt(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    page = visit(address)
    open_options(page)
    choose_preset(page, "Code")
    expect(page.get_by_label("System prompt", exact=True)).to_have_value(re.compile("senior programmer"))
    talk(page, "Hello")
    assert "senior programmer" in engine.asked[0][0][0].content


def test_a_preset_of_ones_own_survives_a_reload_until_it_is_deleted(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    page = visit(address)
    open_options(page)
    page.get_by_label("System prompt", exact=True).fill("Rhyme always.")
    page.get_by_role("button", name="Save as preset").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("Poet")
    page.keyboard.press("Enter")
    expect(page.locator("#mc-presets input")).to_have_value("Poet")
    page.reload()
    open_options(page)
    expect(page.get_by_label("System prompt", exact=True)).to_have_value("")
    choose_preset(page, "Poet")
    expect(page.get_by_label("System prompt", exact=True)).to_have_value("Rhyme always.")
    page.get_by_role("button", name="Delete preset").click()
    expect(page.locator("#mc-presets input")).to_have_value("")
    page.reload()
    open_options(page)
    page.locator("#mc-presets input").click()
    expect(page.get_by_role("option", name="Code")).to_be_visible()
    expect(page.get_by_role("option", name="Poet")).to_have_count(0)


# --- typing ---

@pytest.mark.parametrize("has_chat", [False, True], ids=["of-a-new-chat", "of-a-chat"])
def test_a_draft_survives_a_reload(visit: Visit, engine: ScriptedEngine, address: str, has_chat: bool) -> None:
    engine.script = answer("Words")
    page = visit(address)
    if has_chat:
        talk(page, "Hello")
    line(page).press_sequentially("Half a thought")
    page.reload()
    expect(line(page)).to_have_value("Half a thought")


def test_a_sent_message_is_no_draft(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    page = visit(address)
    line(page).press_sequentially("Hello")
    line(page).press("Enter")
    wait_for_end(page)
    page.reload()
    expect(asked(page)).to_have_text("Hello")
    expect(line(page)).to_have_value("")


def test_enter_while_composing_with_an_input_method_does_not_send(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = answer("Words")
    page = visit(address)
    keys = page.context.new_cdp_session(page)
    line(page).click()
    keys.send("Input.imeSetComposition", {"text": "ni hao", "selectionStart": 6, "selectionEnd": 6})
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229, "nativeVirtualKeyCode": 229}
    keys.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **enter})
    keys.send("Input.dispatchKeyEvent", {"type": "keyUp", **enter})
    expect(line(page)).to_have_value("ni hao")
    keys.send("Input.insertText", {"text": "你好"})
    expect(line(page)).to_have_value("你好")
    line(page).press("Enter")
    wait_for_end(page)
    assert [[message.content for message in messages] for messages, _ in engine.asked] == [["你好"]]


def test_what_is_typed_right_after_enter_stays(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = [TextDelta("One "), 0.5, *answer("two")]
    page = visit(address)
    send(page, "Hello")
    page.wait_for_timeout(80)       # nobody's next letter comes sooner
    page.keyboard.type("and this is next", delay=15)
    wait_for_end(page)
    expect(line(page)).to_have_value("and this is next")
