"""Changes single values in the text of catalog.toml, and leaves its order and its comments as they are."""

from __future__ import annotations

import re
from dataclasses import fields

from ...checkpoint.shape import ModelShape

TAKEN_FROM_ENTRY = ("stored_dtype", "max_window")       # a `shape` in catalog.toml leaves them out


def shape_line(shape: ModelShape) -> str:
    """The inline table of catalog.toml for this shape, without zeros."""
    values = {each.name: getattr(shape, each.name) for each in fields(ModelShape) if each.name not in TAKEN_FROM_ENTRY}
    shown = {name: value for name, value in values.items() if value and (name, value) != ("expert_share", 1.0)}
    return "{" + ", ".join(f"{name} = {number(value)}" for name, value in shown.items()) + "}"


def number(value: float) -> str:
    """As TOML writes it: whole numbers of five digits and more in groups."""
    return str(value) if isinstance(value, float) else f"{value:_}" if abs(value) >= 10_000 else str(value)


def section(text: str, repo: str) -> tuple[int, int]:
    """Where the table of this model begins and ends in catalog.toml. Raises KeyError."""
    start = text.find(f'["{repo}"]\n')
    if start < 0:
        raise KeyError(repo)
    end = re.compile(r"^(?:\[|# |\s*\Z)", re.MULTILINE).search(text, start + 1)
    return start, end.start() if end else len(text)


def with_line(text: str, repo: str, name: str, value: str) -> str:
    """The text with `name = value` in the table of this model: in the place of the old line, or at its end. Raises KeyError."""
    return _with_lines(text, repo, name, [f"{name} = {value}"])


def without_line(text: str, repo: str, name: str) -> str:
    """The text without `name = ...` in the table of this model, if it is there. Raises KeyError for an unknown model."""
    return _with_lines(text, repo, name, [])


def _with_lines(text: str, repo: str, name: str, new: list[str]) -> str:
    start, end = section(text, repo)
    lines = text[start:end].rstrip("\n").split("\n")
    at = next((index for index, line in enumerate(lines) if line.startswith(f"{name} = ")), len(lines))
    lines[at:at + 1] = new
    return text[:start] + "\n".join(lines) + "\n" + ("\n" if text[end:].strip() else "") + text[end:]


def with_field(text: str, repo: str, name: str, value: str) -> str:
    """The text with another value of a field in the inline tables of this model. Raises KeyError if it has none."""
    start, end = section(text, repo)
    changed, count = re.subn(rf'(?<=[{{ ]){name} = (?:"[^"]*"|\[[^\]]*\]|[^,}}]*)(?=[,}}])', lambda _: f"{name} = {value}",
                             text[start:end], count=1)
    if not count:
        raise KeyError(f"{repo}: {name}")
    return text[:start] + changed + text[end:]
