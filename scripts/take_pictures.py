"""Takes the screenshots of the README from a running app: python -m scripts.take_pictures http://127.0.0.1:7860 docs/pictures"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
QUESTIONS = ("which model fits in 6 GB?", "write a program that prints the first 10 fibonacci numbers")

DRAWING = """import matplotlib.pyplot as plt
import numpy as np

x = np.linspace(0, 4 * np.pi, 400)
plt.figure(figsize=(6, 2.2))
plt.plot(x, np.sin(x) * np.exp(-x / 8))
plt.tight_layout()
plt.savefig("wave.png", dpi=140)
print("wave.png")
"""


def ask(page: Page, question: str, count: int) -> None:
    box = page.locator("#mc-message textarea")
    box.fill(question)
    box.press("Enter")
    page.wait_for_function("count => document.querySelectorAll('.mc-facts').length >= count", arg=count, timeout=120_000)


def solve(page: Page) -> None:
    """Run a program that the model writes, and then an edited one that draws a plot."""
    page.locator("[data-tab-id=agent]").first.click()
    page.locator("#mc-approve input").uncheck()
    page.locator("#mc-agent-welcome [data-value=primes]").click()
    page.wait_for_selector("#mc-steps [data-agent=edit]", timeout=60_000)
    page.locator("#mc-steps [data-agent=edit]").first.click()
    page.locator(".mc-editor textarea").fill(DRAWING)
    page.locator(".mc-editor [data-agent=run]").click()
    page.wait_for_function("document.querySelector('#mc-steps img')?.naturalWidth > 100", timeout=60_000)
    page.wait_for_selector("#mc-steps [data-agent=edit]")
    page.wait_for_timeout(800)


def measure(page: Page) -> None:
    """Measure the built-in model in each quantization, unless it has been measured already."""
    page.locator("[data-tab-id=benchmark]").first.click()
    page.wait_for_selector("#mc-bench-history h2")
    if not page.locator(".mc-history tbody tr").count():
        for name, value in (("prompt", 256), ("new", 64), ("repetitions", 3)):
            page.locator(f"#mc-bench-{name} input").fill(str(value))
        page.locator("#mc-bench-sweep-box button").first.click()
        boxes = page.locator("#mc-bench-quantizations input")
        boxes.first.wait_for()      # they are made when the section opens
        for box in boxes.all():
            box.check()
        page.locator("#mc-bench-sweep").click()
        page.wait_for_function("document.querySelectorAll('.mc-history tbody tr').length >= 4", timeout=300_000)
        page.wait_for_selector(".mc-now progress", state="detached")
        page.locator("#mc-bench-sweep-box button").first.click()
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(800)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS)
        for name, width, height, scheme, locale in (("chat", 1280, 800, "light", "en-US"), ("chat-dark", 1280, 800, "dark", "tr-TR"),
                                                    ("chat-phone", 390, 844, "light", "en-US")):
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, locale=locale)  # type: ignore[arg-type]
            page = context.new_page()
            page.goto(options.url)
            page.wait_for_selector("#mc-message textarea")
            page.wait_for_timeout(3000)
            page.screenshot(path=options.folder / f"{name}-empty.png")
            for count, question in enumerate(QUESTIONS, 1):
                ask(page, question, count)
            page.wait_for_timeout(800)
            page.screenshot(path=options.folder / f"{name}.png")
            page.locator("[data-tab-id=models]").first.click()
            page.locator("#mc-models-search :is(input, textarea)").fill("builtin")
            page.locator("#mc-models-search :is(input, textarea)").press("Enter")
            page.wait_for_selector("#mc-model .mc-table")
            page.wait_for_timeout(800)
            page.screenshot(path=options.folder / f"{name.replace('chat', 'models')}.png")
            solve(page)
            page.screenshot(path=options.folder / f"{name.replace('chat', 'agent')}.png")
            measure(page)
            page.screenshot(path=options.folder / f"{name.replace('chat', 'benchmark')}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
