"""From the bytes of a file to the texts of its documents. A long table becomes several."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..documents.files import FileText, Mark, cleaned, read_document
from ..documents.sections import ReadingLimits
from ..errors import AttachmentRefused, InvalidRequest
from ..formats.cells import Cell, CellFile, Kind, Unreadable
from ..formats.files import write_cells

TABLES = frozenset((".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet"))
PART_CHARS = 400_000        # of one document of a table: opening it at a row shows all of it
SAMPLE_ROWS = 200
LEAST_WORDY = 0.5           # of the cells of a column of texts: that have a space or a character beyond ASCII
WORDY = re.compile(r"\w\s+\w|[^\x00-\x7f]")


@dataclass(frozen=True, slots=True)
class Part:
    """One document of a file. `rows`: "" for all of it, else the numbers of its rows, which belong to its name."""

    file: FileText
    rows: str = ""


def read_parts(name: str, content: bytes, limits: ReadingLimits, folder: Path, stop: threading.Event | None = None) -> list[Part]:
    """The documents of a file. `folder`: for temporary files of tables. Blocks for seconds; once `stop` is set, it is refused soon.

    Raises AttachmentRefused.
    """
    if not content:
        raise AttachmentRefused(name, "it is empty", "Add a file that has text.")
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in TABLES:
        try:
            parts = read_rows(name, [content], limits, folder)
            if suffix != ".json" or len(parts) > 1 or len(parts[0].file.marks) > 1:
                return parts
        except Unreadable as error:
            if suffix == ".parquet":
                raise AttachmentRefused(name, error.why, error.remedy) from error
    return [Part(read_document(name, content, limits, stop))]     # one object of JSON, or a damaged table: its text is what can be read


def read_rows(name: str, contents: Sequence[bytes], limits: ReadingLimits, folder: Path,
              columns: Sequence[str] | None = None) -> list[Part]:
    """The rows of tables, one after the other, as paragraphs. `columns`: None for all, none for those with texts.

    Raises AttachmentRefused for more text than `limits`, InvalidRequest for a column that is not there, and Unreadable.
    """
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        rows = _rows(name, contents, Path(temporary), columns)
        return _parts(name, rows, limits)


def _rows(name: str, contents: Sequence[bytes], folder: Path, columns: Sequence[str] | None) -> Iterator[str]:
    for number, content in enumerate(contents):
        source, target = folder / f"source-{number}", folder / f"cells-{number}"
        source.write_bytes(content)
        write_cells(source, content, target)
        cells = CellFile(target)
        wanted = cells.columns if columns is None else tuple(columns) or _text_columns(cells)
        for column in wanted:
            if column not in cells.columns:
                raise InvalidRequest("column", column, f"one of {', '.join(cells.columns)}")
        for row in cells.rows(wanted):
            yield _paragraph(wanted, row)
        del cells       # a mapped file cannot be deleted everywhere


def _paragraph(columns: Sequence[str], row: Sequence[Cell]) -> str:
    """A row: each cell with the name of its column, or the only cell."""
    known = [(column, cleaned(cell.text).strip()) for column, cell in zip(columns, row, strict=True) if cell.kind != Kind.EMPTY]
    return known[0][1] if len(columns) == 1 and known else "\n".join(f"{column}: {text}" for column, text in known if text)


def _text_columns(cells: CellFile) -> tuple[str, ...]:
    """The columns that hold sentences rather than numbers, names of classes or addresses; all if none does."""
    sample = cells.sample(cells.columns, SAMPLE_ROWS)
    found = []
    for at, column in enumerate(cells.columns):
        filled = [row[at] for row in sample if row[at].kind != Kind.EMPTY]
        wordy = sum(cell.kind == Kind.TEXT and bool(WORDY.search(cell.text)) for cell in filled)
        if filled and wordy >= LEAST_WORDY * len(filled):
            found.append(column)
    return tuple(found) or cells.columns


def _parts(name: str, rows: Iterator[str], limits: ReadingLimits) -> list[Part]:
    parts: list[Part] = []
    texts, marks, begin, first, total, number = list[str](), list[Mark](), 0, 1, 0, 0
    for number, text in enumerate(rows, 1):
        total += len(text)
        if total > limits.max_chars:
            raise AttachmentRefused(name, f"its text has more than {limits.max_chars:,} characters", "Add a part of the rows.")
        if begin and begin + len(text) > PART_CHARS:
            parts.append(_part(texts, marks, first, number - 1))
            texts, marks, begin, first = [], [], 0, number
        if text:
            marks.append(Mark(begin, row=number))
            texts.append(text)
            begin += len(text) + 2
    if not texts and not parts:
        raise AttachmentRefused(name, "it has no text", "Add a file that has text.")
    if not parts:
        return [Part(FileText("\n\n".join(texts), marks=tuple(marks)))]
    return [*parts, _part(texts, marks, first, number)] if texts else parts


def _part(texts: Sequence[str], marks: Sequence[Mark], first: int, last: int) -> Part:
    return Part(FileText("\n\n".join(texts), marks=tuple(marks)), f"{first:,}–{last:,}")
