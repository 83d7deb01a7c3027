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


# --- pictures ---

PASTE = """async () => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 300, height: 200});
  canvas.getContext('2d').fillRect(50, 50, 100, 100);
  const files = new DataTransfer();
  files.items.add(new File([await new Promise(done => canvas.toBlob(done))], 'shot.png', {type: 'image/png'}));
  const box = document.querySelector('#mc-message textarea');
  box.focus();
  box.dispatchEvent(new ClipboardEvent('paste', {clipboardData: files, bubbles: true, cancelable: true}));
}"""
DROP = PASTE.replace("new ClipboardEvent('paste', {clipboardData: files,", "new DragEvent('drop', {dataTransfer: files,")


@pytest.mark.parametrize("act", [PASTE, DROP], ids=["pasted", "dropped"])
def test_a_picture_is_seen_before_and_after_it_is_sent(page: Page, engine: ScriptedEngine, act: str) -> None:
    engine.script = answer("A square")
    page.evaluate(act)
    expect(tags(page)).to_contain_text("shot.png · 16 tokens")
    expect(tags(page).get_by_role("button", name="Show shot.png large")).to_be_visible()
    page.locator("#mc-message textarea").fill("What is this?")
    page.locator("#mc-send").click()
    shown = page.locator(".mc-conversation").get_by_role("button", name="Show shot.png large")
    expect(page.locator(".mc-facts")).to_be_visible()
    expect(shown).to_be_visible()
    assert [(picture.width, picture.height) for picture in engine.asked[-1][0][-1].pictures] == [(300, 200)]
    page.reload()       # the address names the chat
    expect(page.locator(".mc-facts")).to_be_visible()
    expect(shown).to_be_visible()
    shown.focus()
    page.keyboard.press("Enter")
    large = page.get_by_role("dialog", name="shot.png").get_by_role("img", name="shot.png")
    expect(large).to_be_visible()
    assert large.evaluate("image => image.naturalWidth") == 300
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    expect(shown).to_be_focused()


def test_a_phone_offers_its_camera_among_the_files(page: Page, engine: ScriptedEngine) -> None:
    """Browsers of phones offer the camera where any file may be chosen, and only the camera where `capture` is set."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Attach").click()
    assert chooser.value.is_multiple()
    assert chooser.value.element.evaluate("input => [input.accept, input.hasAttribute('capture')]") == ["", False]


def test_a_model_that_reads_no_pictures_says_so_when_one_is_attached(page: Page, engine: ScriptedEngine) -> None:
    engine.reads_pictures = False
    page.evaluate(PASTE)
    expect(page.get_by_text("shot.png cannot be attached: the loaded model reads text only")).to_be_visible()
    expect(tags(page)).to_have_count(0)


# --- messages that wait ---

def test_a_message_sent_during_an_answer_waits_and_is_sent_by_itself(page: Page, engine: ScriptedEngine) -> None:
    go_on = threading.Event()
    engine.script = [TextDelta("Slow "), go_on, TextDelta("end."), Finished("stop", USAGE)]
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


# --- files and long pastes ---

def test_a_text_file_goes_with_the_message_and_the_model_reads_it(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("Words")
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


def test_a_guessed_encoding_is_changed_with_the_keyboard(page: Page, engine: ScriptedEngine) -> None:
    attach(page, {**NOTES, "buffer": "Öğle uykusu, ağaç\n".encode("cp1254")})
    encoding = page.get_by_label("Encoding of notes.txt")
    expect(encoding).to_have_value("cp1254")
    expect(tags(page)).to_contain_text("Öğle uykusu, ağaç")
    encoding.focus()
    page.keyboard.press("ArrowDown")
    expect(tags(page)).to_contain_text("Öðle uykusu, aðaç")
    expect(encoding).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(tags(page)).to_contain_text("Öğle uykusu, ağaç")


def test_a_long_paste_becomes_a_file(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("Words")
    page.evaluate("navigator.clipboard.writeText('word '.repeat(900))")
    line(page).click()
    page.keyboard.press("Control+V")
    expect(tags(page)).to_contain_text("pasted text.txt · 900 tokens")
    expect(line(page)).to_have_value("")
    talk(page, "Count them")
    assert engine.asked[0][0][-1].content.count("word") == 900


def test_a_short_paste_stays_text(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("Words")
    page.evaluate("navigator.clipboard.writeText('A short text')")
    line(page).click()
    page.keyboard.press("Control+V")
    expect(line(page)).to_have_value("A short text")
    expect(tags(page)).to_have_count(0)


# --- two answers ---

def test_of_two_answers_side_by_side_either_one_is_kept(visit: Visit, engine: ScriptedEngine, address: str) -> None:
    engine.script = [lambda options: TextDelta(f"Asked at {options.temperature:.1f}"), Finished("stop", USAGE)]
    page = visit(address)
    open_options(page)
    page.get_by_label("Compare two replies").check()
    page.get_by_role("slider", name=re.compile("Temperature of the second reply")).or_(
        page.get_by_role("spinbutton", name=re.compile("Temperature of the second reply"))).last.fill("1.5")
    page.get_by_role("button", name="Close").click()
    texts = {"#mc-left": f"Asked at {engine.options.temperature:.1f}", "#mc-right": "Asked at 1.5"}
    kept = page.locator("#mc-conversation [data-testid=bot] .prose")
    for count, (side, place) in enumerate((("#mc-left", "1 / 2"), ("#mc-right", "2 / 2")), 1):
        send(page, "Hello")
        expect(page.get_by_role("button", name="Keep this reply")).to_have_count(2)
        for name, text in texts.items():
            expect(page.locator(name).get_by_text(text)).to_be_visible()
        page.locator(side).get_by_role("button", name="Keep this reply").click()
        expect(kept).to_have_count(count)
        expect(kept.last).to_have_text(texts[side])
        expect(page.locator("#mc-conversation .bot-row").last).to_contain_text(place)
        expect(page.locator("#mc-left")).to_be_hidden()
    page.reload()
    expect(kept).to_have_text(list(texts.values()))


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


def test_presets_fill_the_system_prompt_and_a_saved_one_survives_a_reload_until_it_is_deleted(
        visit: Visit, engine: ScriptedEngine, address: str) -> None:
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
    page.get_by_role("option", name="Code", exact=True).click()
    expect(page.get_by_label("System prompt", exact=True)).to_have_value(re.compile("senior programmer"))
    talk(page, "Hello")
    assert "senior programmer" in engine.asked[0][0][0].content


# --- typing ---

@pytest.mark.parametrize("has_chat", [False, True], ids=["of-a-new-chat", "of-a-chat"])
def test_a_draft_survives_a_reload(page: Page, engine: ScriptedEngine, has_chat: bool) -> None:
    engine.script = answer("Words")
    if has_chat:
        talk(page, "Hello")
    line(page).press_sequentially("Half a thought")
    page.reload()
    expect(line(page)).to_have_value("Half a thought")


def test_a_sent_message_is_no_draft(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("Words")
    line(page).press_sequentially("Hello")
    line(page).press("Enter")
    wait_for_end(page)
    page.reload()
    expect(asked(page)).to_have_text("Hello")
    expect(line(page)).to_have_value("")
    page.get_by_role("button", name="New chat").click()
    expect(page.locator("[data-example]")).to_have_count(4)
    expect(line(page)).to_have_value("")


def test_enter_while_composing_with_an_input_method_does_not_send(page: Page, engine: ScriptedEngine) -> None:
    engine.script = answer("Words")
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


def test_what_is_typed_right_after_enter_stays(page: Page, engine: ScriptedEngine) -> None:
    engine.script = [TextDelta("One "), 0.5, *answer("two")]
    send(page, "Hello")
    page.wait_for_timeout(80)       # nobody's next letter comes sooner
    page.keyboard.type("and this is next", delay=15)
    wait_for_end(page)
    expect(line(page)).to_have_value("and this is next")
