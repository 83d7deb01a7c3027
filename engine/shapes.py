"""The shape that an answer must have: JSON, JSON that fits a schema, one of several texts, or a text that a pattern describes.

Pure data; generation/shape_masks.py makes the model keep to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from .errors import EngineError, InvalidRequest

Kind = Literal["json", "json_schema", "choice", "regex"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MAX_SHAPE_CHARS = 100_000
MAX_CHOICES = 1000
CUT_NOTE = "The answer is cut, and does not have the shape that was asked for."
ANY_OBJECT = '{"type": "object"}'       # the schema of the kind json, as OpenAI's json_object


class InvalidShape(InvalidRequest):
    """`why`: a clause that names what is wrong, such as a keyword of a schema."""

    def __init__(self, why: str) -> None:
        EngineError.__init__(self, f"This shape of an answer cannot be used: {why}. Change it, or leave it out.")
        self.name, self.why = "shape", why


@dataclass(frozen=True, slots=True)
class Shape:
    """Applies to the answer, after the thoughts before it. `value`: by kind.

    json: nothing; the answer is any JSON object. json_schema: a JSON schema. choice: a JSON list of texts, one of which is the answer.
    regex: a regular expression (the syntax of Rust's regex, without look-around) that the whole answer matches.
    """

    kind: Kind
    value: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidShape(f"its kind is {self.kind!r}, but it must be one of {', '.join(KINDS)}")
        if not isinstance(self.value, str) or len(self.value) > MAX_SHAPE_CHARS:
            raise InvalidShape(f"it must be a text of at most {MAX_SHAPE_CHARS:,} characters")
        if self.kind == "json" and self.value:
            raise InvalidShape("“json” has no value; a schema belongs to “json_schema”")
        if self.kind == "json_schema" and not isinstance(_parsed(self.value), dict):
            raise InvalidShape("the schema must be a JSON object")
        if self.kind == "choice":
            _require_choices(_parsed(self.value))
        if self.kind == "regex" and not self.value:
            raise InvalidShape("the pattern is empty")

    @classmethod
    def of_schema(cls, schema: Mapping[str, Any]) -> Shape:
        try:
            return cls("json_schema", json.dumps(schema, ensure_ascii=False, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidShape(f"the schema is not JSON ({error})") from error

    @classmethod
    def of_choices(cls, choices: Sequence[str]) -> Shape:
        _require_choices(choices)
        return cls("choice", json.dumps(list(choices), ensure_ascii=False))

    @property
    def schema(self) -> str:
        """Of the two kinds that are JSON."""
        return self.value or ANY_OBJECT

    @property
    def choices(self) -> tuple[str, ...]:
        """Of the kind choice."""
        return tuple(json.loads(self.value))

    @property
    def is_json(self) -> bool:
        return self.kind in ("json", "json_schema")


def shape_of(given: object) -> Shape | None:
    """A shape as options hold it: also from what `dataclasses.asdict` made of one, as saved chats keep it."""
    if given is None or isinstance(given, Shape):
        return given
    if isinstance(given, Mapping) and set(given) <= {"kind", "value"} and "kind" in given:
        return Shape(**given)
    raise InvalidRequest("shape", given, "a Shape")


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidShape(f"it is not JSON ({str(error)[:100]})") from error


def _require_choices(choices: object) -> None:
    if not isinstance(choices, (list, tuple)) or not 1 <= len(choices) <= MAX_CHOICES or not all(
            isinstance(each, str) and each for each in choices):
        raise InvalidShape(f"choices must be a list of 1 to {MAX_CHOICES:,} texts that are not empty")
