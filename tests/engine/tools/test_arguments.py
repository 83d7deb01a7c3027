"""Arguments are checked against a schema that a stranger wrote: it may be wrong, refer to elsewhere, or take forever."""

from __future__ import annotations

from typing import Any

import pytest

from engine.tools import misfit

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}, "s": {"enum": ["a", "b"]}}, "required": ["n"],
          "additionalProperties": False}


@pytest.mark.parametrize(("arguments", "why"), [
    ({"n": 1, "s": "a"}, ""), ({"n": "1"}, "$.n: '1' is not of type 'integer'"), ({}, "'n' is a required property"),
    ({"n": 0}, "$.n: 0 is less than the minimum"), ({"n": 1, "s": "c"}, "$.s: 'c' is not one of"),
    ({"n": 1, "x": 2}, "'x' was unexpected")])
def test_the_reason_names_the_place(arguments: dict[str, Any], why: str) -> None:
    found = misfit(SCHEMA, arguments)
    assert bool(found) is bool(why)
    assert why in found


DOUBLING = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)} | {"d60": {"type": "string"}}
SLOW = {"type": "string", "pattern": "^(a+)+$"}


@pytest.mark.parametrize("schema", [
    {"properties": {"a": {"$ref": "https://example.com/schema"}}},      # nothing is fetched
    {"$ref": "#"},
    {"properties": {"a": {"type": "strange"}}},
    {"$defs": DOUBLING, "properties": {"a": {"$ref": "#/$defs/d0"}}},
    {"properties": {"a": SLOW}}, {"properties": {"a": {"$schema": "http://json-schema.org/draft-07/schema#", **SLOW}}},
    {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False},
    {"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"a": {"minLength": 1}, "n": {"exclusiveMinimum": True}}}])
def test_what_cannot_be_checked_is_left_to_the_server(schema: dict[str, Any]) -> None:
    long = "a" * 40 + "b"
    assert misfit(schema, {"a": long, long: 1}) == ""
