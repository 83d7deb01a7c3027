"""The cells of a table as they are kept: an Arrow file with two columns for each of the table's, the texts and what they are.

Every format becomes this one, some thousand rows at a time, so the memory that reading takes does not depend on the number of rows.
This package imports nothing of the engine where a child process runs it (parquet.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

MAX_ROWS = 1_000_000
MAX_COLUMNS = 200
MAX_CELL_CHARS = 1_000_000
MAX_NAME_CHARS = 200            # of a column
MAX_UNPACKED_CHARS = 512 * 2**20        # of all cells: compressed files may hold any number
BATCH_ROWS = 4096
BATCH_CHARS = 8 * 2**20
PREVIEW_ROWS = 20


class Kind(IntEnum):
    EMPTY = 0
    TEXT = 1
    NUMBER = 2          # also true and false
    LIST = 3            # the text is JSON
    OBJECT = 4


KINDS = tuple(Kind)     # by number: quicker than Kind(number)


@dataclass(frozen=True, slots=True)
class Cell:
    kind: Kind
    text: str

    @property
    def value(self) -> Any:
        """The list or object of a cell; the text of any other."""
        return json.loads(self.text) if self.kind in (Kind.LIST, Kind.OBJECT) else self.text


NOTHING = Cell(Kind.EMPTY, "")


class Unreadable(Exception):
    """Why a file cannot be read as a table. `kind`: a key for its text in other languages. `row`: from 1 below the header; 0: none.

    `why` completes "cannot be read: "; `remedy` is a sentence.
    """

    def __init__(self, kind: str, why: str, remedy: str, row: int = 0, column: str = "", line: int = 0) -> None:
        super().__init__(kind, why, remedy, row, column, line)      # all of them, so that a child process can send it
        self.kind, self.why, self.remedy, self.row, self.column, self.line = kind, why, remedy, row, column, line


def cell_of(value: object) -> Cell:
    """The cell for a value of JSON or Arrow."""
    match value:
        case None:
            return NOTHING
        case str():
            return Cell(Kind.TEXT, value) if value.strip() else NOTHING
        case bool():
            return Cell(Kind.NUMBER, "true" if value else "false")
        case int():
            return Cell(Kind.NUMBER, str(value))
        case float():
            return NOTHING if value != value else Cell(Kind.NUMBER, repr(value).removesuffix(".0"))
        case list() | tuple():
            return Cell(Kind.LIST, json.dumps(value, ensure_ascii=False, default=str))
        case dict():
            return Cell(Kind.OBJECT, json.dumps(value, ensure_ascii=False, default=str))
    return Cell(Kind.TEXT, str(value))      # a date or a time of a Parquet file


def column_names(given: Sequence[str]) -> tuple[str, ...]:
    """Names that differ, none empty. Raises Unreadable for too many columns."""
    if len(given) > MAX_COLUMNS:
        raise Unreadable("columns", f"it has {len(given):,} columns", f"Keep at most {MAX_COLUMNS}: only two or three are needed.")
    names: list[str] = []
    for number, each in enumerate(given, 1):
        name = wanted = " ".join(each.split())[:MAX_NAME_CHARS] or f"column {number}"
        again = 2
        while name in names:
            name, again = f"{wanted} {again}", again + 1
        names.append(name)
    return tuple(names)


class CellWriter:
    """Writes the cells of one table; the file is complete once it is closed."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        import pyarrow as pa

        self.columns = tuple(columns)
        fields = [field for at in range(len(self.columns))
                  for field in (pa.field(f"text{at}", pa.large_string()), pa.field(f"kind{at}", pa.uint8()))]
        self._schema = pa.schema(fields, metadata={"columns": json.dumps(self.columns)})
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._file, self._schema)
        self._texts: list[Sequence[str]] = []
        self._kinds: list[Sequence[int]] = []
        self._chars = self._total_chars = 0
        self.count = 0

    def add(self, texts: Sequence[str], kinds: Sequence[int] | None = None) -> None:
        """Add a row. `kinds`: without it, each cell is a text, or empty. Raises Unreadable beyond a limit."""
        self.count += 1
        if self.count > MAX_ROWS:
            raise Unreadable("rows", f"it has more than {MAX_ROWS:,} rows", f"Keep at most {MAX_ROWS:,}.")
        size = sum(map(len, texts))
        if size > MAX_CELL_CHARS and (longest := max(map(len, texts))) > MAX_CELL_CHARS:
            raise Unreadable("cell", f"a cell has {longest:,} characters", f"Keep at most {MAX_CELL_CHARS:,} in one.",
                             self.count, next(name for name, text in zip(self.columns, texts, strict=True) if len(text) == longest))
        self._texts.append(texts)
        if kinds is not None:
            self._kinds.append(kinds)
        self._chars += size
        if self._chars > BATCH_CHARS or len(self._texts) >= BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._total_chars += self._chars
        if self._total_chars > MAX_UNPACKED_CHARS:
            raise Unreadable("unpacked", f"its cells have more than {MAX_UNPACKED_CHARS:,} characters", "Split it, or keep fewer columns.")
        arrays: list[pa.Array] = []
        kinds = [*zip(*self._kinds, strict=True)]
        for at, texts in enumerate(zip(*self._texts, strict=True)):
            column = _texts(texts)
            arrays += [column, pa.array(kinds[at], pa.uint8()) if kinds else _kinds(column)]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._texts, self._kinds, self._chars = [], [], 0

    def close(self) -> None:
        if self._texts:
            self._flush()
        self._writer.close()
        self._file.close()


def _texts(texts: Sequence[str]) -> pa.Array:
    """A column of texts; halves of surrogate pairs become question marks."""
    import pyarrow as pa

    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError:
        return pa.array([text.encode("utf-8", "replace").decode() for text in texts], pa.large_string())


def _kinds(texts: pa.Array) -> pa.Array:
    """Whether each is a text, or empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_empty = pc.equal(pc.utf8_trim_whitespace(texts), pa.scalar("", pa.large_string()))
    return pc.if_else(is_empty, pa.scalar(int(Kind.EMPTY), pa.uint8()), pa.scalar(int(Kind.TEXT), pa.uint8()))


class CellFile:
    """The cells of a written table. The file is mapped: its pages belong to the system's cache, not to the process."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self._source = pa.memory_map(str(path))
        self._reader = pa.ipc.open_file(self._source)
        self.columns: tuple[str, ...] = tuple(json.loads(self._reader.schema.metadata[b"columns"]))

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[Cell, ...]]:
        """Yield these columns' cells of each row. `columns`: names that the table has."""
        places = [self.columns.index(name) for name in columns]
        for number in range(self._reader.num_record_batches):
            batch = self._reader.get_batch(number)
            texts = [batch.column(2 * at).to_pylist() for at in places]
            kinds = [batch.column(2 * at + 1).to_pylist() for at in places]
            pairs = [*zip(kinds, texts, strict=True)]
            for at in range(batch.num_rows):
                yield tuple([Cell(KINDS[kind[at]], text[at]) for kind, text in pairs])

    def sample(self, columns: Sequence[str], count: int) -> list[tuple[Cell, ...]]:
        """At most `count` rows, spread evenly over the table."""
        batches = [self._reader.get_batch(at) for at in range(self._reader.num_record_batches)]
        every = max(1, -(-sum(batch.num_rows for batch in batches) // count))
        found, skipped = [], 0
        for batch in batches:
            places = range(-skipped % every, batch.num_rows, every)
            skipped += batch.num_rows
            columns_at = [(batch.column(2 * at), batch.column(2 * at + 1)) for at in map(self.columns.index, columns)]
            found += [tuple(Cell(KINDS[kinds[place].as_py()], texts[place].as_py()) for texts, kinds in columns_at) for place in places]
        return found


def join(parts: Sequence[Path], target: Path) -> None:
    """Write the rows of several tables, one after the other. Raises Unreadable if their columns differ, or beyond a limit."""
    files = [CellFile(path) for path in parts]
    for file in files[1:]:
        if file.columns != files[0].columns:
            raise Unreadable("cells", f"its files have different columns: {', '.join(files[0].columns)} and {', '.join(file.columns)}",
                             "Choose another part.")
    writer = CellWriter(target, files[0].columns)
    try:
        for file in files:
            for row in file.rows(file.columns):
                writer.add([cell.text for cell in row], [cell.kind for cell in row])
    finally:
        writer.close()
    files.clear()       # a mapped file cannot be deleted everywhere
    for path in parts:
        path.unlink()
