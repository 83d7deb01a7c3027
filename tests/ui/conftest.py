"""One page for a module's tests, over a scripted engine, served in this process."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr
import pytest

from ui.app import build_app, launch

from .scripted_engine import ScriptedEngine


@pytest.fixture(scope="module")
def page_engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture(scope="module")
def launched(page_engine: ScriptedEngine) -> Iterator[gr.Blocks]:
    page = build_app(page_engine)  # type: ignore[arg-type]
    launch(page, page_engine, server_name="127.0.0.1")  # type: ignore[arg-type]
    yield page
    page.close(verbose=False)


@pytest.fixture(scope="module")
def served(page_engine: ScriptedEngine, launched: gr.Blocks) -> tuple[ScriptedEngine, str]:
    """A page's engine and address."""
    return page_engine, launched.local_url


@pytest.fixture
def engine(served: tuple[ScriptedEngine, str]) -> Iterator[ScriptedEngine]:
    """The engine of the module's page, reset."""
    yield served[0]
    served[0].reset()


@pytest.fixture
def address(served: tuple[ScriptedEngine, str]) -> str:
    return served[1]
