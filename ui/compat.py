"""Everything this page uses of Gradio that Gradio does not document, each with the reason.

tests/ui/test_compat.py checks every line of it against the installed version.
"""

from __future__ import annotations

from typing import Any

import gradio as gr


def event_data(event: gr.EventData) -> dict[str, Any]:
    """What JavaScript passed to `trigger(name, data)`.

    Gradio offers it as attributes, which raise for a missing name; here a browser may have sent anything.
    """
    data = event._data
    return data if isinstance(data, dict) else {}
