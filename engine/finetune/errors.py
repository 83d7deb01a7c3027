"""Errors of tables of examples."""

from __future__ import annotations

from ..errors import EngineError

# Why a file is refused: no rows; another kind of file; its encoding; more than is read (in bytes, rows, columns, characters of a cell or of
# all, values, characters of a line); quotes, or the number of cells, of a row of CSV; broken JSON; values inside values; SQuAD's form.
REFUSALS = ("empty", "content", "encoding", "bytes", "rows", "columns", "cell", "unpacked", "values", "line", "quote", "cells", "json",
            "nested", "squad", "parquet")


class TableRefused(EngineError):
    """`kind`: one of REFUSALS, a key for the reason's text in other languages. `row`: counted from 1 below the header; 0 and "": none."""

    def __init__(self, name: str, kind: str, why: str, remedy: str, *, row: int = 0, column: str = "", line: int = 0) -> None:
        place = ", ".join(filter(None, (
            f"row {row:,}" + (f" (line {line:,})" if line else "") if row else "", f"column “{column}”" if column else "")))
        super().__init__(f"{name} cannot be read: {place + ': ' if place else ''}{why}. {remedy}")
        self.name, self.kind, self.why, self.remedy, self.row, self.column, self.line = name, kind, why, remedy, row, column, line


class TableNotFound(EngineError):
    def __init__(self) -> None:
        super().__init__("This table of examples no longer exists. Upload its file again.")
