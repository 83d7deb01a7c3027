"""A stored table of examples: what the page shows of it, and its cells, read from the disk as they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidRequest
from ..formats.cells import PREVIEW_ROWS, Cell, CellFile

CELLS = "cells.arrow"


@dataclass(frozen=True, slots=True)
class Table:
    """`count`: rows, without a header. `digest`: SHA-256 of the file's content, in hexadecimal. `format`: csv, json or parquet.

    `is_headless`: its file names no columns, so they are called "column 1" and so on. `source`: where it is from, of the hub.
    """

    id: str
    name: str
    columns: tuple[str, ...]
    count: int
    digest: str
    size_bytes: int
    format: str
    folder: Path
    encoding: str = ""
    is_headless: bool = False
    source: str = ""

    def cells(self, columns: Sequence[str] | None = None) -> Iterator[tuple[Cell, ...]]:
        """Yield the cells of these columns, by default of all, row after row. Raises InvalidRequest for a column that it does not have."""
        wanted = self.columns if columns is None else tuple(columns)
        for name in wanted:
            if name not in self.columns:
                raise InvalidRequest("column", name, f"one of {', '.join(self.columns)}")
        return CellFile(self.folder / CELLS).rows(wanted)

    def rows(self, count: int = PREVIEW_ROWS) -> tuple[tuple[str, ...], ...]:
        """The texts of the first rows, for a preview."""
        found: list[tuple[str, ...]] = []
        for row in self.cells():
            if len(found) == count:
                break
            found.append(tuple(cell.text for cell in row))
        return tuple(found)

    def sample(self, columns: Sequence[str], count: int) -> list[tuple[Cell, ...]]:
        """At most `count` rows, spread evenly over the table."""
        return CellFile(self.folder / CELLS).sample(columns, count)
