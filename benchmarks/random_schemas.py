"""Random JSON schemas: nested objects, arrays, enums, numbers in ranges, texts with lengths and patterns, optional members, anyOf, $ref."""

from __future__ import annotations

import random
from typing import Any

Schema = dict[str, Any]
NAMES = ("name", "age", "city", "tags", "is_open", "price", "Straße", "ülke", "名前", "a b", 'quo"te', "back\\slash", "0", "items", "note")
PATTERNS = (r"^[A-Z]{2}-\d{3}$", r"^(red|green|blue)$", r"^\w+@\w+\.(com|org)$", r"[aeiou]", r"^[^\n]{3,12}$", r"^\+?[0-9 ]{5,15}$")
FORMATS = ("date", "time", "date-time", "email", "ipv4", "uuid")
MAX_DEPTH = 4


def random_schema(seed: int) -> Schema:
    """The same schema for the same seed."""
    dice = random.Random(seed)
    definitions = {"point": _object(dice, 2, refs=()), "label": _text(dice)}
    schema = _object(dice, 0, tuple(definitions)) if dice.random() < 0.7 else _any(dice, 0, tuple(definitions))
    return {**schema, "$defs": definitions}


def _any(dice: random.Random, depth: int, refs: tuple[str, ...]) -> Schema:
    simple = (_text, _number, _integer, _enum, _constant, lambda _: {"type": "boolean"}, lambda _: {"type": "null"})
    if depth >= MAX_DEPTH or dice.random() < 0.5:
        return dice.choice(simple)(dice)
    if refs and dice.random() < 0.2:
        return {"$ref": f"#/$defs/{dice.choice(refs)}"}
    return dice.choice((_object, _array, _tuple, _union))(dice, depth + 1, refs)


def _object(dice: random.Random, depth: int, refs: tuple[str, ...]) -> Schema:
    names = dice.sample(NAMES, dice.randint(0 if depth else 1, 5))
    schema: Schema = {"type": "object", "properties": {name: _any(dice, depth + 1, refs) for name in names},
                      "required": [name for name in names if dice.random() < 0.6]}
    if dice.random() < 0.8:
        schema["additionalProperties"] = False if dice.random() < 0.7 else _integer(dice)
    return schema


def _array(dice: random.Random, depth: int, refs: tuple[str, ...]) -> Schema:
    least = dice.randint(0, 2)
    return {"type": "array", "items": _any(dice, depth, refs), "minItems": least, "maxItems": least + dice.randint(0, 3)}


def _tuple(dice: random.Random, depth: int, refs: tuple[str, ...]) -> Schema:
    count = dice.randint(1, 3)
    return {"type": "array", "prefixItems": [_any(dice, depth, refs) for _ in range(count)], "items": False, "minItems": count}


def _union(dice: random.Random, depth: int, refs: tuple[str, ...]) -> Schema:
    return {"anyOf": [_any(dice, depth, refs) for _ in range(dice.randint(2, 3))]}


def _text(dice: random.Random) -> Schema:
    kind = dice.random()
    if kind < 0.25:
        return {"type": "string", "pattern": dice.choice(PATTERNS)}
    if kind < 0.35:
        return {"type": "string", "format": dice.choice(FORMATS)}
    least = dice.randint(0, 3)
    return {"type": "string", "minLength": least, "maxLength": least + dice.randint(0, 20)}


def _number(dice: random.Random) -> Schema:
    low = round(dice.uniform(-1000, 1000), 2)
    return dice.choice(({"type": "number"}, {"type": "number", "minimum": low, "maximum": low + 50},
                        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}))


def _integer(dice: random.Random) -> Schema:
    low = dice.randint(-500, 500)
    return dice.choice(({"type": "integer"}, {"type": "integer", "minimum": low, "maximum": low + dice.randint(0, 300)},
                        {"type": "integer", "multipleOf": dice.randint(2, 7), "minimum": 0}))


def _enum(dice: random.Random) -> Schema:
    return {"enum": dice.sample(("yes", "no", 1, 2.5, None, "ünlü", "a\nb", ["x", 1], {"k": "v"}), dice.randint(1, 4))}


def _constant(dice: random.Random) -> Schema:
    return {"const": dice.choice(("fixed", 7, None, "tab\t", [1, 2]))}
