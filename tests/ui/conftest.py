"""One page for a worker's tests, over a scripted engine, served in this process: building and launching one costs a second of a core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import gradio as gr
import pytest

from engine import Engine
from ui.app import build_app, launch

from .scripted_engine import ScriptedEngine


@contextmanager
def launching(engine: ScriptedEngine | Engine) -> Iterator[gr.Blocks]:
    """The page of an engine while it is served."""
    page = build_app(engine)  # type: ignore[arg-type]
    launch(page, engine, server_name="127.0.0.1")  # type: ignore[arg-type]
    yield page
    page.close(verbose=False)


@pytest.fixture(scope="session")
def scripted() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture(scope="session")
def shared_page(scripted: ScriptedEngine) -> Iterator[gr.Blocks]:
    with launching(scripted) as page:
        yield page


@pytest.fixture(scope="module")
def page_engine(scripted: ScriptedEngine) -> ScriptedEngine:
    """Of the module's page. A module that replaces it gets a page of its own."""
    return scripted


@pytest.fixture(scope="module")
def launched(page_engine: ScriptedEngine, scripted: ScriptedEngine, request: pytest.FixtureRequest) -> Iterator[gr.Blocks]:
    with nullcontext(request.getfixturevalue("shared_page")) if page_engine is scripted else launching(page_engine) as page:
        yield page


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
