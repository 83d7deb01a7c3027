"""The components of the Models tab and their layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import Quantization

from ..shared.context import PageBuilder
from ..shared.html import ACTION_JS
from ..tryit.box import TryIt, build_tryit
from .operation import OperationParts, build_operation_parts
from .remote import RemoteParts, build_remote_parts
from .session import CONTEXTS, MAX_CHATS, ModelsSession

SIZES: dict[str, tuple[int | None, int | None]] = {
    "any": (None, None), "1": (None, 10**9), "4": (10**9, 4 * 10**9), "9": (4 * 10**9, 9 * 10**9), "20": (9 * 10**9, 20 * 10**9),
    "more": (20 * 10**9, None)}
SORTS = ("downloads", "trending", "likes", "date")
LICENCES = ("", "apache-2.0", "mit", "llama3.2", "gemma", "other")
FORMATS = ("safetensors", "gguf")
TASKS = ("text-generation", "image-text-to-text", "")


@dataclass(frozen=True)
class Filters:
    typed: gr.Textbox
    task: gr.Dropdown
    size: gr.Dropdown
    licence: gr.Dropdown
    gated: gr.Dropdown
    sort: gr.Dropdown
    format: gr.Dropdown

    @property
    def choices(self) -> list[gr.Dropdown]:
        return [self.task, self.size, self.licence, self.gated, self.sort, self.format]


@dataclass(frozen=True)
class LoadControls:
    """The options with which the shown model is loaded, and the buttons."""

    box: gr.Column
    quantization: gr.Radio
    context: gr.Dropdown
    visitors: gr.Number
    device: gr.Radio
    stops: gr.Checkbox
    primary: gr.Button
    save: gr.Button
    unload: gr.Button

    @property
    def options(self) -> list[Any]:
        return [self.quantization, self.context, self.visitors, self.device, self.stops]


@dataclass(frozen=True)
class Detail:
    """The components that show one model."""

    about: gr.HTML
    problem: gr.HTML
    token_box: gr.Column
    token: gr.Textbox
    use_token: gr.Button
    load: LoadControls
    tryit: TryIt
    card_box: gr.Accordion
    card: gr.Markdown


@dataclass(frozen=True)
class ModelsTab:
    """`wake` is counted up when a job or the loaded model has changed."""

    session: gr.State
    wake: gr.State
    machine: gr.HTML
    filters: Filters
    listing: gr.HTML
    disk: gr.HTML
    remote: RemoteParts
    operation: OperationParts
    detail: Detail

    @property
    def outputs(self) -> list[Any]:
        """Every component whose value depends on the session."""
        detail, load = self.detail, self.detail.load
        return [self.machine, self.listing, self.disk, *self.remote.outputs, *self.operation.outputs, detail.about, detail.problem,
                detail.token_box, detail.token, load.box, load.quantization, load.context, load.visitors, load.device, load.primary,
                load.save, load.unload, detail.card_box, detail.card, *detail.tryit.outputs]


def build_parts(builder: PageBuilder) -> ModelsTab:
    session, wake = gr.State(ModelsSession()), gr.State(0)
    with gr.Column(elem_classes="mc-models"):
        machine = html_part("machine")
        filters = _build_filters(builder)
        with gr.Row(elem_classes="mc-models-row"):
            with gr.Column(elem_classes="mc-models-list", scale=5, min_width=280):
                listing, disk = html_part("listing"), html_part("disk")
                remote, operation = build_remote_parts(builder), build_operation_parts(builder)
            with gr.Column(elem_classes="mc-models-detail", scale=6, min_width=280):
                detail = _build_detail(builder)
    return ModelsTab(session, wake, machine, filters, listing, disk, remote, operation, detail)


def html_part(name: str) -> gr.HTML:
    """An HTML component whose buttons trigger actions."""
    return gr.HTML("", elem_id=f"mc-{name}", apply_default_css=False, js_on_load=ACTION_JS)


def _build_filters(builder: PageBuilder) -> Filters:
    def chooser(name: str, values: tuple[str, ...]) -> gr.Dropdown:
        return builder.chooser(f"filter.{name}", {value: f"filter.{name}.{value or 'any'}" for value in values}, min_width=120,
                               elem_id=f"mc-filter-{name}")

    with gr.Row(elem_classes="mc-filters"):
        typed = builder.labelled(gr.Textbox, {"label": "models.search", "placeholder": "models.search.placeholder"}, lines=1, max_lines=1,
                                 scale=2, min_width=240, elem_id="mc-models-search")
        return Filters(typed, chooser("task", TASKS), chooser("size", tuple(SIZES)), chooser("licence", LICENCES),
                       chooser("gated", ("", "no", "yes")), chooser("sort", SORTS), chooser("format", FORMATS))


def _build_detail(builder: PageBuilder) -> Detail:
    about, problem = html_part("model"), html_part("model-problem")
    with gr.Column(visible=False, elem_id="mc-token-box") as token_box, gr.Row(elem_classes="mc-token-row"):
        token = builder.labelled(gr.Textbox, {"label": "token.title", "info": "token.info"}, type="password", lines=1, max_lines=1,
                                 elem_id="mc-token", scale=3, min_width=200)
        use_token = builder.labelled(gr.Button, {"value": "token.use"}, size="sm", scale=0, min_width=120, elem_id="mc-use-token")
    load = _build_load_controls(builder)
    tryit = build_tryit(builder)
    with builder.labelled(gr.Accordion, {"label": "models.card"}, open=False, visible=False, elem_id="mc-card-box") as card_box:
        card = gr.Markdown("", elem_classes="mc-model-card")
    return Detail(about, problem, token_box, token, use_token, load, tryit, card_box, card)


def _build_load_controls(builder: PageBuilder) -> LoadControls:
    with gr.Column(visible=False, elem_id="mc-load-box") as box:
        quantization = builder.labelled(gr.Radio, {"label": "load.quantization"}, choices=[each.value for each in Quantization],
                                        value=Quantization.NONE.value, elem_id="mc-quantization")
        with gr.Row():
            context = builder.labelled(gr.Dropdown, {"label": "load.context", "info": "load.context.info"}, choices=list(CONTEXTS),
                                       value=4096, filterable=False, min_width=140, elem_id="mc-context")
            visitors = builder.labelled(gr.Number, {"label": "load.visitors", "info": "load.visitors.info"}, value=2, minimum=1,
                                        maximum=MAX_CHATS, precision=0, min_width=140, elem_id="mc-visitors")
        device = builder.labelled(gr.Radio, {"label": "load.device"}, choices=[], visible=False, elem_id="mc-device")
        stops = builder.labelled(gr.Checkbox, {"label": "load.stop", "info": "load.stop.info"}, value=False, elem_id="mc-stops")
        with gr.Row(elem_classes="mc-load-acts"):
            primary = gr.Button("…", variant="primary", elem_id="mc-primary", min_width=160)
            save = builder.labelled(gr.Button, {"value": "load.save"}, visible=False, elem_id="mc-save", min_width=120)
            unload = builder.labelled(gr.Button, {"value": "load.unload"}, visible=False, elem_id="mc-unload", min_width=120)
    return LoadControls(box, quantization, context, visitors, device, stops, primary, save, unload)
