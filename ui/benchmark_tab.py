"""The Benchmark tab: what to run, what came of it, and everything that was kept. Handlers only unpack and pass on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from engine import BUILTIN, Quantization, Visitor

from . import benchmark_acts, view
from .benchmark_acts import DEPTHS, LEVELS, QUALITIES, Bench, Sizes
from .benchmark_session import BenchmarkSession
from .benchmark_worktop import Worktop
from .language import language_of, text
from .models_tab import ACT_JS
from .shared import Shared
from .status_bar import QUICK_S
from .visitor import owner_of, zone_of

WORK: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "trigger_mode": "multiple"}
QUICK: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
BUS_JS = "watch('value', () => mindcubes.receive(element));"
HISTORY_JS = """
const ticked = () => [...element.querySelectorAll('[data-tick]:checked')].map(box => box.dataset.tick);
element.addEventListener('change', event => {
  if (!event.target.matches('[data-tick]')) return;
  const count = ticked().length;
  for (const button of element.querySelectorAll('[data-least]')) {
    button.disabled = count < +button.dataset.least || count > +(button.dataset.most || Infinity);
    if (button.dataset.question) button.dataset.confirm = button.dataset.question.replace('#', count);
  }
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
class Forms:
    """What to run."""

    prompt: gr.Number
    new: gr.Number
    repetitions: gr.Number
    levels: gr.CheckboxGroup
    speed: gr.Button
    models: gr.CheckboxGroup
    quantizations: gr.CheckboxGroup
    depths: gr.CheckboxGroup
    behaviour: gr.Dropdown
    sweep: gr.Button
    what: gr.Dropdown
    text: gr.Textbox
    upload: gr.UploadButton
    quality: gr.Button

    @property
    def sizes(self) -> list[Any]:
        return [self.prompt, self.new, self.repetitions]

    @property
    def chosen(self) -> list[Any]:
        return [self.models, self.quantizations, self.depths]


@dataclass(frozen=True)
class Parts:
    """What is shown, in the order of `Worktop.row`."""

    note: gr.HTML
    problems: tuple[gr.HTML, ...]       # of speed, sweep, quality, history
    file: gr.HTML
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
        return [self.note, *self.problems, self.file, self.now, self.cancel, self.result, self.plot, self.panel, self.history, self.timer,
                self.bus]


def build_benchmark_tab(shared: Shared, tab: gr.Tab, strip: gr.HTML, wake: gr.State) -> None:
    """`wake` is counted up when a job or the loaded model changed."""
    session = gr.State(BenchmarkSession())
    with gr.Column(elem_classes="mc-bench"):
        with gr.Row(elem_classes="mc-bench-row"):
            with gr.Column(elem_classes="mc-bench-forms", scale=4, min_width=280):
                note = _html("bench-note")
                forms, problems, file = _build_forms(shared)
            with gr.Column(elem_classes="mc-bench-result", scale=7, min_width=280):
                with gr.Row(elem_classes="mc-now-row"):
                    now = _html("bench-now")
                    cancel = shared.labelled(gr.Button, {"value": "jobs.cancel"}, size="sm", scale=0, min_width=96, visible=False,
                                             elem_id="mc-bench-cancel")
                result, plot = _html("bench-result"), _html("bench-plot")
        with gr.Column(elem_classes="mc-bench-kept"):
            with gr.Row(elem_classes="mc-filters"):
                filters = _build_filters(shared)
            trouble, panel = _html("bench-trouble"), _html("bench-panel")
            history = gr.HTML("", elem_id="mc-bench-history", apply_default_css=False, js_on_load=HISTORY_JS)
    bus = gr.HTML("", elem_id="mc-bench-bus", apply_default_css=False, js_on_load=BUS_JS)
    parts = Parts(note, (*problems, trouble), file, now, cancel, result, plot, panel, history, gr.Timer(QUICK_S, active=False), bus)
    _wire(shared, session, tab, strip, wake, forms, filters, parts)


def _html(name: str) -> gr.HTML:
    return gr.HTML("", elem_id=f"mc-{name}", apply_default_css=False, js_on_load=ACT_JS)


def _build_forms(shared: Shared) -> tuple[Forms, tuple[gr.HTML, ...], gr.HTML]:
    with shared.labelled(gr.Accordion, {"label": "bench.speed"}, elem_id="mc-bench-speed-box"), gr.Column(elem_classes="mc-bench-form"):
        with gr.Row(elem_classes="mc-bench-sizes"):
            prompt, new, repetitions = (_size(shared, *each) for each in (("prompt", 512), ("new", 128), ("repetitions", 5)))
        levels = shared.labelled(gr.CheckboxGroup, {"label": "bench.levels", "info": "bench.levels.info"},
                                 choices=[(str(each), each) for each in LEVELS], elem_id="mc-bench-levels")
        speed, speed_problem = _primary(shared, "speed"), _html("bench-speed-problem")
    with shared.labelled(gr.Accordion, {"label": "bench.sweep"}, open=False, elem_id="mc-bench-sweep-box"), \
            gr.Column(elem_classes="mc-bench-form"):
        models = shared.labelled(gr.CheckboxGroup, {"label": "bench.models", "info": "bench.models.info"},
                                 choices=[BUILTIN], value=[BUILTIN], elem_id="mc-bench-models")
        quantizations = shared.labelled(gr.CheckboxGroup, {"label": "load.quantization"}, choices=[each.value for each in Quantization],
                                        value=[Quantization.NONE.value], elem_id="mc-bench-quantizations")
        depths = shared.labelled(gr.CheckboxGroup, {"label": "bench.depths", "info": "bench.depths.info"},
                                 choices=[(f"{each:,}", each) for each in DEPTHS], value=[0], elem_id="mc-bench-depths")
        behaviour = shared.chooser("bench.visitors.meanwhile", {each: f"bench.visitors.{each}" for each in ("wait", "refuse")},
                                   elem_id="mc-bench-behaviour")
        sweep, sweep_problem = _primary(shared, "sweep"), _html("bench-sweep-problem")
    with shared.labelled(gr.Accordion, {"label": "bench.quality"}, open=False, elem_id="mc-bench-quality-box"), \
            gr.Column(elem_classes="mc-bench-form"):
        what = shared.chooser("bench.what", {each: f"bench.what.{each}" for each in QUALITIES}, elem_id="mc-bench-what")
        typed = shared.labelled(gr.Textbox, {"label": "bench.text", "placeholder": "bench.text.placeholder"}, lines=4, max_lines=10,
                                elem_id="mc-bench-text")
        file = _html("bench-file")
        upload = shared.labelled(gr.UploadButton, {"label": "bench.upload"}, size="sm", elem_id="mc-bench-upload", min_width=120)
        quality, quality_problem = _primary(shared, "quality"), _html("bench-quality-problem")
    return Forms(prompt, new, repetitions, levels, speed, models, quantizations, depths, behaviour, sweep, what, typed, upload,
                 quality), (speed_problem, sweep_problem, quality_problem), file


def _size(shared: Shared, name: str, value: int) -> gr.Number:
    """Without limits here: Gradio would refuse in its own words, over every output."""
    return shared.labelled(gr.Number, {"label": f"bench.size.{name}"}, value=value, precision=0, min_width=88, elem_id=f"mc-bench-{name}")


def _primary(shared: Shared, name: str) -> gr.Button:
    return shared.labelled(gr.Button, {"value": f"bench.start.{name}"}, variant="primary", size="md", elem_id=f"mc-bench-{name}")


def _build_filters(shared: Shared) -> list[Any]:
    search = shared.labelled(gr.Textbox, {"label": "bench.filter.text", "placeholder": "bench.filter.placeholder"}, lines=1, max_lines=1,
                             scale=3, min_width=180, elem_id="mc-bench-filter")
    kind = shared.chooser("bench.filter.kind", {"": "bench.filter.all", "speed": "bench.speed", "quality": "bench.quality"}, min_width=140,
                          elem_id="mc-bench-kind")
    published = shared.labelled(gr.Checkbox, {"label": "bench.filter.published"}, value=False, container=False, min_width=180,
                                elem_id="mc-bench-published")
    taken = shared.labelled(gr.UploadButton, {"label": "bench.import"}, size="sm", file_types=[".json"], scale=0, min_width=144,
                            elem_id="mc-bench-import")
    return [search, kind, published, taken]


def _wire(shared: Shared, session: gr.State, tab: gr.Tab, strip: gr.HTML, wake: gr.State, forms: Forms, filters: list[Any],
          parts: Parts) -> None:
    outputs = parts.all
    search, kind, published, taken = filters

    def bench(request: gr.Request) -> Bench:
        spec = shared.engine.spec
        return Bench(shared.benchmarks, shared.library, Visitor(owner_of(request), name=getattr(request, "username", None) or ""),
                     spec.model if spec else "")

    def top(session: BenchmarkSession, request: gr.Request) -> Worktop:
        return Worktop(bench(request), session, zone_of(request), language_of(request))

    def rendered(session: BenchmarkSession, request: gr.Request, letter: str = "") -> list[Any]:
        return [*top(session, request).row(), letter or gr.skip()]

    def act(event: gr.EventData, session: BenchmarkSession, request: gr.Request) -> list[Any]:
        data = event._data if isinstance(event._data, dict) else {}
        return rendered(session, request, benchmark_acts.perform(bench(request), session, data.get("do"), data.get("value")))

    def first(event: gr.EventData, prompt: float | None, new: float | None, repetitions: float | None, levels: list[Any],
              session: BenchmarkSession, request: gr.Request) -> list[Any]:
        """The empty state's one button is the same as the form's."""
        data = event._data if isinstance(event._data, dict) else {}
        return speed(prompt, new, repetitions, levels, session, request) if data.get("do") == "first" else act(event, session, request)

    def ticked(event: gr.EventData, session: BenchmarkSession) -> None:
        data = event._data if isinstance(event._data, dict) else {}
        benchmark_acts.tick(session, data.get("value"))

    def speed(prompt: float | None, new: float | None, repetitions: float | None, levels: list[Any], session: BenchmarkSession,
              request: gr.Request) -> list[Any]:
        benchmark_acts.start_speed(bench(request), session, Sizes(prompt, new, repetitions), levels)
        return rendered(session, request)

    def sweep(prompt: float | None, new: float | None, repetitions: float | None, models: list[Any], quantizations: list[Any],
              depths: list[Any], behaviour: str, session: BenchmarkSession, request: gr.Request) -> list[Any]:
        benchmark_acts.start_sweep(bench(request), session, Sizes(prompt, new, repetitions), models, quantizations, depths, behaviour)
        return rendered(session, request)

    def quality(what: str, typed: str, session: BenchmarkSession, request: gr.Request) -> list[Any]:
        benchmark_acts.start_quality(bench(request), session, what, typed)
        return rendered(session, request)

    def upload(path: str, session: BenchmarkSession, request: gr.Request) -> list[Any]:
        session.upload = Path(path)
        return rendered(session, request)

    def take_in(path: str, session: BenchmarkSession, request: gr.Request) -> list[Any]:
        count, language = benchmark_acts.take_in(bench(request), session, path), language_of(request)
        return rendered(session, request, view.mail("toast", text=text(language, "bench.imported", count=count)) if count else "")

    def sift(search: str, kind: str, published: bool, session: BenchmarkSession, request: gr.Request) -> list[Any]:
        session.text, session.kind = search.strip()[:120], kind if kind in ("speed", "quality") else ""
        session.has_published = bool(published)
        return rendered(session, request)

    def stop(session: BenchmarkSession, request: gr.Request) -> list[Any]:
        return rendered(session, request, benchmark_acts.perform(bench(request), session, "cancel", top(session, request).running_id))

    def look(session: BenchmarkSession, request: gr.Request) -> list[Any]:
        return [*top(session, request).news(), gr.skip()]

    def refresh(session: BenchmarkSession, request: gr.Request) -> list[Any]:
        return rendered(session, request) if session.is_open else [gr.skip()] * len(outputs)

    def choices(models: list[Any], session: BenchmarkSession, request: gr.Request) -> list[Any]:
        worktop = top(session, request)
        return [gr.update(choices=worktop.models(), value=[each for each in models or () if each in worktop.bench.models]),
                gr.update(choices=worktop.quantizations(shared.engine.quantization_choices()))]

    def arrive(models: list[Any], session: BenchmarkSession, request: gr.Request) -> list[Any]:
        session.is_open = True
        return [*rendered(session, request), *choices(models, session, request)]

    def count(models: list[Any], quantizations: list[Any], depths: list[Any], request: gr.Request) -> Any:
        cells = len(models or ()) * len(quantizations or ()) * len(depths or ())
        return gr.update(value=text(language_of(request), "bench.start.cells" if cells else "bench.start.sweep", count=cells))

    def name_quality(what: str, request: gr.Request) -> Any:
        return gr.update(value=text(language_of(request), f"bench.start.{what}" if what in QUALITIES else "bench.start.quality"))

    for source in (parts.now, parts.panel, parts.file):
        source.act(act, session, outputs, **WORK)
    parts.history.act(act, session, outputs, **WORK)
    parts.history.mark(ticked, session, **WORK)
    strip.bench(act, session, outputs, **WORK)
    parts.result.act(first, [*forms.sizes, forms.levels, session], outputs, **WORK)
    parts.cancel.click(stop, session, outputs, **WORK)
    forms.speed.click(speed, [*forms.sizes, forms.levels, session], outputs, **WORK)
    forms.sweep.click(sweep, [*forms.sizes, *forms.chosen, forms.behaviour, session], outputs, **WORK)
    forms.quality.click(quality, [forms.what, forms.text, session], outputs, **WORK)
    forms.upload.upload(upload, [forms.upload, session], outputs, show_progress="minimal", api_visibility="private")
    taken.upload(take_in, [taken, session], outputs, show_progress="minimal", api_visibility="private")
    gr.on([search.submit, search.blur, kind.input, published.input], sift, [search, kind, published, session], outputs, **WORK)
    gr.on([each.change for each in forms.chosen], count, forms.chosen, forms.sweep, **QUICK)
    forms.what.change(name_quality, forms.what, forms.quality, **QUICK)
    parts.timer.tick(look, session, outputs, **WORK)
    wake.change(refresh, session, outputs, **WORK)
    tab.select(arrive, [forms.models, session], [*outputs, forms.models, forms.quantizations], **WORK)
