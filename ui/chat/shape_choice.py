"""The control in the options panel from which a visitor chooses the shape of answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from engine import EngineError
from engine.shapes import Shape

from ..shared.context import QUICK, PageBuilder
from ..shared.html import problem_box

FREE = "free"
KINDS = (FREE, "json", "json_schema", "choice", "regex")
WITHOUT_VALUE = (FREE, "json")


@dataclass(frozen=True)
class ShapeChoice:
    """`value`: a schema, a pattern, or texts to choose from, one per line."""

    kind: gr.Dropdown
    value: gr.Textbox


def build_shape_choice(builder: PageBuilder) -> ShapeChoice:
    kind = builder.chooser("shape.title", {each: f"shape.{each}" for each in KINDS}, elem_id="mc-shape")
    value = builder.labelled(gr.Textbox, {"label": "shape.value", "info": "shape.value.info"}, lines=3, max_lines=12, visible=False,
                             elem_id="mc-shape-value")
    problem = gr.HTML("", elem_id="mc-shape-problem", apply_default_css=False)

    def problem_of(chosen: str, given: str, request: gr.Request) -> str:
        if chosen in WITHOUT_VALUE or not given.strip():
            return ""
        context = builder.context(request)
        try:
            shape = shape_of(chosen, given)
            if shape is not None and context.engine.status().state == "ready":
                context.engine.check_shape(shape)
        except EngineError as error:
            return problem_box(error, context.language)
        return ""

    kind.change(lambda chosen: gr.update(visible=chosen not in WITHOUT_VALUE), kind, value, **QUICK)
    gr.on([kind.change, value.blur], problem_of, [kind, value], problem, **QUICK)
    return ShapeChoice(kind, value)


def shape_of(kind: Any, value: Any) -> Shape | None:
    """Return the shape for the values of the control. Raises InvalidShape."""
    given = str(value or "").strip("\n")
    if kind in (None, FREE):
        return None
    if kind == "choice":
        return Shape.of_choices([line for line in given.split("\n") if line])
    return Shape(kind, "" if kind == "json" else given)


def values_of_shape(shape: Shape | None) -> tuple[str, str]:
    """Inverse of `shape_of`. A schema is written on several lines."""
    if shape is None:
        return FREE, ""
    if shape.kind == "choice":
        return shape.kind, "\n".join(shape.choices)
    return shape.kind, json.dumps(json.loads(shape.value), indent=2, ensure_ascii=False) if shape.kind == "json_schema" else shape.value
