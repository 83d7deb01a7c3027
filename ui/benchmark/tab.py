"""The Benchmark tab: what to run, what came of it, and everything that was kept. Handlers only unpack and pass on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ..compat import event_data
from ..shared.context import QUICK, SILENT, PageBuilder
from ..shared.html import browser_message
from ..shared.language import language_of, text
from ..shared.status_bar import QUICK_S
from ..shared.visitor import visitor_of, zone_of
from . import actions, start
from .forms import Forms, build_forms, panel_html, shown_for
from .panels import Worktop
from .session import BenchmarkSession
from .start import QUALITIES, Bench, Sizes

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
class Parts:
    """What is shown, in the order of `Worktop.row`."""

    note: gr.HTML
    problems: tuple[gr.HTML, ...]       # of speed, sweep, quality, comparison, history
    file: gr.HTML
    ratings: gr.HTML
    now: gr.HTML
    cancel: gr.Button
    result: gr.HTML
    plot: gr.HTML
    panel: gr.HTML
    history: gr.HTML
    timer: gr.Timer
    bus: gr.HTML

    @property
    def all(self) -> list[Any]:
        return [self.note, *self.problems, self.file, self.ratings, self.now, self.cancel, self.result, self.plot, self.panel,
                self.history, self.timer, self.bus]


def build_benchmark_tab(shared: PageBuilder, tab: gr.Tab, strip: gr.HTML, wake: gr.State) -> None:
    """`wake` is counted up when a job or the loaded model changed."""
    session = gr.State(BenchmarkSession())
    with gr.Column(elem_classes="mc-bench"):
        with gr.Row(elem_classes="mc-bench-row"):
            with gr.Column(elem_classes="mc-bench-forms", scale=4, min_width=280):
                note = panel_html("bench-note")
                forms, problems, ratings = build_forms(shared)
            with gr.Column(elem_classes="mc-bench-result", scale=7, min_width=280):
                with gr.Row(elem_classes="mc-now-row"):
                    now = panel_html("bench-now")
                    cancel = shared.labelled(gr.Button, {"value": "jobs.cancel"}, size="sm", scale=0, min_width=96, visible=False,
                                             elem_id="mc-bench-cancel")
                result, plot = panel_html("bench-result"), panel_html("bench-plot")
        with gr.Column(elem_classes="mc-bench-kept"):
            with gr.Row(elem_classes="mc-filters"):
                filters = _build_filters(shared)
            trouble, panel = panel_html("bench-trouble"), panel_html("bench-panel")
            history = gr.HTML("", elem_id="mc-bench-history", apply_default_css=False, js_on_load=HISTORY_JS)
    bus = gr.HTML("", elem_id="mc-bench-bus", apply_default_css=False, js_on_load=BUS_JS)
    timer = gr.Timer(QUICK_S, active=False)
    parts = Parts(note, (*problems, trouble), forms.file, ratings, now, cancel, result, plot, panel, history, timer, bus)
    _wire(shared, session, tab, strip, wake, forms, filters, parts)


def _build_filters(shared: PageBuilder) -> list[Any]:
    search = shared.labelled(gr.Textbox, {"label": "bench.filter.text", "placeholder": "bench.filter.placeholder"}, lines=1, max_lines=1,
                             scale=3, min_width=180, elem_id="mc-bench-filter")
    kind = shared.chooser("bench.filter.kind", {"": "bench.filter.all", "speed": "bench.speed", "quality": "bench.quality"}, min_width=140,
                          elem_id="mc-bench-kind")
    published = shared.labelled(gr.Checkbox, {"label": "bench.filter.published"}, value=False, container=False, min_width=180,
                                elem_id="mc-bench-published")
    taken = shared.labelled(gr.UploadButton, {"label": "bench.import"}, size="sm", file_types=[".json"], scale=0, min_width=144,
                            elem_id="mc-bench-import")
    return [search, kind, published, taken]


def _wire(shared: PageBuilder, session: gr.State, tab: gr.Tab, strip: gr.HTML, wake: gr.State, forms: Forms, filters: list[Any],
          parts: Parts) -> None:
    outputs = parts.all
    search, kind, published, taken = filters

    def bench(request: gr.Request) -> Bench:
        spec = shared.engine.spec
        return Bench(shared.benchmarks, shared.library, visitor_of(request),
                     spec.model if spec else "")

    def top(session: BenchmarkSession, request: gr.Request) -> Worktop:
        return Worktop(bench(request), session, zone_of(request), language_of(request))

    def rendered(session: BenchmarkSession, request: gr.Request, message: str = "") -> list[Any]:
        return [*top(session, request).row(), message or gr.skip()]

    def act(event: gr.EventData, session: BenchmarkSession, request: gr.Request) -> list[Any]:
        data = event_data(event)
        return rendered(session, request, actions.perform(bench(request), session, data.get("do"), data.get("value")))

    def first(event: gr.EventData, prompt: float | None, new: float | None, repetitions: float | None, levels: list[Any],
              session: BenchmarkSession, request: gr.Request) -> list[Any]:
        """The empty state's one button is the same as the form's."""
        data = event_data(event)
        return speed(prompt, new, repetitions, levels, session, request) if data.get("do") == "first" else act(event, session, request)

    def ticked(event: gr.EventData, session: BenchmarkSession) -> None:
        data = event_data(event)
        actions.tick(session, data.get("value"))

    def speed(prompt: float | None, new: float | None, repetitions: float | None, levels: list[Any], session: BenchmarkSession,
              request: gr.Request) -> list[Any]:
        start.start_speed(bench(request), session, Sizes(prompt, new, repetitions), levels)
        return rendered(session, request)

    def sweep(prompt: float | None, new: float | None, repetitions: float | None, models: list[Any], quantizations: list[Any],
              depths: list[Any], behaviour: str, session: BenchmarkSession, request: gr.Request) -> list[Any]:
        start.start_sweep(bench(request), session, Sizes(prompt, new, repetitions), models, quantizations, depths, behaviour)
        return rendered(session, request)

    def quality(what: str, typed: str, lines: str, names: str, limit: float | None, session: BenchmarkSession,
                request: gr.Request) -> list[Any]:
        start.start_quality(bench(request), session, what, {"task": lines, "names": names}.get(what, typed), limit)
        return rendered(session, request)

    def comparison(asked: str, first: str, second: str, session: BenchmarkSession, request: gr.Request) -> list[Any]:
        start.start_blind_comparison(bench(request), session, asked, first, second)
        return rendered(session, request)

    def upload(path: str, session: BenchmarkSession, request: gr.Request) -> list[Any]:
        session.upload = Path(path)
        return rendered(session, request)

    def take_in(path: str, session: BenchmarkSession, request: gr.Request) -> list[Any]:
        count, language = actions.take_in(bench(request), session, path), language_of(request)
        return rendered(session, request, browser_message("toast", text=text(language, "bench.imported", count=count)) if count else "")

    def sift(search: str, kind: str, published: bool, session: BenchmarkSession, request: gr.Request) -> list[Any]:
        session.text, session.kind = search.strip()[:120], kind if kind in ("speed", "quality") else ""
        session.has_published = bool(published)
        return rendered(session, request)

    def stop(session: BenchmarkSession, request: gr.Request) -> list[Any]:
        return rendered(session, request, actions.perform(bench(request), session, "cancel", top(session, request).running_id))

    def look(session: BenchmarkSession, request: gr.Request) -> list[Any]:
        return [*top(session, request).news(), gr.skip()]

    def refresh(session: BenchmarkSession, request: gr.Request) -> list[Any]:
        return rendered(session, request) if session.is_open else [gr.skip()] * len(outputs)

    def choices(models: list[Any], first: str, second: str, session: BenchmarkSession, request: gr.Request) -> list[Any]:
        worktop, ways = top(session, request), shared.engine.quantization_choices()
        return [gr.update(choices=worktop.models(), value=[each for each in models or () if each in worktop.bench.models]),
                gr.update(choices=worktop.quantizations(ways)), *worktop.contenders(ways, first, second)]

    def arrive(models: list[Any], first: str, second: str, session: BenchmarkSession, request: gr.Request) -> list[Any]:
        session.is_open = True
        return [*rendered(session, request), *choices(models, first, second, session, request)]

    def count(models: list[Any], quantizations: list[Any], depths: list[Any], request: gr.Request) -> Any:
        cells = len(models or ()) * len(quantizations or ()) * len(depths or ())
        return gr.update(value=text(language_of(request), "bench.start.cells" if cells else "bench.start.sweep", count=cells))

    def choose_quality(what: str, request: gr.Request) -> list[Any]:
        known = what if what in QUALITIES else QUALITIES[0]
        return [gr.update(value=text(language_of(request), f"bench.start.{known}")), *shown_for(known)]

    def rename(what: str, models: list[Any], quantizations: list[Any], depths: list[Any], session: BenchmarkSession,
               request: gr.Request) -> list[Any]:
        """Two buttons say what is chosen, in a language that may have changed."""
        if not session.is_open:
            return [gr.skip(), gr.skip()]
        return [choose_quality(what, request)[0], count(models, quantizations, depths, request)]

    for source in (parts.now, parts.plot, parts.panel, parts.file, parts.ratings):
        source.act(act, session, outputs, **WORK)
    parts.history.act(act, session, outputs, **WORK)
    parts.history.mark(ticked, session, **WORK)
    strip.bench(act, session, outputs, **WORK)
    parts.result.act(first, [*forms.sizes, forms.levels, session], outputs, **WORK)
    parts.cancel.click(stop, session, outputs, **WORK)
    forms.speed.click(speed, [*forms.sizes, forms.levels, session], outputs, **WORK)
    forms.sweep.click(sweep, [*forms.sizes, *forms.chosen, forms.behaviour, session], outputs, **WORK)
    forms.quality.click(quality, [*forms.asked_for, session], outputs, **WORK)
    forms.compare.click(comparison, [forms.asked, forms.first, forms.second, session], outputs, **WORK)
    forms.upload.upload(upload, [forms.upload, session], outputs, **SILENT)
    taken.upload(take_in, [taken, session], outputs, **SILENT)
    gr.on([search.submit, search.blur, kind.input, published.input], sift, [search, kind, published, session], outputs, **WORK)
    gr.on([each.change for each in forms.chosen], count, forms.chosen, forms.sweep, **QUICK)
    forms.what.change(choose_quality, forms.what, [forms.quality, *forms.by_kind], **QUICK)
    parts.timer.tick(look, session, outputs, **WORK)
    wake.change(refresh, session, outputs, **WORK)
    wake.change(rename, [forms.what, *forms.chosen, session], [forms.quality, forms.sweep], **WORK)
    tab.select(arrive, [forms.models, forms.first, forms.second, session],
               [*outputs, forms.models, forms.quantizations, forms.first, forms.second], **WORK)
