"""The options of a reply: system prompt and presets, sampling options with the model's defaults, and a second reply to compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import EngineError, GenerationOptions
from engine.errors import InvalidRequest

from ..shared.context import QUICK, PageBuilder
from ..shared.language import language_of, text
from ..shared.visitor import owner_of
from .shape_choice import build_shape_choice, shape_of, values_of_shape
from .tool_choice import build_tool_choice

# name: lowest, highest, step of its slider
RANGES = {
    "temperature": (0, 2, 0.05), "max_new_tokens": (16, 4096, 16), "top_p": (0, 1, 0.01), "top_k": (0, 200, 1),
    "min_p": (0, 1, 0.01), "repetition_penalty": (0.5, 2, 0.01), "presence_penalty": (-2, 2, 0.1),
}
PRESETS = ("write", "translate", "explain", "code", "tutor", "data")
MAX_PRESET_NAME = 60
SAVE_JS = """(name, prompt) => mindcubes.ask(document.querySelector('#mc-preset-save button, button#mc-preset-save')?.innerText || '', '')
  .then(name => [name, prompt])"""


@dataclass(frozen=True)
class OptionsPanel:
    """`fields` have the order of the values that `read` takes and `values_of` returns. `asked`: all inputs on which a reply depends.

    The first three of `asked` page.js fills in: what the lists beside the message box show, and the collections that were removed just
    now. A message that follows a choice at once must not be handled before it.
    """

    system_prompt: gr.Textbox
    presets: gr.Dropdown
    tools: gr.CheckboxGroup
    fields: tuple[gr.components.Component, ...]
    asked: tuple[gr.components.Component, ...]


def build_options_panel(builder: PageBuilder, page: gr.Blocks, session: gr.State) -> OptionsPanel:
    with gr.Column(elem_id="mc-options", elem_classes="mc-options"):
        with gr.Row(elem_classes="mc-options-head"):
            builder.labelled(gr.Markdown, {"value": "options.title"}, elem_classes="mc-options-title")
            reset, close = (builder.labelled(gr.Button, {"value": f"options.{name}"}, size="sm", elem_id=f"mc-{name}", min_width=0)
                            for name in ("reset", "close"))
            close.click(None, js="() => mindcubes.toggleOptions(false)", api_visibility="private")
        defaults = builder.engine.default_options()
        presets = builder.labelled(gr.Dropdown, {"label": "preset.title"}, choices=[], value=None, elem_id="mc-presets")
        system_prompt = builder.labelled(
            gr.Textbox, {"label": "options.system", "placeholder": "options.system.placeholder"}, lines=3, max_lines=8)
        with gr.Row(elem_classes="mc-options-head"):
            save, forget = (builder.labelled(gr.Button, {"value": f"preset.{name}"}, size="sm", elem_id=f"mc-preset-{name}", min_width=0)
                            for name in ("save", "forget"))
        sliders = [_slider(builder, name, getattr(defaults, name)) for name in RANGES]
        tools = build_tool_choice(builder)
        stop = builder.labelled(gr.Textbox, {"label": "options.stop", "info": "options.stop.info"}, lines=2, max_lines=8)
        seed = builder.labelled(gr.Textbox, {"label": "options.seed", "info": "options.seed.info"}, lines=1, max_lines=1)
        budget = builder.labelled(gr.Textbox, {"label": "options.budget", "info": "options.budget.info"}, lines=1, max_lines=1,
                                  elem_id="mc-budget")
        shape = build_shape_choice(builder)
        pair = builder.labelled(gr.Checkbox, {"label": "compare.title", "info": "compare.info"}, value=False, elem_id="mc-compare")
        second_temperature = _slider(builder, "temperature", 1.0, "compare.temperature", visible=False)
        second_prompt = builder.labelled(gr.Textbox, {"label": "compare.system"}, lines=2, max_lines=8, visible=False)
    pair.change(lambda on: [gr.update(visible=on)] * 2, pair, [second_temperature, second_prompt], **QUICK)
    fields = (*sliders, stop, seed, budget, shape.kind, shape.value)
    reset.click(lambda state: [*values_of(builder.engine.default_options(state.effort)), tools.value], session, [*fields, tools], **QUICK)
    page.load(_wire_presets(builder, presets, system_prompt, save, forget), outputs=presets, **QUICK)
    lists = tuple(gr.Textbox(visible=False) for _ in range(3))
    asked = (*lists, tools, system_prompt, pair, second_prompt, second_temperature, *fields)
    return OptionsPanel(system_prompt, presets, tools, fields, asked)


def _wire_presets(builder: PageBuilder, presets: gr.Dropdown, system_prompt: gr.Textbox, save: gr.Button,
                  forget: gr.Button) -> Callable[..., Any]:
    """Returns the handler that fills the list when a page is opened."""
    conversations = builder.conversations

    def listed(request: gr.Request, chosen: str | None = None) -> Any:
        language = language_of(request)
        try:
            own = [(name, f"own {name}") for name in conversations.presets(owner_of(request))]
        except EngineError:         # the list of chats shows what is wrong with the database
            own = []
        return gr.update(choices=[*((text(language, f"preset.{name}"), name) for name in PRESETS), *own], value=chosen)

    def choose(chosen: str | None, request: gr.Request) -> Any:
        if not chosen:
            return gr.skip()
        if chosen.startswith("own "):
            return conversations.presets(owner_of(request)).get(chosen.removeprefix("own "), gr.skip())
        return text(language_of(request), f"preset.{chosen}.text") if chosen in PRESETS else gr.skip()

    def keep(name: str | None, prompt: str, request: gr.Request) -> Any:
        if not name or not name.strip() or not prompt.strip():
            return gr.skip()
        name = name.strip()[:MAX_PRESET_NAME]
        conversations.save_preset(owner_of(request), name, prompt)
        return listed(request, f"own {name}")

    def drop(chosen: str | None, request: gr.Request) -> Any:
        if not chosen or not chosen.startswith("own "):
            return gr.skip()
        conversations.delete_preset(owner_of(request), chosen.removeprefix("own "))
        return listed(request)

    named = gr.Textbox(visible=False)       # the name, for which page.js asks in a dialog
    presets.input(choose, presets, system_prompt, **QUICK)
    save.click(keep, [named, system_prompt], presets, js=SAVE_JS, **QUICK)
    forget.click(drop, presets, presets, **QUICK)
    return listed


def _slider(builder: PageBuilder, name: str, value: float, key: str = "", **properties: Any) -> gr.Slider:
    low, high, step = RANGES[name]
    key = key or f"options.{name}"
    return builder.labelled(gr.Slider, {"label": key, "info": f"options.{name}.info"},
                           minimum=low, maximum=high, step=step, value=value, buttons=[], **properties)


def read(values: Sequence[Any]) -> GenerationOptions:
    """Return the values of `fields` as options for the engine. Raises InvalidRequest."""
    numbers = dict(zip(RANGES, values, strict=False))
    stop, seed, budget, *shape = (value or "" for value in values[len(RANGES):])
    lines = tuple(line for line in stop.split("\n") if line)
    return GenerationOptions(**numbers, stop=lines, seed=_whole("seed", seed), reasoning_budget=_whole("reasoning_budget", budget),
                             shape=shape_of(*shape))


def _whole(name: str, value: str) -> int | None:
    if value.strip() and not value.strip().isdecimal():
        raise InvalidRequest(name, value, "empty or a whole number")
    return int(value) if value.strip() else None


def values_of(options: GenerationOptions) -> list[Any]:
    """Return the values of `fields` for `options`."""
    seed, budget = ("" if value is None else str(value) for value in (options.seed, options.reasoning_budget))
    return [*(getattr(options, name) for name in RANGES), "\n".join(options.stop), seed, budget, *values_of_shape(options.shape)]
