"""Pages over a scripted engine, served in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gradio as gr
import pytest

from ui.app import build_app, launch_arguments

from .scripted_engine import ScriptedEngine


@pytest.fixture
def serve() -> Iterator[Callable[[ScriptedEngine], str]]:
    """Serves the page over an engine and returns its address."""
    pages: list[gr.Blocks] = []

    def start(engine: ScriptedEngine) -> str:
        page = build_app(engine)  # type: ignore[arg-type]
        pages.append(page)
        _, address, _ = page.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **launch_arguments(engine))  # type: ignore[arg-type]
        return address

    yield start
    for page in pages:
        page.close(verbose=False)
