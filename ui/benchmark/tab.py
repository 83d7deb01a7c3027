"""The Benchmark tab: what to run, its results, and the history of runs. Handlers only unpack and pass on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ..compat import event_data
from ..shared.actions import Click
from ..shared.context import QUICK, SILENT, PageBuilder
from ..shared.html import browser_message
from ..shared.language import language_of, text
from ..shared.status_bar import QUICK_S
from . import actions, start
from .forms import Forms, build_forms, panel_html, shown_for
from .panels import BenchmarkPanels, BenchmarkParts
from .session import BenchmarkSession
from .start import QUALITIES, Sizes

WORK: dict[str, Any] = {**SILENT, "trigger_mode": "multiple"}
BUS_JS = "watch('value', () => mindcubes.receive(element));"
HISTORY_JS = """
const mine = new Set();         // what this page has ticked: a list that was on its way meanwhile does not know it yet
const boxes = () => [...element.querySelectorAll('[data-tick]')];
const ticked = () => boxes().filter(box => box.checked).map(box => box.dataset.tick);
const settle = () => {
  const count = ticked().length;
  for (const button of element.querySelectorAll('[data-least]')) {
    button.disabled = count < +button.dataset.least || count > +(button.dataset.most || Infinity);
    if (button.dataset.question) button.dataset.confirm = button.dataset.question.replace('#', count);
  }
};
watch('value', () => {
  for (const box of boxes()) box.checked = mine.has(box.dataset.tick);
  settle();
});
element.addEventListener('change', event => {
  const box = event.target;
  if (!box.matches('[data-tick]')) return;
  mine[box.checked ? 'add' : 'delete'](box.dataset.tick);
  settle();
  trigger('mark', {value: ticked().join(' ')});
});
element.addEventListener('click', event => {
  const button = event.target.closest('[data-do]');
  if (button?.dataset.do === 'show') document.getElementById('mc-bench-result').scrollIntoView();
  const value = button?.dataset.ticked ? ticked().join(' ') : button?.dataset.value;
  if (button) mindcubes.confirmed(button).then(isSure => isSure && trigger('act', {do: button.dataset.do, value}));
});
"""


@dataclass(frozen=True)
class HistoryFilters:
    search: gr.Textbox
    kind: gr.Dropdown
    published: gr.Checkbox
    upload: gr.UploadButton


@dataclass(frozen=True)
class BenchmarkTab:
    session: gr.State
    forms: Forms
    filters: HistoryFilters
    parts: BenchmarkParts


def build_benchmark_tab(builder: PageBuilder, tab: gr.Tab, strip: gr.HTML, wake: gr.State) -> None:
    """`wake` is counted up when a job or the loaded model changed."""
    session = gr.State(BenchmarkSession())
    with gr.Column(elem_classes="mc-bench"):
        with gr.Row(elem_classes="mc-bench-row"):
            with gr.Column(elem_classes="mc-bench-forms", scale=4, min_width=280):
                note = panel_html("bench-note")
                forms, problems, ratings = build_forms(builder)
            with gr.Column(elem_classes="mc-bench-result", scale=7, min_width=280):
                with gr.Row(elem_classes="mc-now-row"):
                    now = panel_html("bench-now")
                    cancel = builder.labelled(gr.Button, {"value": "jobs.cancel"}, size="sm", scale=0, min_width=96, visible=False,
                                             elem_id="mc-bench-cancel")
                result, plot = panel_html("bench-result"), panel_html("bench-plot")
        with gr.Column(elem_classes="mc-bench-kept"):
            with gr.Row(elem_classes="mc-filters"):
                filters = _build_filters(builder)
            trouble, panel = panel_html("bench-trouble"), panel_html("bench-panel")
            history = gr.HTML("", elem_id="mc-bench-history", apply_default_css=False, js_on_load=HISTORY_JS)
    bus = gr.HTML("", elem_id="mc-bench-bus", apply_default_css=False, js_on_load=BUS_JS)
    timer = gr.Timer(QUICK_S, active=False)
    parts = BenchmarkParts(note, (*problems, trouble), forms.file, ratings, now, cancel, result, plot, panel, history, timer, bus)
    benchmark = BenchmarkTab(session, forms, filters, parts)
    _wire_buttons(builder, benchmark, strip)
    _wire_measuring(builder, benchmark)
    _wire_quality(builder, benchmark)
    _wire_history(builder, benchmark)
    _wire_updates(builder, benchmark, tab, wake)
    _wire_labels(builder, benchmark, wake)


def _build_filters(builder: PageBuilder) -> HistoryFilters:
    search = builder.labelled(gr.Textbox, {"label": "bench.filter.text", "placeholder": "bench.filter.placeholder"}, lines=1, max_lines=1,
                             scale=3, min_width=180, elem_id="mc-bench-filter")
    kind = builder.chooser("bench.filter.kind", {"": "bench.filter.all", "speed": "bench.speed", "quality": "bench.quality"}, min_width=140,
                          elem_id="mc-bench-kind")
    published = builder.labelled(gr.Checkbox, {"label": "bench.filter.published"}, value=False, container=False, min_width=180,
                                elem_id="mc-bench-published")
    taken = builder.labelled(gr.UploadButton, {"label": "bench.import"}, size="sm", file_types=[".json"], scale=0, min_width=144,
                            elem_id="mc-bench-import")
    return HistoryFilters(search, kind, published, taken)


def _panels(builder: PageBuilder, session: BenchmarkSession, request: gr.Request) -> BenchmarkPanels:
    return BenchmarkPanels(builder.context(request), session)


def _rendered(builder: PageBuilder, tab: BenchmarkTab, session: BenchmarkSession, request: gr.Request, message: str = "") -> Any:
    values = _panels(builder, session, request).values(tab.parts)
    return {**values, tab.parts.bus: message} if message else values


def _click(event: gr.EventData) -> Click:
    """From {do, value}: what a button is about travels as its value."""
    data = event_data(event)
    value = str(data.get("value") or "")
    return Click(str(data.get("do") or ""), value, value)


def _wire_buttons(builder: PageBuilder, tab: BenchmarkTab, strip: gr.HTML) -> None:
    """Buttons inside the panels, and those of measurements in the list of jobs."""
    parts = tab.parts

    def act(event: gr.EventData, session: BenchmarkSession, request: gr.Request) -> Any:
        return _rendered(builder, tab, session, request, actions.perform(builder.context(request), session, _click(event)))

    def cancel(session: BenchmarkSession, request: gr.Request) -> Any:
        running_id = _panels(builder, session, request).running_id
        return _rendered(builder, tab, session, request, actions.perform(builder.context(request), session, Click("cancel", running_id)))

    for source in (parts.now, parts.plot, parts.panel, parts.file, parts.ratings, parts.history):
        source.act(act, tab.session, parts.all, **WORK)
    strip.bench(act, tab.session, parts.all, **WORK)
    parts.cancel.click(cancel, tab.session, parts.all, **WORK)


def _wire_measuring(builder: PageBuilder, tab: BenchmarkTab) -> None:
    forms, parts = tab.forms, tab.parts

    def speed(prompt: float | None, new: float | None, repetitions: float | None, levels: list[Any], session: BenchmarkSession,
              request: gr.Request) -> Any:
        start.start_speed(builder.context(request), session, Sizes(prompt, new, repetitions), levels)
        return _rendered(builder, tab, session, request)

    def from_result(event: gr.EventData, prompt: float | None, new: float | None, repetitions: float | None, levels: list[Any],
                    session: BenchmarkSession, request: gr.Request) -> Any:
        """The empty state's one button does what the form's does."""
        if _click(event).name == "first":
            return speed(prompt, new, repetitions, levels, session, request)
        return _rendered(builder, tab, session, request, actions.perform(builder.context(request), session, _click(event)))

    def sweep(prompt: float | None, new: float | None, repetitions: float | None, models: list[Any], quantizations: list[Any],
              depths: list[Any], behaviour: str, session: BenchmarkSession, request: gr.Request) -> Any:
        sizes = Sizes(prompt, new, repetitions)
        start.start_sweep(builder.context(request), session, sizes, models, quantizations, depths, behaviour)
        return _rendered(builder, tab, session, request)

    parts.result.act(from_result, [*forms.sizes, forms.levels, tab.session], parts.all, **WORK)
    forms.speed.click(speed, [*forms.sizes, forms.levels, tab.session], parts.all, **WORK)
    forms.sweep.click(sweep, [*forms.sizes, *forms.chosen, forms.behaviour, tab.session], parts.all, **WORK)


def _wire_quality(builder: PageBuilder, tab: BenchmarkTab) -> None:
    forms, parts = tab.forms, tab.parts

    def quality(what: str, typed: str, lines: str, names: str, limit: float | None, session: BenchmarkSession,
                request: gr.Request) -> Any:
        start.start_quality(builder.context(request), session, what, {"task": lines, "names": names}.get(what, typed), limit)
        return _rendered(builder, tab, session, request)

    def compare(prompt: str, first: str, second: str, session: BenchmarkSession, request: gr.Request) -> Any:
        start.start_blind_comparison(builder.context(request), session, prompt, first, second)
        return _rendered(builder, tab, session, request)

    def upload(path: str, session: BenchmarkSession, request: gr.Request) -> Any:
        session.upload = Path(path)
        return _rendered(builder, tab, session, request)

    forms.quality.click(quality, [*forms.asked_for, tab.session], parts.all, **WORK)
    forms.compare.click(compare, [forms.asked, forms.first, forms.second, tab.session], parts.all, **WORK)
    forms.upload.upload(upload, [forms.upload, tab.session], parts.all, **SILENT)


def _wire_history(builder: PageBuilder, tab: BenchmarkTab) -> None:
    filters, parts = tab.filters, tab.parts

    def ticked(event: gr.EventData, session: BenchmarkSession) -> None:
        actions.tick(session, event_data(event).get("value"))

    def import_runs(path: str, session: BenchmarkSession, request: gr.Request) -> Any:
        count, language = actions.import_runs(builder.context(request), session, path), language_of(request)
        message = browser_message("toast", text=text(language, "bench.imported", count=count)) if count else ""
        return _rendered(builder, tab, session, request, message)

    def filtered(search: str, kind: str, published: bool, session: BenchmarkSession, request: gr.Request) -> Any:
        session.text, session.kind = search.strip()[:120], kind if kind in ("speed", "quality") else ""
        session.has_published = bool(published)
        return _rendered(builder, tab, session, request)

    parts.history.mark(ticked, tab.session, **WORK)
    filters.upload.upload(import_runs, [filters.upload, tab.session], parts.all, **SILENT)
    gr.on([filters.search.submit, filters.search.blur, filters.kind.input, filters.published.input], filtered,
          [filters.search, filters.kind, filters.published, tab.session], parts.all, **WORK)


def _wire_updates(builder: PageBuilder, tab: BenchmarkTab, page_tab: gr.Tab, wake: gr.State) -> None:
    """When the tab is opened, while a measurement runs, and when a job or the loaded model changed."""
    forms, parts = tab.forms, tab.parts

    def progress(session: BenchmarkSession, request: gr.Request) -> Any:
        return _panels(builder, session, request).progress(parts)

    def refresh(session: BenchmarkSession, request: gr.Request) -> Any:
        return _rendered(builder, tab, session, request) if session.is_open else gr.skip()

    def arrive(models: list[Any], first: str, second: str, session: BenchmarkSession, request: gr.Request) -> Any:
        session.is_open = True
        panels, ways = _panels(builder, session, request), builder.engine.quantization_choices()
        choices = panels.models()
        known = [value for _, value in choices]
        left, right = panels.contenders(ways, first, second)
        return {**panels.values(parts),
                forms.models: gr.update(choices=choices, value=[each for each in models or () if each in known]),
                forms.quantizations: gr.update(choices=panels.quantizations(ways)), forms.first: left, forms.second: right}

    parts.timer.tick(progress, tab.session, parts.all, **WORK)
    wake.change(refresh, tab.session, parts.all, **WORK)
    page_tab.select(arrive, [forms.models, forms.first, forms.second, tab.session],
                    [*parts.all, forms.models, forms.quantizations, forms.first, forms.second], **WORK)


def _wire_labels(builder: PageBuilder, tab: BenchmarkTab, wake: gr.State) -> None:
    """Two buttons say what is chosen, also after a change of language."""
    forms = tab.forms

    def count(models: list[Any], quantizations: list[Any], depths: list[Any], request: gr.Request) -> Any:
        cells = len(models or ()) * len(quantizations or ()) * len(depths or ())
        return gr.update(value=text(language_of(request), "bench.start.cells" if cells else "bench.start.sweep", count=cells))

    def start_label(what: str, request: gr.Request) -> Any:
        known = what if what in QUALITIES else QUALITIES[0]
        return gr.update(value=text(language_of(request), f"bench.start.{known}"))

    def choose_quality(what: str, request: gr.Request) -> Any:
        known = what if what in QUALITIES else QUALITIES[0]
        return {forms.quality: start_label(what, request), **dict(zip(forms.by_kind, shown_for(known), strict=True))}

    def rename(what: str, models: list[Any], quantizations: list[Any], depths: list[Any], session: BenchmarkSession,
               request: gr.Request) -> Any:
        if not session.is_open:
            return gr.skip()
        return {forms.quality: start_label(what, request), forms.sweep: count(models, quantizations, depths, request)}

    gr.on([each.change for each in forms.chosen], count, forms.chosen, forms.sweep, **QUICK)
    forms.what.change(choose_quality, forms.what, [forms.quality, *forms.by_kind], **QUICK)
    wake.change(rename, [forms.what, *forms.chosen, tab.session], [forms.quality, forms.sweep], **WORK)
