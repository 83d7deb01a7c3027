"""What Gradio keeps of every open page, without what this app never reads of it.

Gradio keeps 10,000 pages, open or closed, each with a description of all its components, for links that restore a page, and with a
new component for each that was ever updated: 1 MiB for every visitor. Such links are not used here, and most pages get the same
updates. How many pages are kept is a setting of `launch` (MAX_PAGES). tests/ui/compat/test_page_sessions.py checks what is overridden
against the installed version.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from weakref import WeakValueDictionary

import gradio as gr
from gradio.routes import App
from gradio.state_holder import SessionState, StateHolder

MAX_PAGES = 1_000       # of these, the page that was silent for longest is forgotten; an open one asks every few seconds


class PageSession(SessionState):  # type: ignore[misc]
    """The state of one page. `shared`: the updated components of all pages, which are never changed: an update makes a new one."""

    def __init__(self, blocks: gr.Blocks, shared: MutableMapping[str, gr.blocks.Block]) -> None:
        self._shared = shared
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks={}))      # describes the components in `blocks`

    def __setitem__(self, key: int, value: Any) -> None:
        block = self.blocks_config.blocks.get(key)
        if isinstance(block, gr.State):
            self._state_ttl[key] = (block.time_to_live, datetime.now())
            self.state_data[key] = value
        else:
            self.blocks_config.blocks[key] = self._shared.setdefault(f"{key} {value.constructor_args!r}", value)

    def _update_config(self, key: int) -> None:
        """Nothing: Gradio would describe the component again, in what is kept for links that restore a page."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Nothing, for the same reason."""


class PageSessions(StateHolder):  # type: ignore[misc]
    """The pages by the name that each chose for itself."""

    def __init__(self) -> None:
        super().__init__()
        self._shared: WeakValueDictionary[str, gr.blocks.Block] = WeakValueDictionary()

    def __getitem__(self, name: str) -> SessionState:
        if name not in self.session_data:
            self.session_data[name] = PageSession(self.blocks, self._shared)
        return super().__getitem__(name)

    def update(self, name: str) -> None:
        """Note that the page was heard of, and forget another if there are too many."""
        with self.lock:
            if name in self.session_data:
                self.session_data.move_to_end(name)
            if len(self.session_data) > self.capacity:
                forgotten, _ = self.session_data.popitem(last=False)
                self.time_last_used.pop(forgotten, None)
                queue = self.blocks._queue      # where one that left during an event stays, with what it was to be told
                queue.pending_event_ids_session.pop(forgotten, None)
                queue.pending_messages_per_session.pop(forgotten, None)


@asynccontextmanager
async def small_sessions(app: App) -> AsyncIterator[None]:
    """Let `app` keep its pages in this way, from its start: for the `lifespan` of a launch."""
    sessions = PageSessions()
    sessions.set_blocks(app.get_blocks())
    app.state_holder = sessions
    yield
