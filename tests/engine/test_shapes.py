"""Shapes as values: what is refused when one is made, and how options keep them."""

from dataclasses import asdict

import pytest

from engine import GenerationOptions
from engine.errors import InvalidRequest
from engine.shapes import InvalidShape, Shape


@pytest.mark.parametrize(("kind", "value", "why"), [
    ("xml", "", "kind"), ("json", "{}", "no value"), ("json_schema", "{", "not JSON"), ("json_schema", "[1]", "JSON object"),
    ("json_schema", '{"items":' * 9000 + "1" + "}" * 9000, "not JSON"), ("choice", '["a", ""]', "not empty"), ("choice", "[]", "choices"),
    ("regex", "", "empty"), ("regex", "a" * 200_000, "100,000 characters"), ("regex", 3, "a text")])
def test_what_is_no_shape_is_refused(kind: str, value: object, why: str) -> None:
    with pytest.raises(InvalidShape, match=why):
        Shape(kind, value)      # type: ignore[arg-type]


def test_a_schema_that_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidShape, match="not JSON"):
        Shape.of_schema({"enum": [{1, 2}]})


def test_options_keep_their_shape_in_saved_chats() -> None:
    options = GenerationOptions(shape=Shape.of_choices(["ja", "nein"]))
    assert GenerationOptions(**asdict(options)) == options
    assert options.shape is not None
    assert options.shape.choices == ("ja", "nein")


@pytest.mark.parametrize("options", [{"shape": "json"}, {"shape": {"value": "x"}}, {"shape": Shape("json"), "ignores_end": True}])
def test_options_refuse_what_is_no_shape(options: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        GenerationOptions(**options)        # type: ignore[arg-type]
