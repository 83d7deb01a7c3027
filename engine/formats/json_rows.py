"""JSON and JSONL: a list of objects, one object a line, columns of lists, or SQuAD's nested form."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from .cells import CellWriter, Unreadable, cell_of, column_names

MAX_VALUES = 8_000_000          # of one JSON value, told by its brackets and commas: a small list takes 64 bytes, not one
MAX_LINE_CHARS = 8 * 2**20      # of a line of JSONL
NO_ROWS = "Use a list of objects, or one object a line."
SHAREGPT = "conversations"
NO_SPACE = re.compile(r"[^ \t\r\n]")
Rows = Callable[[], Iterable[dict[str, Any]]]


def write_cells(content: bytes, encoding: str, target: Path) -> int:
    """Write the cells of a JSON or JSONL file to `target`, and return how many rows it has. Raises Unreadable with the row or line."""
    rows = _rows(content, encoding)
    columns: dict[str, None] = {}
    for row in rows():
        columns.update(dict.fromkeys(row))
    if not columns:
        raise Unreadable("empty", "it has no rows", NO_ROWS)
    names = tuple(columns)
    writer = CellWriter(target, column_names(names))
    try:
        for row in rows():
            cells = [cell_of(row.get(name)) for name in names]
            writer.add([cell.text for cell in cells], [cell.kind for cell in cells])
    finally:
        writer.close()
    return writer.count


def _rows(content: bytes, encoding: str) -> Rows:
    """What reads the rows from their start, once for their names and once for their cells."""
    start = content[:4096].decode(encoding, "ignore").lstrip("\ufeff \t\r\n")
    if start[0] == "{" and _has_lines(content, encoding):
        return lambda: _of_lines(content, encoding)
    number = content.count(b",") + content.count(b"[") + content.count(b"{")
    if number > MAX_VALUES:
        raise Unreadable("values", f"it holds about {number:,} values", f"Keep at most {MAX_VALUES:,}, or use JSONL or Parquet.")
    text = content.decode(encoding, "replace").lstrip("\ufeff")
    if start[0] == "[":
        return lambda: _of_list(text)
    found = _of_object(_loaded(text))
    return lambda: found


def _has_lines(content: bytes, encoding: str) -> bool:
    """Whether the first line is an object by itself, and not the only line."""
    lines = (line for line in io.TextIOWrapper(io.BytesIO(content), encoding, errors="replace") if line.strip("\ufeff \t\r\n"))
    first, second = next(lines, ""), next(lines, "")
    try:
        return bool(second) and len(first) <= MAX_LINE_CHARS and isinstance(json.loads(first.lstrip("\ufeff")), dict)
    except (ValueError, RecursionError):
        return second.lstrip().startswith("{")      # a broken first line: reading it says so


def _of_lines(content: bytes, encoding: str) -> Iterator[dict[str, Any]]:
    row = 0
    for line, text in enumerate(io.TextIOWrapper(io.BytesIO(content), encoding, errors="replace"), 1):
        text = text.strip("\ufeff \t\r\n")
        if not text:
            continue
        row += 1
        if len(text) > MAX_LINE_CHARS:
            raise Unreadable("line", f"a line has {len(text):,} characters", f"Keep at most {MAX_LINE_CHARS:,} in one.", row, "", line)
        value, end = _parsed(text, 0, row, line)
        if text[end:].strip():
            raise Unreadable("json", f"something follows the object, at character {end + 1}", "Keep one object a line.", row, "", line)
        yield _checked(value, row)


def _of_list(text: str) -> Iterator[dict[str, Any]]:
    """The elements of a list, parsed one after the other."""
    at, row = _skipped(text, text.index("[") + 1), 0
    while text[at:at + 1] != "]":
        row += 1
        value, at = _parsed(text, at, row)
        yield _checked(value, row)
        at = _skipped(text, at)
        if text[at:at + 1] == ",":
            at = _skipped(text, at + 1)
        elif text[at:at + 1] != "]":
            raise Unreadable("json", "a comma or the closing bracket of the list is missing after it",
                             "Complete the file, or save it as JSONL.", row, "", text.count("\n", 0, at) + 1)
    if text[at + 1:].strip():
        raise Unreadable("json", "something follows the list", "Keep one list in the file, or save it as JSONL.", row)


def _of_object(value: Any) -> list[dict[str, Any]]:
    """The rows of a file that is one object: SQuAD's, a list under a name, or a list for each column."""
    if not isinstance(value, dict):
        raise Unreadable("json", "it is neither a list nor an object", NO_ROWS)
    data = value.get("data")
    if isinstance(data, list) and data and all(isinstance(each, dict) and "paragraphs" in each for each in data):
        return [*_squad(data)]
    lists = {str(name): each for name, each in value.items() if isinstance(each, list)}
    of_objects = [each for each in lists.values() if each and all(isinstance(row, dict) for row in each)]
    if of_objects and (len(lists) == 1 or len(lists) < len(value)) and not {"messages", SHAREGPT} & set(value):
        return max(of_objects, key=len)
    if lists and len(lists) == len(value):
        sizes = {name: len(each) for name, each in lists.items()}
        if len(set(sizes.values())) == 1:
            return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
        short = min(sizes, key=lambda name: sizes[name])
        raise Unreadable("cells", f"its columns have different lengths, from {sizes[short]:,} to {max(sizes.values()):,}",
                         "Complete the shorter one.", sizes[short] + 1, short)
    return [{str(name): each for name, each in value.items()}]


def _squad(data: list[Any]) -> Iterator[dict[str, Any]]:
    """One row for each question of SQuAD's files: https://rajpurkar.github.io/SQuAD-explorer/. Raises Unreadable with its number."""
    row = 1
    try:
        for article in data:
            for paragraph in article["paragraphs"]:
                for asked in paragraph["qas"]:
                    yield {"title": article.get("title", ""), "question": asked["question"], "context": paragraph["context"],
                           "answers": [] if asked.get("is_impossible") else asked.get("answers", [])}
                    row += 1
    except (KeyError, TypeError, AttributeError) as error:
        missing = error.args[0] if isinstance(error, KeyError) else "a list of objects"
        raise Unreadable("squad", f"{missing!r} is missing in its nested form", "Compare it with SQuAD's own file.", row) from error


def _loaded(text: str) -> Any:
    value, end = _parsed(text, _skipped(text, 0), 0)
    if rest := text[end:].strip():
        raise Unreadable("json", f"something follows its object: {rest[:40]!r}", "Keep one object in the file, or one a line.")
    return value


def _parsed(text: str, at: int, row: int, line: int = 0) -> tuple[Any, int]:
    """The value that begins at `at`, and where it ends. `line`: of the file, where `text` is only that line."""
    try:
        return DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise Unreadable("json", f"it is no valid JSON at character {error.colno:,}: {error.msg.lower()}",
                         "Repair it, or export the file again.", row, "", line or error.lineno) from error
    except ValueError as error:         # a number with thousands of digits
        raise Unreadable("json", "a number in it is too long", "Shorten the number.", row, "", line) from error
    except RecursionError:
        raise Unreadable("nested", "it has values inside values, hundreds deep", "Use plain objects.", row, "", line) from None


def _checked(value: Any, row: int) -> dict[str, Any]:
    """The members of one row. A list is a chat; a text is one too short to need a name."""
    match value:
        case dict() if value:
            return {str(name): each for name, each in value.items()}
        case str():
            return {"text": value}
        case list() if value and all(isinstance(each, dict) for each in value):
            return {"messages": value}
    what = "an empty object" if value == {} else f"a {type(value).__name__}"
    raise Unreadable("json", f"it is {what} instead of an object", NO_ROWS, row)


def _skipped(text: str, at: int) -> int:
    """The place of the first character from `at` on that is no white space."""
    found = NO_SPACE.search(text, at)
    return found.start() if found else len(text)


def _nothing(name: str) -> None:
    """NaN and infinity, which JSON does not have, are empty cells."""


DECODER = json.JSONDecoder(parse_constant=_nothing)
