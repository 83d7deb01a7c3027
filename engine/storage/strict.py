"""Values of our own dataclasses from JSON, read strictly by pydantic: an invalid member is refused by its name."""

from __future__ import annotations

import json
from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from ..errors import InvalidRequest
from ..messages import MAX_MESSAGE_CHARS
from ..plain_text import valid_text

T = TypeVar("T")
Place = tuple[int | str, ...]       # the path to a member: ("attachments", 0, "text")
SHOWN_CHARS = 60        # of a refused value, in an error message
MAX_NUMBER = 1e19       # larger than every seed, count and time
MAX_ITEMS = 10_000      # of one list
EXPECTED = {"missing": "given", "string_type": "text", "int_type": "a whole number", "int_from_float": "a whole number",
            "float_type": "a number", "bool_type": "true or false", "tuple_type": "a list", "dataclass_type": "an object",
            "sequence_type": "a list", "list_type": "a list"}


def read(kind: type[T], value: object, name: str, max_chars: int = MAX_MESSAGE_CHARS) -> T:
    """Return `value`, parsed from JSON, as the dataclass `kind`; unknown members are ignored, those with defaults may be missing or null.

    max_chars: of one text. Raises InvalidRequest, which names the first invalid member: "text of attachment 1 of `name`".
    """
    # pydantic takes lists for tuples only from JSON text
    try:
        text = valid_text(json.dumps(_without_nulls(value, (), name, max_chars), ensure_ascii=False))
    except RecursionError as error:
        raise InvalidRequest(name, "values inside values, hundreds deep", "JSON without such deep nesting") from error
    try:
        result: T = _adapter(cast(Hashable, kind)).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        shown = "missing" if first["type"] == "missing" else show(first["input"])
        expected = EXPECTED.get(first["type"]) or first["msg"].removeprefix("Input should be ")
        raise InvalidRequest(_name(first["loc"], name), shown, expected) from error
    except InvalidRequest as error:         # a check of the dataclass itself
        raise InvalidRequest(f"{error.name} of {name}", show(error.value), error.expected) from error
    return result


def show(value: object) -> object:
    """A short form of a JSON value for an error message."""
    match value:
        case None:
            return "missing"
        case dict():
            return "an object"
        case list() | tuple():
            return f"a list of {len(value):,}"
        case str():
            return valid_text(value[:SHOWN_CHARS])
    return value if len(repr(value)) < SHOWN_CHARS else f"{repr(value)[:SHOWN_CHARS]}..."


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _without_nulls(value: Any, place: Place, name: str, max_chars: int) -> Any:
    """`value` without the members that are null. Raises InvalidRequest for a number, text or list beyond all limits, NaN among them."""
    match value:
        case dict():
            return {key: _without_nulls(member, (*place, key), name, max_chars) for key, member in value.items() if member is not None}
        case list() if len(value) > MAX_ITEMS:
            raise InvalidRequest(_name(place, name), f"{len(value):,} entries", f"at most {MAX_ITEMS:,}")
        case list():
            return [_without_nulls(member, (*place, at), name, max_chars) for at, member in enumerate(value)]
        case int() | float() if not -MAX_NUMBER < value < MAX_NUMBER:
            raise InvalidRequest(_name(place, name), show(value), f"a number below {MAX_NUMBER:g}")
        case str() if len(value) > max_chars:
            raise InvalidRequest(_name(place, name), f"{len(value):,} characters", f"at most {max_chars:,} characters")
    return value


def _name(place: Place, name: str) -> str:
    """("attachments", 0, "text") of "message 1": "text of attachment 1 of message 1"."""
    parts: list[str] = []
    for part in place:
        if isinstance(part, int) and parts:
            parts[-1] = f"{parts[-1].removesuffix('s')} {part + 1}"
        else:
            parts.append(str(part))
    return " of ".join([*reversed(parts), name])
