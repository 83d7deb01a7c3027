"""The options of a reply: the model's own defaults, what the visitor made of them, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import GenerationOptions, InvalidRequest

from .shared import Shared

# name: lowest, highest, step of its slider
RANGES = {
    "temperature": (0, 2, 0.05), "max_new_tokens": (16, 4096, 16), "top_p": (0, 1, 0.01), "top_k": (0, 200, 1),
    "min_p": (0, 1, 0.01), "repetition_penalty": (0.5, 2, 0.01),
}


@dataclass(frozen=True)
class OptionsPanel:
    """`fields` are in the order that `read` takes and `values_of` returns."""

    system_prompt: gr.Textbox
    fields: tuple[gr.components.Component, ...]


def build_options_panel(shared: Shared) -> OptionsPanel:
    with gr.Column(elem_id="mc-options", elem_classes="mc-options"):
        with gr.Row(elem_classes="mc-options-head"):
            shared.labelled(gr.Markdown, {"value": "options.title"}, elem_classes="mc-options-title")
            reset, close = (shared.labelled(gr.Button, {"value": f"options.{name}"}, size="sm", elem_id=f"mc-{name}", min_width=0)
                            for name in ("reset", "close"))
            close.click(None, js="() => mindcubes.toggleOptions(false)", api_visibility="private")
        defaults = shared.engine.default_options()
        system_prompt = shared.labelled(
            gr.Textbox, {"label": "options.system", "placeholder": "options.system.placeholder"}, lines=3, max_lines=8)
        sliders = [_slider(shared, name, getattr(defaults, name)) for name in RANGES]
        stop = shared.labelled(gr.Textbox, {"label": "options.stop", "info": "options.stop.info"}, lines=2, max_lines=8)
        seed = shared.labelled(gr.Textbox, {"label": "options.seed", "info": "options.seed.info"}, lines=1, max_lines=1)
    fields = (*sliders, stop, seed)
    reset.click(lambda: values_of(shared.engine.default_options()), outputs=list(fields), queue=False,
                show_progress="hidden", api_visibility="private")
    return OptionsPanel(system_prompt, fields)


def _slider(shared: Shared, name: str, value: float) -> gr.Slider:
    low, high, step = RANGES[name]
    return shared.labelled(gr.Slider, {"label": f"options.{name}", "info": f"options.{name}.info"},
                           minimum=low, maximum=high, step=step, value=value, buttons=[])


def read(values: Sequence[Any]) -> GenerationOptions:
    """The options as the engine takes them. Raises InvalidRequest."""
    numbers = dict(zip(RANGES, values, strict=False))
    stop, seed = (value or "" for value in values[len(RANGES):])
    if seed.strip() and not seed.strip().isdecimal():
        raise InvalidRequest("seed", seed, "empty or a whole number")
    lines = tuple(line for line in stop.split("\n") if line)
    return GenerationOptions(**numbers, stop=lines, seed=int(seed) if seed.strip() else None)


def values_of(options: GenerationOptions) -> list[Any]:
    """What the fields show for `options`."""
    seed = "" if options.seed is None else str(options.seed)
    return [*(getattr(options, name) for name in RANGES), "\n".join(options.stop), seed]
