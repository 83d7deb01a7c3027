"""What the Benchmark tab can run: the forms on its left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import BUILTIN, Quantization

from ..shared.context import PageBuilder
from ..shared.html import ACTION_JS
from .start import DEPTHS, LEVELS, QUALITIES

SAMPLES = 100       # of each of lm-eval's tasks, by default


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
    lines: gr.Textbox
    names: gr.Textbox
    limit: gr.Number
    file: gr.HTML
    upload: gr.UploadButton
    quality: gr.Button
    asked: gr.Textbox
    first: gr.Dropdown
    second: gr.Dropdown
    compare: gr.Button

    @property
    def sizes(self) -> list[Any]:
        return [self.prompt, self.new, self.repetitions]

    @property
    def chosen(self) -> list[Any]:
        return [self.models, self.quantizations, self.depths]

    @property
    def asked_for(self) -> list[Any]:
        """What the Quality form says."""
        return [self.what, self.text, self.lines, self.names, self.limit]

    @property
    def by_kind(self) -> list[Any]:
        """What belongs to some kinds of quality only, in the order of `shown_for`."""
        return [self.text, self.lines, self.names, self.limit, self.file, self.upload]


def shown_for(what: str) -> list[Any]:
    is_text, is_names = what in ("perplexity", "cost"), what == "names"
    return [gr.update(visible=each) for each in (is_text, what == "task", is_names, is_names, not is_names, not is_names)]


def panel_html(name: str) -> gr.HTML:
    return gr.HTML("", elem_id=f"mc-{name}", apply_default_css=False, js_on_load=ACTION_JS)


def build_forms(builder: PageBuilder) -> tuple[Forms, tuple[gr.HTML, ...], gr.HTML]:
    """The forms, the places of their problems in the order of `BenchmarkParts.problems`, and the ratings of blind comparisons."""
    with builder.labelled(gr.Accordion, {"label": "bench.speed"}, elem_id="mc-bench-speed-box"), gr.Column(elem_classes="mc-bench-form"):
        with gr.Row(elem_classes="mc-bench-sizes"):
            prompt, new, repetitions = (_size(builder, *each) for each in (("prompt", 512), ("new", 128), ("repetitions", 5)))
        levels = builder.labelled(gr.CheckboxGroup, {"label": "bench.levels", "info": "bench.levels.info"},
                                 choices=[(str(each), each) for each in LEVELS], elem_id="mc-bench-levels")
        speed, speed_problem = _primary(builder, "speed"), panel_html("bench-speed-problem")
    with builder.labelled(gr.Accordion, {"label": "bench.sweep"}, open=False, elem_id="mc-bench-sweep-box"), \
            gr.Column(elem_classes="mc-bench-form"):
        models = builder.labelled(gr.CheckboxGroup, {"label": "bench.models", "info": "bench.models.info"},
                                 choices=[BUILTIN], value=[BUILTIN], elem_id="mc-bench-models")
        quantizations = builder.labelled(gr.CheckboxGroup, {"label": "load.quantization"}, choices=[each.value for each in Quantization],
                                        value=[Quantization.NONE.value], elem_id="mc-bench-quantizations")
        depths = builder.labelled(gr.CheckboxGroup, {"label": "bench.depths", "info": "bench.depths.info"},
                                 choices=[(f"{each:,}", each) for each in DEPTHS], value=[0], elem_id="mc-bench-depths")
        behaviour = builder.chooser("bench.visitors.meanwhile", {each: f"bench.visitors.{each}" for each in ("wait", "refuse")},
                                   elem_id="mc-bench-behaviour")
        sweep, sweep_problem = _primary(builder, "sweep"), panel_html("bench-sweep-problem")
    with builder.labelled(gr.Accordion, {"label": "bench.quality"}, open=False, elem_id="mc-bench-quality-box"), \
            gr.Column(elem_classes="mc-bench-form"):
        what = builder.chooser("bench.what", {each: f"bench.what.{each}" for each in QUALITIES}, elem_id="mc-bench-what")
        typed, lines, names, limit = _asked(builder)
        file = panel_html("bench-file")
        upload = builder.labelled(gr.UploadButton, {"label": "bench.upload"}, size="sm", elem_id="mc-bench-upload", min_width=120)
        quality, quality_problem = _primary(builder, "quality", "perplexity"), panel_html("bench-quality-problem")
    with builder.labelled(gr.Accordion, {"label": "bench.duel"}, open=False, elem_id="mc-bench-duel-box"), \
            gr.Column(elem_classes="mc-bench-form"):
        asked = builder.labelled(gr.Textbox, {"label": "bench.duel.prompt", "info": "bench.duel.info"}, lines=2, max_lines=8,
                                elem_id="mc-bench-asked")
        first, second = (_contender(builder, name, way) for name, way in (("first", Quantization.NONE), ("second", Quantization.NF4)))
        compare, compare_problem, ratings = _primary(builder, "duel"), panel_html("bench-duel-problem"), panel_html("bench-ratings")
    forms = Forms(prompt, new, repetitions, levels, speed, models, quantizations, depths, behaviour, sweep, what, typed, lines, names,
                  limit, file, upload, quality, asked, first, second, compare)
    return forms, (speed_problem, sweep_problem, quality_problem, compare_problem), ratings


def _asked(builder: PageBuilder) -> tuple[gr.Textbox, gr.Textbox, gr.Textbox, gr.Number]:
    """A separate box for each kind of input, so that none is read as another kind."""
    def box(name: str, *properties: str, lines: int = 4, is_shown: bool = False) -> gr.Textbox:
        keys = {"label": f"bench.{name}", **{each: f"bench.{name}.{each}" for each in properties}}
        return builder.labelled(gr.Textbox, keys, lines=lines, max_lines=10, visible=is_shown, elem_id=f"mc-bench-{name}")

    limit = {"label": "bench.limit", "info": "bench.limit.info"}
    return (box("text", "placeholder", is_shown=True), box("lines", "placeholder", "info"), box("names", "placeholder", "info", lines=1),
            builder.labelled(gr.Number, limit, value=SAMPLES, precision=0, visible=False, elem_id="mc-bench-limit"))


def _contender(builder: PageBuilder, name: str, way: Quantization) -> gr.Dropdown:
    value = f"{way.value} {BUILTIN}"
    return builder.labelled(gr.Dropdown, {"label": f"bench.duel.{name}"}, choices=[value], value=value, filterable=False,
                           elem_id=f"mc-bench-{name}")


def _size(builder: PageBuilder, name: str, value: int) -> gr.Number:
    """No limits here: Gradio would show its own error over every output."""
    return builder.labelled(gr.Number, {"label": f"bench.size.{name}"}, value=value, precision=0, min_width=88, elem_id=f"mc-bench-{name}")


def _primary(builder: PageBuilder, name: str, says: str = "") -> gr.Button:
    return builder.labelled(gr.Button, {"value": f"bench.start.{says or name}"}, variant="primary", size="md", elem_id=f"mc-bench-{name}")
