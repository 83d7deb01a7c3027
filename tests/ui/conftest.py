"""One page for a module's tests, over a scripted engine, served in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ui.app import build_app, launch

from .scripted_engine import ScriptedEngine


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[ScriptedEngine, str]]:
    """A page's engine and address."""
    engine = ScriptedEngine()
    page = build_app(engine)  # type: ignore[arg-type]
    yield engine, launch(page, engine, server_name="127.0.0.1")  # type: ignore[arg-type]
    page.close(verbose=False)


@pytest.fixture
def engine(served: tuple[ScriptedEngine, str]) -> Iterator[ScriptedEngine]:
    """The engine of the module's page, reset."""
    yield served[0]
    served[0].reset()


@pytest.fixture
def address(served: tuple[ScriptedEngine, str]) -> str:
    return served[1]
