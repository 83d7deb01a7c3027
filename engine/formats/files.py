"""A file of any of the formats, to cells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import content as contents
from . import delimited, json_rows, parquet

Format = Literal["csv", "json", "parquet"]


@dataclass(frozen=True, slots=True)
class Found:
    """`count`: rows. `encoding`: Python's name, "" for Parquet."""

    format: Format
    count: int
    encoding: str = ""
    is_headless: bool = False


def write_cells(source: Path, content: bytes, target: Path, has_header: bool | None = None, encoding: str = "") -> Found:
    """Write the cells of a file to `target`. `content`: that of `source`. `has_header`, `encoding`: not guessed. Raises Unreadable."""
    contents.require_data(content)
    if contents.is_parquet(content):
        return Found("parquet", parquet.write_cells(source, target))
    encoding = contents.encoding_of(content, encoding)
    if contents.is_json(content, encoding):
        return Found("json", json_rows.write_cells(content, encoding, target), encoding)
    count, is_named = delimited.write_cells(content, encoding, target, has_header)
    return Found("csv", count, encoding, not is_named)
