"""Measures how much slower replies are on the real page, in Chromium, than from the engine alone: long ones, long chats, edits.

    python -m benchmarks.browser

A copy of the built-in model without an end token generates replies of 1,000 and 4,000 tokens. A time on the page is from pressing
Enter until the footer of the finished reply appears. The engine alone runs in a separate process. Since a machine's speed changes,
the page and the engine take turns: each ratio is of two replies generated one after the other, and the median ratio is reported.
CPU use is that of all Chromium processes during a reply, in cores.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

from engine.storage.chats import ChatStore
from engine.storage.database import Database
from engine.storage.records import ChatMessage

from .page import App, endless_copy, through_engine

QUESTION = "tell me everything"
ROUNDS = ((1_000, 5), (4_000, 3))       # tokens of a reply, and how often
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def chromium_seconds() -> float:
    """Return the CPU seconds that all Chromium processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in psutil.process_iter(["name"]) if "chrom" in (process.info["name"] or ""))


def set_tokens(page: Page, tokens: int) -> None:
    page.locator("#mc-options-toggle").click()
    for label, value in (("Max tokens", tokens), ("Temperature", 0)):
        field = page.get_by_role("spinbutton", name=label).first
        field.fill(str(value))
        field.press("Tab")
    page.locator("#mc-close").click()


def streamed(page: Page, start: Callable[[], None]) -> tuple[float, float, float]:
    """Return the seconds to the first text and to the end of a reply, and the cores that the browser used meanwhile."""
    page.evaluate("""() => { window.seen = {}; const began = performance.now();
      const look = () => {
        const last = [...document.querySelectorAll('#mc-conversation .bot-row')].pop();
        const isWriting = last?.querySelector('.mc-foot[role=status]');
        if (isWriting) seen.began = true;
        if (!seen.first && seen.began && last.querySelector('.prose')?.innerText.trim()) seen.first = performance.now() - began;
        if (seen.began && last && !isWriting) seen.end = performance.now() - began; else requestAnimationFrame(look);
      }; look(); }""")
    before, started = chromium_seconds(), time.perf_counter()
    start()
    page.wait_for_function("window.seen.end", timeout=300_000)
    cores = (chromium_seconds() - before) / (time.perf_counter() - started)
    first, end = page.evaluate("[seen.first, seen.end]")
    return first / 1000, end / 1000, cores


def send(page: Page, text: str) -> Callable[[], None]:
    def start() -> None:
        page.locator("#mc-message textarea").fill(text)
        page.locator("#mc-message textarea").press("Enter")
    return start


def answered(page: Page, address: str, tokens: int) -> tuple[float, float]:
    """Return the seconds to the end of a reply in a new chat, and the cores that the browser used meanwhile."""
    open_page(page, address)
    set_tokens(page, tokens)
    _, end, cores = streamed(page, send(page, QUESTION))
    return end, cores


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("[data-example], [data-act=regenerate]", timeout=60_000)
    page.wait_for_timeout(1_000)


LONG = [("user" if i % 2 == 0 else "assistant", f"message number {i} " * 8) for i in range(200)]


def long_chat(folder: Path, owner_key: str) -> str:
    """Store a chat of 200 short messages whose owner is that browser, and return its id."""
    import hashlib

    store = ChatStore(Database(folder))
    path = [ChatMessage(role, text) for role, text in LONG]
    return store.copy(hashlib.sha256(f"browser {owner_key}".encode()).hexdigest(), "long", path).id


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        model = endless_copy(Path(folder) / "endless", window_tokens=8192)
        app = App(str(model), data_dir=Path(folder) / "data")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        try:
            app.wait()
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            for tokens, rounds in ROUNDS:
                pairs = [(through_engine(model, QUESTION, tokens, runs=1), answered(page, app.url, tokens)) for _ in range(rounds)]
                alone, (end, cores) = sorted(pairs, key=lambda pair: pair[1][0] / pair[0])[rounds // 2]
                every = ", ".join(f"{other / one:.2f}x" for one, (other, _) in pairs)
                print(f"{tokens:,} tokens: engine {alone:.2f} s, page {end:.2f} s: {end / alone:.2f}x ({every}; target 1.1), "
                      f"{end - alone:.2f} s later (target 0.5), browser {cores:.2f} cores (target under 1)", flush=True)
            open_page(page, app.url)
            set_tokens(page, 200)
            first, end, _ = streamed(page, send(page, "hello"))
            again = statistics.median(streamed(page, page.get_by_role("button", name="Regenerate").last.click)[0] for _ in range(3))

            page.locator("[data-testid=user]").first.hover()
            page.locator("[data-act=edit]").first.click()
            page.wait_for_selector("[data-act=cancel-edit]")
            edited, _, _ = streamed(page, send(page, "hello there"))
            print(f"first text: new chat {first:.2f} s; regenerate {again:.2f} s: {again / first:.2f}x; edit {edited:.2f} s: "
                  f"{edited / first:.2f}x (target 1.5)")
            key = page.evaluate("localStorage.getItem('mindcubes_key')")
            open_page(page, f"{app.url}?chat={long_chat(Path(folder) / 'data', key)}")
            set_tokens(page, 200)
            streamed(page, send(page, "hello"))         # processes the earlier messages, which are then in the KV cache
            _, long_end, _ = streamed(page, page.get_by_role("button", name="Regenerate").last.click)
            alone, long_alone = (through_engine(model, "hello", 200, before=before) for before in ((), LONG))
            print(f"200 tokens in a chat of 2 messages {end:.2f} s, in one of 200 messages {long_end:.2f} s: {long_end / end:.2f}x; "
                  f"of the engine alone {alone:.2f} and {long_alone:.2f} s: {long_alone / alone:.2f}x. "
                  f"The page adds {end - alone:.2f} and {long_end - long_alone:.2f} s")
        finally:
            browser.close()
            app.close()


if __name__ == "__main__":
    main()
