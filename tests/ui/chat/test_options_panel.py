import json

import pytest

from engine import GenerationOptions
from engine.errors import InvalidRequest
from engine.shapes import InvalidShape, Shape
from ui.chat.options_panel import read, values_of


def test_shown_options_are_read_back_unchanged() -> None:
    options = GenerationOptions(max_new_tokens=99, temperature=0.3, top_p=0.9, top_k=20, min_p=0.05, repetition_penalty=1.1,
                                stop=("END", "\t."), seed=7, reasoning_budget=400)
    assert read(values_of(options)) == options


@pytest.mark.parametrize("shape", [
    Shape("json"), Shape.of_schema({"type": "object", "title": "Ünlü"}), Shape.of_choices(["yes", " no "]), Shape("regex", r"\d{3}")])
def test_a_shape_is_read_back_unchanged(shape: Shape) -> None:
    found = read(values_of(GenerationOptions(shape=shape))).shape
    assert found is not None
    assert (found.kind, found.value if shape.kind != "json_schema" else json.loads(found.value)) == (
        shape.kind, shape.value if shape.kind != "json_schema" else json.loads(shape.value))


@pytest.mark.parametrize(("kind", "value"), [("json_schema", ""), ("json_schema", "{"), ("choice", "\n"), ("regex", "")])
def test_a_shape_without_its_value_is_refused(kind: str, value: str) -> None:
    with pytest.raises(InvalidShape):
        read([*values_of(GenerationOptions())[:-2], kind, value])


def test_an_empty_seed_is_no_seed() -> None:
    assert read(values_of(GenerationOptions())).seed is None


@pytest.mark.parametrize(("place", "name"), [(-4, "seed"), (-3, "reasoning_budget")])
def test_a_text_that_is_not_a_number_is_named(place: int, name: str) -> None:
    values = values_of(GenerationOptions())
    values[place] = "luck"
    with pytest.raises(InvalidRequest, match=name):
        read(values)
