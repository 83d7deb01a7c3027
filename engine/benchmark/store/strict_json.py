"""Values of our own dataclasses from JSON, strictly: every member of its declared type, or an error that names it."""

from __future__ import annotations

import types
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ...errors import InvalidRequest
from ...storage.formats import Value

T = TypeVar("T")
MAX_ITEMS = 10_000      # of one list
MAX_CHARS = 100_000     # of one text: the longest is a model's answer


def read(kind: type[T], value: Value) -> T:
    """Return `value` as the dataclass `kind`; unknown members are ignored, those with defaults may be missing. Raises InvalidRequest."""
    hints, members = get_type_hints(kind), value.members()
    found: dict[str, Any] = {}
    for field in fields(kind):      # type: ignore[arg-type]
        has_default = field.default is not MISSING or field.default_factory is not MISSING
        if field.name in members or not has_default:
            found[field.name] = _read(hints[field.name], value.get(field.name))
    return kind(**found)


def _read(kind: Any, value: Value) -> Any:
    if is_dataclass(kind):
        return read(kind, value)        # type: ignore[arg-type]
    if get_origin(kind) is tuple:
        return _read_tuple(get_args(kind), value)
    if get_origin(kind) in (Union, types.UnionType):
        inner = next(each for each in get_args(kind) if each is not type(None))
        return None if value.value is None else _read(inner, value)
    if kind is bool:
        if not isinstance(value.value, bool):
            raise value.wrong("true or false")
        return value.value
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        if value.text() not in list(kind):
            raise value.wrong("one of " + ", ".join(kind))
        return kind(value.text())
    if kind in (int, float):
        return kind(value.number(whole=kind is int))
    text = value.text()
    if len(text) > MAX_CHARS:
        raise InvalidRequest(value.name, f"{len(text):,} characters", f"at most {MAX_CHARS:,} characters")
    return text


def _read_tuple(kinds: tuple[Any, ...], value: Value) -> tuple[Any, ...]:
    items = value.items("entry")
    if len(items) > MAX_ITEMS:
        raise InvalidRequest(value.name, f"{len(items):,} entries", f"at most {MAX_ITEMS:,}")
    if kinds[-1] is Ellipsis:
        return tuple(_read(kinds[0], Value(item.value, f"{item.name} ({value.name})")) for item in items)
    if len(items) != len(kinds):
        raise value.wrong(f"a list of {len(kinds)}")
    return tuple(_read(kind, item) for kind, item in zip(kinds, items, strict=True))
