"""Parquet, read by a child process with a time limit and a memory limit: a small file may describe any number of values.

This file is also the child's program, so of the engine it imports only cells.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .cells import MAX_COLUMNS, MAX_ROWS, CellWriter, Unreadable, cell_of, column_names

TIMEOUT_S = 120.0
MAX_MEMORY_BYTES = 3 * 2**30        # address space, of which the libraries alone reserve a part
MAX_UNPACKED_BYTES = 512 * 2**20    # of one row group, and of all of them
MAX_VALUES = 50_000_000             # of all columns, in lists too
BATCH_ROWS = 256
EXPORT = "Open it where it was made, and export it again."
BROKE = Unreadable("parquet", "reading it took too much memory or time, or it is damaged", EXPORT)
CHILD = "import sys; sys.path.insert(0, sys.argv.pop(1)); from formats.parquet import main; main()"

PASSED = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "HOME", "TMPDIR", "TEMP")      # of the environment: no secret

_turns = threading.BoundedSemaphore(2)


def write_cells(source: Path, target: Path) -> int:
    """Write the cells of a Parquet file to `target` in a child process, and return how many rows it has. Blocks.

    Raises Unreadable.
    """
    with _turns:
        try:
            child = subprocess.run(
                [sys.executable, "-P", "-c", CHILD, str(Path(__file__).parent.parent), str(source), str(target)], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False,
                env={**{name: os.environ[name] for name in PASSED if name in os.environ}, "ARROW_DEFAULT_MEMORY_POOL": "system"})
        except subprocess.TimeoutExpired:
            raise BROKE from None
    try:
        found = json.loads(child.stdout)
    except ValueError:          # killed before it wrote its result
        raise BROKE from None
    if "count" in found:
        return int(found["count"])
    raise Unreadable(*found["refusal"])


def read(source: Path, target: Path) -> int:
    """As `write_cells`, in this process. A damaged file raises any exception of pyarrow."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(source, memory_map=True, thrift_string_size_limit=64 * 2**20, thrift_container_size_limit=10**6) as file:
        _require_small(file.metadata)
        if not file.metadata.num_rows:
            raise Unreadable("empty", "it has no rows", "Choose a file that has rows.")
        names = file.schema_arrow.names
        writer = CellWriter(target, column_names(names))
        try:
            for row in _rows(file):
                cells = [cell_of(value) for value in row]
                writer.add([cell.text for cell in cells], [cell.kind for cell in cells])
        finally:
            writer.close()
    return writer.count


def _rows(file: Any) -> Iterator[tuple[Any, ...]]:
    for batch in file.iter_batches(BATCH_ROWS, use_threads=False):
        yield from zip(*(_plain(column) for column in batch.columns), strict=True)


def _plain(column: Any) -> list[Any]:
    """The values of a column; bytes are text, which old writers did not say, or nothing."""
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in column.to_pylist()]


def _require_small(footer: Any) -> None:
    """Refuse by the footer, before anything is unpacked. Raises Unreadable."""
    if footer.num_rows > MAX_ROWS:
        raise Unreadable("rows", f"it has {footer.num_rows:,} rows", f"Keep at most {MAX_ROWS:,}.")
    if footer.num_columns > 4 * MAX_COLUMNS:
        raise Unreadable("columns", f"it has {footer.num_columns:,} columns", f"Keep at most {MAX_COLUMNS}.")
    groups = [footer.row_group(at) for at in range(footer.num_row_groups)]
    unpacked = sum(group.total_byte_size for group in groups)
    values = sum(group.column(at).num_values for group in groups for at in range(group.num_columns))
    if unpacked > MAX_UNPACKED_BYTES or values > MAX_VALUES:
        raise Unreadable("unpacked", f"it unpacks to {unpacked / 2**20:,.0f} MiB in {values:,} values", "Split it, or keep fewer columns.")


def main() -> None:
    """Read the file of the first argument into that of the second, and write JSON to standard output: the count, or why there is none."""
    _limit_own_resources()
    try:
        found: dict[str, Any] = {"count": read(Path(sys.argv[1]), Path(sys.argv[2]))}
    except Unreadable as error:
        found = {"refusal": error.args}
    except MemoryError:
        found = {"refusal": BROKE.args}
    except Exception as error:      # pyarrow has many exceptions for a damaged file
        found = {"refusal": Unreadable("parquet", f"it is damaged ({type(error).__name__})", EXPORT).args}
    json.dump(found, sys.stdout)


def _limit_own_resources() -> None:
    if sys.platform == "win32":     # has no such limits; the parent's time limit applies there too
        return
    import resource

    limits = {resource.RLIMIT_CPU: int(TIMEOUT_S) + 10}
    if sys.platform == "linux":
        limits[resource.RLIMIT_AS] = MAX_MEMORY_BYTES
    for which, limit in limits.items():
        hard = resource.getrlimit(which)[1]
        lower = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(which, (lower, lower))
