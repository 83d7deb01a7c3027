"""From the fields that ask for an answer in a shape to the engine's Shape: OpenAI's, and those of vLLM's guided decoding."""

from __future__ import annotations

from typing import Any

from engine.shapes import Shape

from .errors import ApiError
from .requests import ResponsesRequest, TokenSampling


def shape_of(request: TokenSampling) -> Shape | None:
    """None where any text will do. Raises ApiError and InvalidShape."""
    shapes: dict[str, Shape] = {}
    if (wanted := request.response_format) is not None and wanted.type != "text":
        wanted.ignored("response_format.")
        if wanted.json_schema is not None:
            wanted.json_schema.ignored("response_format.json_schema.")
        shapes["response_format"] = _json(wanted.type, wanted.json_schema.body if wanted.json_schema else None,
                                          "response_format.json_schema.schema")
    if request.guided_json is not None:
        given = request.guided_json
        shapes["guided_json"] = Shape("json_schema", given) if isinstance(given, str) else Shape.of_schema(given)
    if request.guided_regex is not None:
        shapes["guided_regex"] = Shape("regex", request.guided_regex)
    if request.guided_choice is not None:
        shapes["guided_choice"] = Shape.of_choices(request.guided_choice)
    if len(shapes) > 1:
        raise ApiError(400, "invalid_value", f"An answer has one shape: send one of {', '.join(shapes)}.", list(shapes)[-1])
    return next(iter(shapes.values()), None)


def shape_of_response(request: ResponsesRequest) -> Shape | None:
    """As `shape_of`, for /v1/responses."""
    wanted = request.text.format if request.text else None
    if wanted is None or wanted.type == "text":
        return None
    wanted.ignored("text.format.")
    return _json(wanted.type, wanted.body, "text.format.schema")


def _json(kind: str, schema: dict[str, Any] | None, place: str) -> Shape:
    if kind == "json_object":
        return Shape("json")
    if schema is None:
        raise ApiError(400, "missing_required_parameter", f"{place} is missing: the type json_schema needs it.", place)
    return Shape.of_schema(schema)
