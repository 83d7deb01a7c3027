"""Gradio's stream of events may end while an event waits: then another one follows, and the client never hears of the end."""

from pathlib import Path

from playwright.sync_api import Browser

from .conftest import ROOT

SCRIPT = (Path(ROOT) / "ui" / "static" / "gradio_workarounds.js").read_text("utf-8")
# A server that ends its first stream when it is told to, whatever was begun, and delivers with the second one.
SERVER_JS = """
const frame = (msg, id) => new TextEncoder().encode(`data: ${JSON.stringify({msg, event_id: id, output: {}})}\\n\\n`);
let streams = 0, end;
const told = new Promise(done => { end = done; });
window.fetch = async input => {
  if ((input.url ?? input).includes('/queue/join')) return new Response('{"event_id": "abc"}');
  const isFirst = ++streams === 1;
  return new Response(new ReadableStream({async start(out) {
    if (isFirst) await told;
    else out.enqueue(frame('process_completed', 'abc'));
    out.enqueue(frame('close_stream', null));
    out.close();
  }}));
};
"""
CLIENT_JS = """async isBegun => {
  const stream = await fetch('http://server/queue/data');
  if (isBegun) await fetch('http://server/queue/join');
  end();
  return [[...(await stream.text()).matchAll(/"msg":"(\\w+)"/g)].map(found => found[1]), streams];
}"""


def heard(browser: Browser, *, is_begun: bool) -> list[object]:
    """What the client of the page hears of an event that begins as the stream ends, and how many streams that took."""
    page = browser.new_page()
    try:
        page.goto("data:text/html,<p>")
        page.add_script_tag(content=SERVER_JS)
        page.add_script_tag(content=SCRIPT)
        found: list[object] = page.evaluate(CLIENT_JS, is_begun)
        return found
    finally:
        page.close()


def test_an_event_that_begins_as_the_stream_ends_reaches_the_client(browser: Browser) -> None:
    assert heard(browser, is_begun=True) == [["process_completed", "close_stream"], 2]


def test_a_stream_without_an_event_ends(browser: Browser) -> None:
    assert heard(browser, is_begun=False) == [["close_stream"], 1]


def test_only_progress_that_is_shown_is_passed_on(browser: Browser) -> None:
    page = browser.new_page()
    try:
        page.goto("data:text/html,<p>")
        page.add_script_tag(content=SCRIPT)
        standing = {"7": {"component_id": 7, "show_progress": "hidden"}, "8": {"component_id": 8, "show_progress": "minimal"}}
        assert page.evaluate("all => Object.entries(all).map(([id]) => id)", standing) == ["8"]
        others = {"a": 1, "b": {"show_progress": "hidden"}}
        assert page.evaluate("all => Object.entries(all).length", others) == 2
        assert page.evaluate("Object.entries({}).length") == 0
    finally:
        page.close()
