"""A model for a task and an adapter on the page: each found by its folder, loaded, and used; every step accessible."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from engine.models.resolve import BUILTIN_FOLDER
from tests import task_models
from tests.engine.runtime.test_model_adapters import adapter

from .conftest import app_here
from .test_accessibility import violations
from .test_chat import Visit, send, wait_for_model
from .test_models import find, open_models, primary
from .test_models_accessibility import fits

LOAD_MS = 60_000


def test_a_task_is_tried_and_an_adapter_answers_beside_its_base(visit: Visit, tmp_path: Path) -> None:
    tags = task_models.encoder(tmp_path / "tags", "token-classification")
    tuned = adapter(tmp_path / "tuned", BUILTIN_FOLDER, 1, lora_alpha=32)
    with app_here(tmp_path / "home") as address:
        page = visit(address)
        wait_for_model(page)
        open_models(page)
        find(page, str(tags))
        expect(page.locator("#mc-model")).to_contain_text("A model for one task: finding names")
        primary(page).filter(has_text="Swap").click()
        box = page.locator("#mc-try")
        box.get_by_label("Text").fill("Ada Lovelace wrote the first program in London .", timeout=LOAD_MS)
        box.get_by_role("button", name="Run").click()
        expect(box.locator("mark").first).to_be_visible()
        expect(box.locator(".mc-scores tbody tr").first).to_contain_text("%")
        assert (violations(page), fits(page)) == ([], True)
        page.set_viewport_size({"width": 390, "height": 844})
        assert fits(page)
        page.get_by_role("tab", name="Chat").click()
        expect(page.get_by_role("heading", name="This model does not chat")).to_be_visible()
        page.set_viewport_size({"width": 1280, "height": 800})

        open_models(page)
        find(page, str(tuned))
        expect(page.locator("#mc-model")).to_contain_text("LoRA adapter of Built-in guide")
        primary(page).filter(has_text="Swap").click()
        expect(page.locator("#mc-status")).to_contain_text("Built-in guide + tuned", timeout=LOAD_MS)
        assert violations(page) == []
        page.get_by_role("tab", name="Chat").click()
        page.get_by_label("Adapter", exact=True).select_option(label="base and tuned, side by side")
        assert violations(page) == []
        send(page, "What is LoRA?")
        for side, name in (("left", "Built-in guide ·"), ("right", "Built-in guide + tuned ·")):
            expect(page.locator(f"#mc-{side} .mc-note").first).to_contain_text(name, timeout=LOAD_MS)
        expect(page.locator("#mc-left")).to_contain_text(re.compile("LoRA .*matrices"), timeout=LOAD_MS)
        expect(page.get_by_label("Adapter", exact=True)).to_have_value("beside tuned")
