"""The components of the Knowledge tab and their layout: the collections beside the one that is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine.knowledge import SearchMode

from ..shared.context import PageBuilder
from ..shared.html import ACTION_JS

BUS_JS = "watch('value', () => mindcubes.receive(element));"
MODES: tuple[SearchMode, ...] = ("hybrid", "text", "vectors")
TICK_S = 1.0        # between two looks at documents that are being read


@dataclass(frozen=True)
class AddParts:
    """`more`: the sources other than uploads. `folders`: what only the operator of a private page sees."""

    upload: gr.UploadButton
    more: gr.Accordion
    dataset: gr.Textbox
    column: gr.Textbox
    get: gr.Button
    folders: gr.Row
    folder: gr.Textbox
    read: gr.Button


@dataclass(frozen=True)
class TrialParts:
    box: gr.Column
    query: gr.Textbox
    mode: gr.Dropdown
    search: gr.Button
    found: gr.HTML


@dataclass(frozen=True)
class ModelParts:
    """What only the operator sees: the models that find texts."""

    box: gr.Accordion
    embedder: gr.Textbox
    reranker: gr.Textbox
    use: gr.Button


@dataclass(frozen=True)
class KnowledgeParts:
    collections: gr.HTML
    name: gr.Textbox
    create: gr.Button
    head: gr.HTML
    problem: gr.HTML
    add: AddParts
    progress: gr.HTML
    documents: gr.HTML
    trial: TrialParts
    models: ModelParts
    menu: gr.HTML               # of the chat, from which collections are chosen
    timer: gr.Timer
    bus: gr.HTML                # messages to the browser

    @property
    def outputs(self) -> list[Any]:
        """Every component whose value depends on the session, except what the visitor types."""
        return [self.problem, self.add.more, self.add.folders, self.models.box, *self.changing, self.trial.found, self.menu, self.bus]

    @property
    def changing(self) -> list[Any]:
        """What changes while documents are being read."""
        return [self.collections, self.head, self.progress, self.documents, self.trial.box, self.timer]


def build_parts(builder: PageBuilder, menu: gr.HTML) -> KnowledgeParts:
    with gr.Row(elem_classes="mc-know"):
        with gr.Column(elem_classes="mc-know-list", scale=3, min_width=240):
            collections = _html("collections")
            with gr.Row(elem_classes="mc-know-row"):
                name = builder.labelled(gr.Textbox, {"label": "know.new", "placeholder": "know.new"}, show_label=False, container=False,
                                        lines=1, max_lines=1, min_width=120, elem_id="mc-know-name", elem_classes="mc-search")
                create = builder.labelled(gr.Button, {"value": "know.create"}, size="sm", scale=0, min_width=88, elem_id="mc-know-create")
        with gr.Column(elem_classes="mc-know-one", scale=8, min_width=280):
            head, problem = _html("head"), _html("problem")
            add = _build_add(builder)
            progress, documents = _html("progress"), _html("documents")
            trial, models = _build_trial(builder), _build_models(builder)
    return KnowledgeParts(collections, name, create, head, problem, add, progress, documents, trial, models, menu,
                          gr.Timer(TICK_S, active=False), gr.HTML("", elem_id="mc-know-bus", apply_default_css=False, js_on_load=BUS_JS))


def _html(name: str) -> gr.HTML:
    return gr.HTML("", elem_id=f"mc-know-{name}", apply_default_css=False, js_on_load=ACTION_JS)


def _build_add(builder: PageBuilder) -> AddParts:
    with gr.Row(elem_classes="mc-know-row", elem_id="mc-know-drop"):
        upload = builder.labelled(gr.UploadButton, {"label": "know.add"}, size="sm", variant="primary", file_count="multiple", scale=0,
                                  min_width=120, elem_id="mc-know-upload")
    with builder.labelled(gr.Accordion, {"label": "know.more"}, open=False, elem_id="mc-know-more") as more:
        with gr.Row(elem_classes="mc-know-row"):
            dataset = builder.labelled(gr.Textbox, {"label": "know.dataset", "info": "know.dataset.info"}, lines=1, max_lines=1,
                                       min_width=200, elem_id="mc-know-dataset")
            column = builder.labelled(gr.Textbox, {"label": "know.column", "info": "know.column.info"}, lines=1, max_lines=1,
                                      min_width=140, elem_id="mc-know-column")
            get = builder.labelled(gr.Button, {"value": "know.get"}, size="sm", scale=0, min_width=96, elem_id="mc-know-get")
        with gr.Row(elem_classes="mc-know-row", visible=False, elem_id="mc-know-folders") as folders:
            folder = builder.labelled(gr.Textbox, {"label": "know.folder", "info": "know.folder.info"}, lines=1, max_lines=1,
                                      min_width=200, elem_id="mc-know-folder")
            read = builder.labelled(gr.Button, {"value": "know.read"}, size="sm", scale=0, min_width=96, elem_id="mc-know-read")
    return AddParts(upload, more, dataset, column, get, folders, folder, read)


def _build_trial(builder: PageBuilder) -> TrialParts:
    with gr.Column(visible=False, elem_id="mc-know-trial") as box:
        builder.labelled(gr.Markdown, {"value": "know.trial.info"}, elem_classes="mc-note")
        with gr.Row(elem_classes="mc-know-row"):
            query = builder.labelled(gr.Textbox, {"label": "know.trial"}, scale=3, lines=1, max_lines=3, min_width=200,
                                     elem_id="mc-know-query")
            mode = builder.chooser("know.mode", {each: f"know.mode.{each}" for each in MODES}, scale=2, min_width=200,
                                   elem_id="mc-know-mode")
            search = builder.labelled(gr.Button, {"value": "know.search"}, size="sm", scale=0, min_width=96, elem_id="mc-know-search")
        found = _html("found")
    return TrialParts(box, query, mode, search, found)


def _build_models(builder: PageBuilder) -> ModelParts:
    with builder.labelled(gr.Accordion, {"label": "know.models"}, open=False, visible=False, elem_id="mc-know-models") as box, \
            gr.Row(elem_classes="mc-know-row"):
        embedder, reranker = (builder.labelled(gr.Textbox, {"label": f"know.{name}", "info": f"know.{name}.info"}, lines=1, max_lines=1,
                                               min_width=200, elem_id=f"mc-know-{name}") for name in ("embedding", "reranker"))
        use = builder.labelled(gr.Button, {"value": "know.use"}, size="sm", scale=0, min_width=96, elem_id="mc-know-use")
    return ModelParts(box, embedder, reranker, use)
