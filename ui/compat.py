"""Everything this page uses of Gradio that Gradio does not document, each with the reason.

tests/ui/test_compat.py checks every line of it against the installed version.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from starlette.applications import Starlette
from starlette.middleware import Middleware

QUEUE_S = 0.02          # the latest that a waiting event begins
PROGRESS_S = 1.0        # nothing here reports progress by Gradio's means


def event_data(event: gr.EventData) -> dict[str, Any]:
    """What JavaScript passed to `trigger(name, data)`.

    Gradio offers it as attributes, which raise for a missing name; here a browser may have sent anything.
    """
    data = event._data
    return data if isinstance(data, dict) else {}


def put_first(app: Starlette, middleware: Middleware) -> None:
    """Let `middleware` see every request before Gradio's own, one of which lets any origin in.

    Gradio adds its own while it launches, outside of those that are given to it; Starlette takes none after that.
    """
    app.user_middleware.insert(0, middleware)
    app.middleware_stack = app.build_middleware_stack()


def slow_down_queue(page: gr.Blocks) -> None:
    """Look for work every 20 ms, and for progress every second.

    Gradio's own rates (1 and 10 ms, no setting) take Python away from the model that generates: a tenth of its speed on 2 cores.
    """
    page._queue.sleep_when_free = QUEUE_S
    page._queue.progress_update_sleep_when_free = PROGRESS_S
