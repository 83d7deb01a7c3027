"""The components of the Fine-tune tab and their layout: a box for each step, of which one is visible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import BUILTIN
from engine.finetune import ROLES, Method, Task, TrainingOptions

from ..shared.context import PageBuilder
from ..shared.html import ACTION_JS
from .session import HELD_BACK, STEPS, Step

METHODS: tuple[Method, ...] = ("lora", "qlora", "full")
TASKS: tuple[Task, ...] = ("chat", "text-classification", "question-answering", "token-classification", "text")
ROLE_KEYS = tuple(dict.fromkeys(role.key for roles in ROLES.values() for role in roles))
FILES = [".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet"]
BUS_JS = "watch('value', () => mindcubes.receive(element));"
DEFAULTS = TrainingOptions()
# Option: smallest value, step. No largest: the engine says what is too large.
NUMBERS = {"epochs": 0.5, "learning_rate": None, "batch_size": 1, "max_tokens": 1, "lora_rank": 1, "lora_alpha": 1, "evaluations": 1,
           "patience": 1, "seed": 1}


@dataclass(frozen=True)
class DataParts:
    shown: gr.HTML
    example: gr.Button
    upload: gr.UploadButton
    dataset: gr.Textbox
    part: gr.Dropdown
    get: gr.Button
    next: gr.Button
    runs: gr.HTML


@dataclass(frozen=True)
class MapParts:
    """`roles`: a dropdown of columns for each of ROLE_KEYS."""

    task: gr.Dropdown
    roles: tuple[gr.Dropdown, ...]
    held_back: gr.Number
    second: gr.HTML
    upload: gr.UploadButton
    check: gr.HTML
    example: gr.HTML
    spread: gr.HTML
    next: gr.Button


@dataclass(frozen=True)
class ModelParts:
    """`numbers`: one for each of NUMBERS."""

    base: gr.Dropdown
    method: gr.Radio
    name: gr.Textbox
    numbers: tuple[gr.Number, ...]
    estimate: gr.HTML
    start: gr.Button

    @property
    def chosen(self) -> list[Any]:
        return [self.base, self.method, self.name, *self.numbers]


@dataclass(frozen=True)
class RunParts:
    now: gr.HTML
    stop: gr.Button
    numbers: gr.HTML
    curves: gr.HTML
    log: gr.HTML


@dataclass(frozen=True)
class ResultParts:
    shown: gr.HTML
    uses: gr.HTML
    details: gr.HTML
    curves: gr.HTML
    repo: gr.Textbox
    token: gr.Textbox
    is_private: gr.Checkbox
    is_merged: gr.Checkbox
    push: gr.HTML

    @property
    def typed(self) -> list[Any]:
        return [self.repo, self.token, self.is_private, self.is_merged]


@dataclass(frozen=True)
class TuneParts:
    """`boxes` and `problems`: one for each of STEPS."""

    note: gr.HTML
    steps: gr.HTML
    boxes: tuple[gr.Column, ...]
    problems: tuple[gr.HTML, ...]
    data: DataParts
    map: MapParts
    model: ModelParts
    run: RunParts
    result: ResultParts
    timer: gr.Timer
    bus: gr.HTML                # messages to the browser

    @property
    def outputs(self) -> list[Any]:
        """Every component whose value depends on the session, except what the visitor types."""
        data, mapping, model, result = self.data, self.map, self.model, self.result
        return [self.note, self.steps, *self.boxes, *self.problems, self.timer, self.bus, *self.progress,
                data.shown, data.example, data.upload, data.next, data.runs, mapping.task, *mapping.roles, mapping.held_back,
                mapping.second, mapping.upload, mapping.check, mapping.example, mapping.spread, mapping.next, *model.chosen,
                model.estimate, model.start, result.shown, result.uses, result.details, result.curves, result.push]

    @property
    def progress(self) -> list[Any]:
        """What changes while a run is in progress."""
        return [self.run.now, self.run.stop, self.run.numbers, self.run.curves, self.run.log]


def build_parts(builder: PageBuilder) -> TuneParts:
    boxes: list[gr.Column] = []
    problems: list[gr.HTML] = []

    def box(step: Step) -> gr.Column:
        column = gr.Column(visible=step == "data", elem_id=f"mc-tune-box-{step}", elem_classes="mc-tune-box")
        boxes.append(column)
        return column

    def problem(step: Step) -> None:
        problems.append(html_part(f"problem-{step}"))

    with gr.Column(elem_classes="mc-tune"):
        note, steps = html_part("note"), html_part("steps")
        with box("data"):
            data = _build_data(builder, problem)
        with box("map"):
            mapping = _build_map(builder, problem)
        with box("model"):
            model = _build_model(builder, problem)
        with box("run"):
            run = _build_run(builder, problem)
        with box("result"):
            result = _build_result(builder, problem)
        bus = gr.HTML("", elem_id="mc-tune-bus", apply_default_css=False, js_on_load=BUS_JS)
        timer = gr.Timer(1.0, active=False)
    assert len(boxes) == len(problems) == len(STEPS)
    return TuneParts(note, steps, tuple(boxes), tuple(problems), data, mapping, model, run, result, timer, bus)


def html_part(name: str) -> gr.HTML:
    return gr.HTML("", elem_id=f"mc-tune-{name}", apply_default_css=False, js_on_load=ACTION_JS)


def _build_data(builder: PageBuilder, problem: Any) -> DataParts:
    with gr.Column(elem_classes="mc-drop-zone", elem_id="mc-tune-drop"):
        problem("data")
        shown = html_part("data")
        with gr.Row(elem_classes="mc-tune-acts"):
            example = builder.labelled(gr.Button, {"value": "tune.example.act"}, variant="primary", size="md", scale=0, min_width=200,
                                      elem_id="mc-tune-example")
            upload = builder.labelled(gr.UploadButton, {"label": "tune.upload"}, size="md", file_types=FILES, scale=0, min_width=160,
                                     elem_id="mc-tune-upload")
            following = builder.labelled(gr.Button, {"value": "tune.next.map"}, variant="primary", visible=False, size="md", scale=0,
                                        min_width=200, elem_id="mc-tune-next-map")
    with builder.labelled(gr.Accordion, {"label": "tune.hub"}, open=False, elem_id="mc-tune-hub"), gr.Row(elem_classes="mc-tune-row"):
        dataset = builder.labelled(gr.Textbox, {"label": "tune.hub.name", "placeholder": "tune.hub.placeholder"}, lines=1, max_lines=1,
                                  scale=3, min_width=200, elem_id="mc-tune-dataset")
        part = builder.labelled(gr.Dropdown, {"label": "tune.hub.part"}, choices=[], visible=False, filterable=False, scale=2,
                               min_width=160, elem_id="mc-tune-hub-part")
        get = builder.labelled(gr.Button, {"value": "tune.hub.get"}, scale=0, min_width=120, elem_id="mc-tune-hub-get")
    return DataParts(shown, example, upload, dataset, part, get, following, html_part("runs"))


def _build_map(builder: PageBuilder, problem: Any) -> MapParts:
    with gr.Row(elem_classes="mc-tune-columns"):
        with gr.Column(scale=4, min_width=280, elem_classes="mc-tune-form"):
            task = builder.chooser("tune.task", {each: f"tune.task.{each}" for each in TASKS}, elem_id="mc-tune-task")
            roles = tuple(builder.labelled(gr.Dropdown, {"label": f"tune.role.{key}"}, choices=[""], value="", visible=False,
                                           filterable=False, elem_id=f"mc-tune-role-{key}") for key in ROLE_KEYS)
            held_back = builder.labelled(gr.Number, {"label": "tune.held_back", "info": "tune.held_back.info"}, value=HELD_BACK,
                                        precision=0, elem_id="mc-tune-held-back")
            second = html_part("second")
            upload = builder.labelled(gr.UploadButton, {"label": "tune.second"}, size="sm", file_types=FILES, elem_id="mc-tune-second-file")
            following = builder.labelled(gr.Button, {"value": "tune.next.model"}, variant="primary", size="md",
                                        elem_id="mc-tune-next-model")
        with gr.Column(scale=7, min_width=280):
            problem("map")
            check, example, spread = (html_part(name) for name in ("check", "preview", "spread"))
    return MapParts(task, roles, held_back, second, upload, check, example, spread, following)


def _build_model(builder: PageBuilder, problem: Any) -> ModelParts:
    with gr.Row(elem_classes="mc-tune-columns"):
        with gr.Column(scale=5, min_width=280, elem_classes="mc-tune-form"):
            base = builder.labelled(gr.Dropdown, {"label": "tune.base", "info": "tune.base.info"}, choices=[BUILTIN], value=BUILTIN,
                                   allow_custom_value=True, elem_id="mc-tune-base")
            method = builder.labelled(gr.Radio, {"label": "tune.method"}, choices=list(METHODS), value=METHODS[0], elem_id="mc-tune-method")
            name = builder.labelled(gr.Textbox, {"label": "tune.name"}, lines=1, max_lines=1, elem_id="mc-tune-name")
            with builder.labelled(gr.Accordion, {"label": "tune.options"}, open=False, elem_id="mc-tune-options"), \
                    gr.Row(elem_classes="mc-tune-numbers"):
                numbers = tuple(_number(builder, key) for key in NUMBERS)
        with gr.Column(scale=6, min_width=280):
            problem("model")
            estimate = html_part("estimate")
            start = builder.labelled(gr.Button, {"value": "tune.start"}, variant="primary", size="md", elem_id="mc-tune-start")
    return ModelParts(base, method, name, numbers, estimate, start)


def _number(builder: PageBuilder, key: str) -> gr.Number:
    """No limits here: Gradio would show its own error over every output."""
    return builder.labelled(gr.Number, {"label": f"tune.option.{key}", "info": f"tune.option.{key}.info"}, value=getattr(DEFAULTS, key),
                           step=NUMBERS[key], min_width=130, elem_id=f"mc-tune-{key.replace('_', '-')}")


def _build_run(builder: PageBuilder, problem: Any) -> RunParts:
    problem("run")
    now = html_part("now")
    stop = builder.labelled(gr.Button, {"value": "tune.stop"}, variant="stop", visible=False, size="md", scale=0, min_width=160,
                            elem_id="mc-tune-stop")
    numbers, curves = html_part("numbers"), html_part("curves")
    with builder.labelled(gr.Accordion, {"label": "tune.log"}, open=False, elem_id="mc-tune-log-box"):
        log = html_part("log")
    return RunParts(now, stop, numbers, curves, log)


def _build_result(builder: PageBuilder, problem: Any) -> ResultParts:
    problem("result")
    shown, uses, details = html_part("result"), html_part("uses"), html_part("details")
    with builder.labelled(gr.Accordion, {"label": "tune.push"}, open=False, elem_id="mc-tune-push-box"):
        with gr.Row(elem_classes="mc-tune-row"):
            repo = builder.labelled(gr.Textbox, {"label": "tune.push.repo", "placeholder": "tune.push.placeholder"}, lines=1, max_lines=1,
                                   min_width=200, elem_id="mc-tune-repo")
            token = builder.labelled(gr.Textbox, {"label": "tune.push.token", "info": "tune.push.token.info"}, type="password", lines=1,
                                    max_lines=1, min_width=200, elem_id="mc-tune-token")
        with gr.Row(elem_classes="mc-tune-row"):
            is_private, is_merged = (builder.labelled(gr.Checkbox, {"label": f"tune.push.{name}"}, value=is_on, container=False,
                                                      elem_id=f"mc-tune-{name}") for name, is_on in (("private", True), ("merged", False)))
        push = html_part("push")
    with builder.labelled(gr.Accordion, {"label": "tune.curves"}, open=False, elem_id="mc-tune-curves-box"):
        curves = html_part("result-curves")
    return ResultParts(shown, uses, details, curves, repo, token, is_private, is_merged, push)
