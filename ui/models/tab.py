"""The Models tab: find a model, see whether it fits, download it, load it. Handlers only unpack and pass on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import Quantization
from engine.hub import HubQuery

from ..shared.context import SILENT, PageBuilder
from ..shared.html import ACTION_JS
from ..shared.language import language_of
from ..shared.visitor import visitor_of
from . import actions, view
from .actions import Counter
from .cards import Shelf
from .session import CONTEXTS, ModelsSession

QUIET: dict[str, Any] = {**SILENT, "trigger_mode": "multiple"}
SIZES: dict[str, tuple[float | None, float | None]] = {"any": (None, None), "1": (None, 1e9), "4": (1e9, 4e9), "9": (4e9, 9e9),
                                                       "20": (9e9, 2e10), "more": (2e10, None)}
SORTS = ("downloads", "trending", "likes", "date")
LICENCES = ("", "apache-2.0", "mit", "llama3.2", "gemma", "other")
TASKS = ("text-generation", "image-text-to-text", "")
@dataclass(frozen=True)
class ModelsTab:
    """What `ui/app.py` wires to the rest of the page. `wake` is counted up when a job or the loaded model changed."""

    session: gr.State
    wake: gr.State


@dataclass(frozen=True)
class Filters:
    typed: gr.Textbox
    task: gr.Dropdown
    size: gr.Dropdown
    licence: gr.Dropdown
    gated: gr.Dropdown
    sort: gr.Dropdown

    @property
    def all(self) -> list[Any]:
        return [self.typed, self.task, self.size, self.licence, self.gated, self.sort]


@dataclass(frozen=True)
class Detail:
    """One model, and how to load it."""

    about: gr.HTML
    problem: gr.HTML
    token_box: gr.Column
    token: gr.Textbox
    use_token: gr.Button
    controls: gr.Column
    quantization: gr.Radio
    context: gr.Dropdown
    visitors: gr.Number
    device: gr.Radio
    stops: gr.Checkbox
    primary: gr.Button
    save: gr.Button
    unload: gr.Button
    card_box: gr.Accordion
    card: gr.Markdown


def build_models_tab(shared: PageBuilder, tab: gr.Tab, strip: gr.HTML) -> ModelsTab:
    session, wake = gr.State(ModelsSession()), gr.State(0)
    with gr.Column(elem_classes="mc-models"):
        machine = _html("machine")
        filters = _build_filters(shared)
        with gr.Row(elem_classes="mc-models-row"):
            with gr.Column(elem_classes="mc-models-list", scale=5, min_width=280):
                listing, disk = _html("listing"), _html("disk")
            with gr.Column(elem_classes="mc-models-detail", scale=6, min_width=280):
                detail = _build_detail(shared)
    _wire(shared, session, wake, tab, strip, machine, filters, listing, disk, detail)
    return ModelsTab(session, wake)


def jobs_strip() -> gr.HTML:
    """Below the tabs, so that it is in sight from each of them."""
    return _html("jobs")


def _html(name: str) -> gr.HTML:
    return gr.HTML("", elem_id=f"mc-{name}", apply_default_css=False, js_on_load=ACTION_JS)


def _build_filters(shared: PageBuilder) -> Filters:
    def choose(name: str, values: tuple[str, ...]) -> gr.Dropdown:
        return shared.chooser(f"filter.{name}", {value: f"filter.{name}.{value or 'any'}" for value in values}, min_width=120,
                              elem_id=f"mc-filter-{name}")

    with gr.Row(elem_classes="mc-filters"):
        typed = shared.labelled(gr.Textbox, {"label": "models.search", "placeholder": "models.search.placeholder"}, lines=1, max_lines=1,
                                scale=3, min_width=240, elem_id="mc-models-search")
        return Filters(typed, choose("task", TASKS), choose("size", tuple(SIZES)), choose("licence", LICENCES),
                       choose("gated", ("", "no", "yes")), choose("sort", SORTS))


def _build_detail(shared: PageBuilder) -> Detail:
    about, problem = _html("model"), _html("model-problem")
    with gr.Column(visible=False, elem_id="mc-token-box") as token_box, gr.Row(elem_classes="mc-token-row"):
        token = shared.labelled(gr.Textbox, {"label": "token.title", "info": "token.info"}, type="password", lines=1, max_lines=1,
                                elem_id="mc-token", scale=3, min_width=200)
        use_token = shared.labelled(gr.Button, {"value": "token.use"}, size="sm", scale=0, min_width=120, elem_id="mc-use-token")
    with gr.Column(visible=False, elem_id="mc-load-box") as controls:
        quantization = shared.labelled(gr.Radio, {"label": "load.quantization"}, choices=[each.value for each in Quantization],
                                       value=Quantization.NONE.value, elem_id="mc-quantization")
        with gr.Row():
            context = shared.labelled(gr.Dropdown, {"label": "load.context", "info": "load.context.info"}, choices=list(CONTEXTS),
                                      value=4096, filterable=False, min_width=140, elem_id="mc-context")
            visitors = shared.labelled(gr.Number, {"label": "load.visitors", "info": "load.visitors.info"}, value=2, minimum=1, maximum=64,
                                       precision=0, min_width=140, elem_id="mc-visitors")
        device = shared.labelled(gr.Radio, {"label": "load.device"}, choices=[], visible=False, elem_id="mc-device")
        stops = shared.labelled(gr.Checkbox, {"label": "load.stop", "info": "load.stop.info"}, value=False, elem_id="mc-stops")
        with gr.Row(elem_classes="mc-load-acts"):
            primary = gr.Button("…", variant="primary", elem_id="mc-primary", min_width=160)
            save = shared.labelled(gr.Button, {"value": "load.save"}, visible=False, elem_id="mc-save", min_width=120)
            unload = shared.labelled(gr.Button, {"value": "load.unload"}, visible=False, elem_id="mc-unload", min_width=120)
    with shared.labelled(gr.Accordion, {"label": "models.card"}, open=False, visible=False, elem_id="mc-card-box") as card_box:
        card = gr.Markdown("", elem_classes="mc-model-card")
    return Detail(about, problem, token_box, token, use_token, controls, quantization, context, visitors, device, stops, primary, save,
                  unload, card_box, card)


def _wire(shared: PageBuilder, session: gr.State, wake: gr.State, tab: gr.Tab, strip: gr.HTML, machine: gr.HTML, filters: Filters,
          listing: gr.HTML, disk: gr.HTML, detail: Detail) -> None:
    library = shared.library
    outputs = [machine, listing, disk, detail.about, detail.problem, detail.token_box, detail.token, detail.controls, detail.quantization,
               detail.context, detail.visitors, detail.device, detail.primary, detail.save, detail.unload, detail.card_box, detail.card]

    def counter(request: gr.Request) -> Counter:
        return Counter(library, visitor_of(request))

    def rendered(session: ModelsSession, request: gr.Request) -> list[Any]:
        return Shelf(shared, session, counter(request), language_of(request)).row()

    def looking(session: ModelsSession, name: str, request: gr.Request) -> list[Any]:
        row: list[Any] = [gr.skip()] * len(outputs)
        row[3] = view.looking_html(name, language_of(request))
        return row

    def act(event: gr.EventData, session: ModelsSession, request: gr.Request) -> Iterator[list[Any]]:
        data = event._data if isinstance(event._data, dict) else {}
        name, value = data.get("do"), data.get("value")
        if name == "choose":
            yield looking(session, str(value)[:120], request)
        actions.perform(counter(request), session, name, value)
        yield rendered(session, request)

    def press(session: ModelsSession, request: gr.Request) -> list[Any]:
        name, value = Shelf(shared, session, counter(request), language_of(request)).primary[:2]
        actions.perform(counter(request), session, name, value)
        return rendered(session, request)

    def simply(name: str) -> Any:
        def run(session: ModelsSession, request: gr.Request) -> list[Any]:
            actions.perform(counter(request), session, name, "")
            return rendered(session, request)
        return run

    def search(typed: str, task: str, size: str, licence: str, gated: str, sort: str, session: ModelsSession,
               request: gr.Request) -> Iterator[list[Any]]:
        if typed.strip():
            yield looking(session, typed.strip()[:120], request)
        low, high = SIZES.get(size, (None, None))
        query = HubQuery(task=task if task in TASKS else TASKS[0], min_parameters=int(low) if low else None,
                         max_parameters=int(high) if high else None, licence=licence if licence in LICENCES else "",
                         gated={"yes": True, "no": False}.get(gated), sort=sort if sort in SORTS else "downloads")  # type: ignore[arg-type]
        actions.search(counter(request), session, typed, query)
        yield rendered(session, request)

    def choose(quantization: str, context: int, visitors: float | None, device: str | None, stops: bool, session: ModelsSession,
               request: gr.Request) -> list[Any]:
        session.quantization = Quantization(quantization) if quantization in list(Quantization) else session.quantization
        if context and int(context) != session.context:     # a model with a small window shows less than was asked for
            session.context_tokens = int(context)
        session.device = device or ""
        session.visitors = max(1, min(64, int(visitors))) if visitors else session.visitors
        session.stops_replies, session.problem = bool(stops), None
        row = rendered(session, request)
        row[outputs.index(detail.visitors)] = gr.skip()     # half typed
        return row

    def use_token(typed: str, session: ModelsSession, request: gr.Request) -> list[Any]:
        actions.use_token(counter(request), session, typed)
        row = rendered(session, request)
        row[outputs.index(detail.token)] = ""
        return row

    def arrive(session: ModelsSession, request: gr.Request) -> list[Any]:
        session.is_open = True
        return refresh(session, request)

    def refresh(session: ModelsSession, request: gr.Request) -> list[Any]:
        if not session.is_open:     # nothing of the tab is shown yet
            return [gr.skip()] * len(outputs)
        if session.model is not None:
            session.model = library.refreshed(session.model)
        return rendered(session, request)

    for source in (listing, disk, detail.about, detail.problem, strip):
        source.act(act, session, outputs, **QUIET)
    detail.primary.click(press, session, outputs, **QUIET)
    detail.save.click(simply("save"), session, outputs, **QUIET)
    detail.unload.click(simply("unload"), session, outputs, **QUIET)
    gr.on([filters.typed.submit, *(each.input for each in filters.all[1:])], search, [*filters.all, session], outputs, **QUIET)
    gr.on([each.input for each in (detail.quantization, detail.context, detail.visitors, detail.device, detail.stops)], choose,
          [detail.quantization, detail.context, detail.visitors, detail.device, detail.stops, session], outputs, **QUIET)
    gr.on([detail.use_token.click, detail.token.submit], use_token, [detail.token, session], outputs, **QUIET)
    wake.change(refresh, session, outputs, **QUIET)
    tab.select(arrive, session, outputs, **QUIET)
