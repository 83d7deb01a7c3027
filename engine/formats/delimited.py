"""CSV and its relatives: which character separates the cells, what quotes mean, whether the first row names the columns."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from .cells import MAX_CELL_CHARS, CellWriter, Unreadable, column_names
from .content import SAMPLE_BYTES

DELIMITERS = (",", "\t", ";", "|")
SNIFFED_ROWS = 200
LEAST_ALIKE = 0.5           # of the first rows: as many cells as the most frequent number
MAX_HEADER_CHARS = 64
KNOWN = frozenset("text sentence label id question answer context tokens tags".split())     # in a header of one row
EXPORTED = re.compile(r"sep=(.)\s*", re.IGNORECASE)      # Excel's own first line
QUOTED = re.compile(r'"(?:[^"]|"")*"')
NUMBER = re.compile(r"[-+]?[\d.,]+%?")


def write_cells(content: bytes, encoding: str, target: Path, has_header: bool | None = None) -> tuple[int, bool]:
    """Write the cells of a CSV file to `target`. Returns how many rows it has, and whether its first row named the columns.

    `has_header`: whether the first row names the columns; None: decide by its cells. Raises Unreadable with the first row that is wrong.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL_CHARS))       # of the process; the default is 131,072
    sample = content[:SAMPLE_BYTES & ~3].decode(encoding, "ignore").lstrip("\ufeff")
    first_line = sample.partition("\n")[0]
    told = EXPORTED.fullmatch(first_line)
    delimiter = told[1] if told else _delimiter(sample)
    quoting = _quoting(_lines(content, encoding, bool(told)), delimiter)
    rows = _Rows(_lines(content, encoding, bool(told)), delimiter, quoting)
    start = [*islice(rows, SNIFFED_ROWS)]
    if not start and not rows.error:
        raise Unreadable("empty", "it has no rows", "Choose a file that has rows.")
    is_named = bool(start and _is_header(start)) if has_header is None else has_header
    first = start[0] if start else [""]
    writer = CellWriter(target, column_names(first if is_named else [""] * len(first)))
    rows.begin(writer.columns, first=int(is_named))
    try:
        for row in _chained(start[is_named:], rows):
            writer.add(rows.checked(row, writer.count + 1))
        if rows.error:
            raise rows.broken()
    finally:
        writer.close()
    if not writer.count:
        raise Unreadable("empty", "it has a header and no rows", "Choose a file that has rows.")
    return writer.count, is_named


class _Rows:
    """The rows of a file, without blank lines. They end where its quotes are wrong: `error` is not empty then."""

    def __init__(self, lines: Iterator[str], delimiter: str, quoting: int) -> None:
        self.error = ""
        self._first = ""            # line of the record that is being read
        self._is_first = True
        self._delimiter = delimiter or "\x1f"
        self._reader = csv.reader(self._watched(lines), delimiter=self._delimiter, quoting=quoting, strict=True)    # type: ignore[arg-type]
        self._columns: tuple[str, ...] = ()
        self._read, self._above, self._line = 0, 0, 1

    def begin(self, columns: tuple[str, ...], first: int) -> None:
        """`first`: how many rows are above the first one that counts."""
        self._columns, self._above = columns, first

    def _watched(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            if self._is_first:
                self._first, self._is_first = line, False
            yield line

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        while not self.error:
            self._line, self._is_first = self._reader.line_num + 1, True
            try:
                row = next(self._reader)
            except csv.Error as error:
                self.error = str(error)
                break
            if len(row) > 1 or (row and row[0].strip()):
                self._read += 1
                return row
        raise StopIteration

    def broken(self) -> Unreadable:
        """Why the rows ended too early."""
        error, row, is_long = self.error, self._read + 1 - self._above, "limit" in self.error
        at = self._first[:MAX_CELL_CHARS].count(self._delimiter) if is_long else _broken_cell(self._first.rstrip("\r\n"), self._delimiter)
        column = self._columns[at] if at < len(self._columns) else f"column {at + 1}"
        if is_long:
            return Unreadable("cell", f"a cell has more than {MAX_CELL_CHARS:,} characters, perhaps because a quote is not closed",
                              "Close the quote, or shorten the cell.", row, column, self._line)
        if "end of data" in error:
            return Unreadable("quote", "a quote is opened and never closed", 'Close it, and write quotes inside a cell twice ("").',
                              row, column, self._line)
        return Unreadable("quote", "text follows a closing quote", 'Write quotes inside a cell twice ("").', row, column, self._line)

    def checked(self, row: list[str], number: int) -> list[str]:
        """The row with as many cells as there are columns. Raises Unreadable."""
        wanted = len(self._columns)
        while len(row) > wanted and not row[-1].strip():
            row.pop()
        if len(row) > wanted:
            raise Unreadable("cells", f"it has {len(row)} cells, but there are {wanted} columns",
                             "Put cells that contain the separator into quotes.", number, f"column {wanted + 1}")
        if len(row) < wanted:
            raise Unreadable("cells", f"it has only {len(row)} of {wanted} cells", "Complete the row.", number, self._columns[len(row)])
        return row


def _chained(start: Sequence[list[str]], rest: Iterator[list[str]]) -> Iterator[list[str]]:
    yield from start
    yield from rest


def _lines(content: bytes, encoding: str, skips_first: bool) -> Iterator[str]:
    """The lines with their ends, decoded as they are read; what is no character becomes U+FFFD."""
    lines = io.TextIOWrapper(io.BytesIO(content), encoding, errors="replace", newline="")
    return islice(lines, 1 if skips_first else 0, None)


def _delimiter(sample: str) -> str:
    """The separator with which most of the first rows have as many cells as each other; "" for a single column."""
    found = []
    for delimiter in DELIMITERS:
        try:
            sizes = [len(row) for row in islice(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), SNIFFED_ROWS) if row]
        except csv.Error:
            continue
        sizes = sizes[:-1] if len(sizes) > 2 else sizes         # the sample may end within the last one
        size, times = Counter(sizes).most_common(1)[0] if sizes else (0, 0)
        if size > 1 and sizes[0] > 1 and (times > LEAST_ALIKE * len(sizes) or min(sizes) > 1):
            found.append((times / len(sizes), size, delimiter))
    return max(found, key=lambda each: each[:2])[2] if found else ""


def _quoting(lines: Iterator[str], delimiter: str) -> int:
    """Whether quotes have a meaning. In files with tabs they often have none: each line is a row, and some quotes are not closed."""
    if delimiter != "\t":
        return csv.QUOTE_MINIMAL
    sizes, is_broken = set(), False
    for line in lines:
        line = line.rstrip("\r\n")
        if not line:
            continue
        sizes.add(line.count(delimiter))
        if not is_broken and '"' in line:
            is_broken = _broken_cell(line, delimiter) <= line.count(delimiter)
        if len(sizes) > 1:
            return csv.QUOTE_MINIMAL
    return csv.QUOTE_NONE if is_broken else csv.QUOTE_MINIMAL


def _broken_cell(line: str, delimiter: str) -> int:
    """The place of the first cell whose quotes are not those of CSV; the number of cells if there is none."""
    at = number = 0
    while at <= len(line):
        if line[at:at + 1] == '"':
            closed = QUOTED.match(line, at)
            if closed is None or line[closed.end():closed.end() + 1] not in ("", delimiter):
                return number
            end = closed.end()
        else:
            end = line.find(delimiter, at)
            end = len(line) if end < 0 else end
        at, number = end + 1, number + 1
    return number


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: short words that are no numbers and do not occur again below."""
    first = [cell.strip() for cell in rows[0]]
    if any(cell.casefold() in KNOWN for cell in first):
        return True
    if any(NUMBER.fullmatch(cell) or len(cell) > MAX_HEADER_CHARS for cell in first) or "" in first[1:]:
        return False
    if len(first) == 1:
        return " " not in first[0] and any(" " in row[0] for row in rows[1:])
    return not any(at < len(row) and row[at].strip() == name for row in rows[1:] for at, name in enumerate(first) if name)
