"""Files of every format become the same tables; what is broken is refused with its row and its column."""

from __future__ import annotations

import csv
import gzip
import io
import json
import pickle
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.finetune import REFUSALS, TableNotFound, TableRefused, Tables
from engine.finetune import tables as tables_module
from engine.formats import cells, parquet
from engine.formats.cells import CellFile, Unreadable
from engine.settings import Settings

TWO = (("good, really", "1"), ("bad", "0"))


def texts(tables: Tables, content: bytes | str, **how: object) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    table = tables.read("rows", content.encode() if isinstance(content, str) else content, **how)  # type: ignore[arg-type]
    return table.columns, table.rows()


def refusal(tables: Tables, content: bytes | str) -> TableRefused:
    with pytest.raises(TableRefused) as raised:
        texts(tables, content)
    return raised.value


def as_parquet(columns: dict[str, object], **options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


# --- broken CSV: an error with its row and its column, or rows that are right ---

@pytest.mark.parametrize(("content", "row", "column", "kind", "line"), [
    ('text,label\ngood,1\n"bad,0\nfine,1\n', 2, "text", "quote", 3),                # 1. a quote that is never closed
    ('text,label\ngood,1\n"bad" day,0\n', 2, "text", "quote", 3),                   # 2. text after a closing quote
    ("text,label\ngood,1\nbad, really,0\n", 2, "column 3", "cells", 0),             # 3. a separator outside quotes
    ("text,label,source\ngood,1,a\nbad,0\n", 2, "source", "cells", 0),              # 4. a cell that is missing
    ("text,label\ngood,1\nbad;0\n", 2, "label", "cells", 0),                        # 5. another separator in one row
    (f"text,label\ngood,1\n{'x' * 1_000_001},0\n", 2, "text", "cell", 3),           # 6. a cell without an end
    ("text,label\n", 0, "", "empty", 0),                                            # 7. a header alone
    (",".join(f"c{at}" for at in range(201)) + "\n", 0, "", "columns", 0),          # 8. too many columns
], ids=["quote", "after quote", "separator", "missing", "other separator", "long", "header", "columns"])
def test_a_broken_csv_is_refused_where_it_is_broken(tables: Tables, content: str, row: int, column: str, kind: str, line: int) -> None:
    error = refusal(tables, content)
    assert (error.row, error.column, error.kind, error.line) == (row, column, kind, line)
    assert not row or (f"row {row}" in str(error) and f"“{column}”" in str(error))


@pytest.mark.parametrize(("content", "columns"), [
    ('text,label\n"good, really",1,\nbad,0,,\n', ("text", "label")),                     # 9. separators at the ends of rows
    ('text,label\r\n\r\n"good, really",1\rbad,0\n\n', ("text", "label")),                # 10. three kinds of line ends, and blank lines
    ('\ufeffsep=;\ntext;label\n"good, really";1\nbad;0\n', ("text", "label")),           # 11. Excel's own first line, after a BOM
    ('text,text\n"good, really",1\nbad,0\n', ("text", "text 2")),                        # 12. a name twice
    (',text\n"good, really",1\nbad,0\n', ("column 1", "text")),                          # 13. a column without a name
    ("text\tlabel\ngood, really\t1\nbad\t0\n", ("text", "label")), ("text|label\ngood, really|1\nbad|0", ("text", "label")),
], ids=["ends", "lines", "sep", "twice", "unnamed", "tabs", "bars"])
def test_an_odd_csv_is_read_as_it_is_meant(tables: Tables, content: str, columns: tuple[str, ...]) -> None:
    assert texts(tables, content) == (columns, TWO)


def test_quotes_in_a_file_with_tabs_may_be_text(tables: Tables) -> None:
    """As in CoLA: no header, empty cells, and quotes that nobody closes."""
    content = 'gj04\t1\t\t"Never, he said.\nks08\t0\t*\tHe "said.\n'
    assert texts(tables, content) == (tuple(f"column {at}" for at in range(1, 5)), (
        ("gj04", "1", "", '"Never, he said.'), ("ks08", "0", "*", 'He "said.')))
    assert texts(tables, 'text\tlabel\n"two\nlines\tand ""quotes"""\t1\n')[1] == (('two\nlines\tand "quotes"', "1"),)


@pytest.mark.parametrize(("content", "is_headless"), [
    ("text,label\na b,x\n", False), ("I like it,good\nI do not,bad\nYes,good\n", True), ("1,a\n2,b\n", True),
    ("text\nHello, world\nonly one\n", False), (",text,label\n0,a b,x\n1,b c,x\n", False), ("one line, of text\nand another\n", True)])
def test_whether_a_csv_has_a_header_is_seen_and_can_be_corrected(tables: Tables, content: str, is_headless: bool) -> None:
    table = tables.read("rows.csv", content.encode())
    assert table.is_headless is is_headless
    again = tables.read_again(table.id, has_header=is_headless)
    assert (again.count, again.is_headless) == (table.count + (-1 if is_headless else 1), not is_headless)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1254", "utf-16-le"])
def test_encodings_are_recognized_or_chosen(tables: Tables, encoding: str) -> None:
    lines = "metin;etiket\n" + "çok güzel bir gün, değil mi;iyi\nhiç güzel değil, üşüyoruz;kötü\n" * 5
    table = tables.read("rows.csv", lines.encode(encoding))
    assert (table.columns, table.rows(1)) == (("metin", "etiket"), (("çok güzel bir gün, değil mi", "iyi"),))
    if encoding in ("utf-8", "cp1254"):
        assert tables.read_again(table.id, encoding="cp1251").encoding == "cp1251"
    with pytest.raises(TableRefused, match="encoding"):
        tables.read_again(table.id, encoding="utf-7")


# --- JSON ---

@pytest.mark.parametrize("content", [
    '[{"text": "good, really", "label": 1}, {"text": "bad", "label": 0}]', '{"text": ["good, really", "bad"], "label": [1, 0]}',
    '{"text": "good, really", "label": 1}\n\n{"text": "bad", "label": 0.0}', '{"train": [{"text": "good, really", "label": 1},'
    ' {"text": "bad", "label": 0}], "version": 1}'], ids=["list", "columns", "lines", "under a name"])
def test_json_of_several_forms_becomes_the_same_table(tables: Tables, content: str) -> None:
    assert texts(tables, content) == (("text", "label"), TWO)


def test_columns_of_json_are_those_of_all_rows_and_values_keep_their_kinds(tables: Tables) -> None:
    table = tables.read("rows", b'{"a": 1, "b": ["x"]}\n{"a": "1", "c": {"d": NaN}, "b": null}\n{"a": true, "b": ""}')
    kinds = [[cell.kind.name for cell in row] for row in table.cells()]
    assert table.columns == ("a", "b", "c")
    assert kinds == [["NUMBER", "LIST", "EMPTY"], ["TEXT", "EMPTY", "OBJECT"], ["NUMBER", "EMPTY", "EMPTY"]]
    assert [cell.value for cell, in table.cells(["c"])] == ["", {"d": None}, ""]


def test_squad_is_a_row_for_each_question(tables: Tables) -> None:
    asked = [{"id": "1", "question": "who?", "answers": [{"text": "he", "answer_start": 0}]},
             {"id": "2", "question": "why?", "answers": [], "is_impossible": True}]
    content = {"version": "2", "data": [{"title": "T", "paragraphs": [{"context": "he did", "qas": asked}]}]}
    assert texts(tables, json.dumps(content)) == (("title", "question", "context", "answers"), (
        ("T", "who?", "he did", '[{"text": "he", "answer_start": 0}]'), ("T", "why?", "he did", "[]")))
    del asked[1]["question"]
    assert refusal(tables, json.dumps(content)).row == 2


@pytest.mark.parametrize(("content", "row", "line", "kind"), [
    ('{"a": 1}\n{"a": 2\n', 2, 2, "json"), ('[{"a": 1},\n{"a": }]', 2, 2, "json"), ('[{"a": 1}', 1, 1, "json"),
    ('[{"a": 1}, 5]', 2, 0, "json"),
    ('{"a": 1} {"a": 2}', 0, 0, "json"), ('{"a": 1}\n{"a": 2} x', 2, 2, "json"), ('[{"a": ' + "9" * 5000 + "}]", 1, 0, "json"),
    ("[" * 5000, 1, 0, "nested"), ('{"a": ' + "[" * 5000, 0, 0, "nested"), ('{"a": 1}\n{"a": ' + "[" * 5000, 2, 2, "nested"),
    ('{"a": [1, 2, 3], "b": [1, 2]}', 3, 0, "cells"), ("[]", 0, 0, "empty"),
    pytest.param('{"a": [' + "[]," * 4_100_000 + "[]]}", 0, 0, "values", id="millions of values"),
])
def test_broken_json_is_refused_where_it_is_broken(tables: Tables, content: str, row: int, line: int, kind: str) -> None:
    error = refusal(tables, content)
    assert (error.row, error.line, error.kind) == (row, line, kind)


# --- Parquet ---

def test_parquet_is_read_by_a_child_process(tables: Tables) -> None:
    table = tables.read("rows.csv", as_parquet({"tokens": [["EU", "is"], ["it"]], "tags": [[3, 0], [0]], "text": ["ü", None]}))
    assert (table.format, table.columns, table.count) == ("parquet", ("tokens", "tags", "text"), 2)
    assert table.rows() == (('["EU", "is"]', "[3, 0]", "ü"), ('["it"]', "[0]", ""))
    assert refusal(tables, as_parquet({"a": [1]})[:-9]).kind == "parquet"


def test_a_parquet_file_that_unpacks_to_too_much_is_refused_by_its_footer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = pa.array(["x"]).take(pa.array([0] * 1_000_001, pa.int32()))
    pq.write_table(pa.table({"text": bomb}), tmp_path / "rows")
    with pytest.raises(Unreadable, match="1,000,001 rows"):
        parquet.read(tmp_path / "rows", tmp_path / "cells")
    monkeypatch.setattr(parquet, "MAX_VALUES", 100_000)
    lists = pa.ListArray.from_arrays(pa.array([0, 100_001], pa.int32()), pa.array([0] * 100_001, pa.int8()))
    pq.write_table(pa.table({"numbers": lists}), tmp_path / "rows")
    assert (tmp_path / "rows").stat().st_size < 1000
    with pytest.raises(Unreadable, match="values"):
        parquet.read(tmp_path / "rows", tmp_path / "cells")


def test_a_small_parquet_file_with_long_texts_is_refused_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One text of 900,000 characters, repeated: the file stores it once."""
    monkeypatch.setattr(cells, "MAX_UNPACKED_CHARS", 20_000_000)
    pq.write_table(pa.table({"text": pa.array(["x" * 900_000]).take(pa.array([0] * 70, pa.int32()))}), tmp_path / "rows")
    assert (tmp_path / "rows").stat().st_size < 1_000_000
    with pytest.raises(Unreadable, match="characters"):
        parquet.read(tmp_path / "rows", tmp_path / "cells")


# --- what is no table ---

@pytest.mark.parametrize(("content", "says"), [
    (pickle.dumps({"text": ["a"]}), "pickle"), (gzip.compress(b"text,label\na,1\n", mtime=0), "gzip"), (b"", "empty"), (b" \n\n", "empty"),
    (b"<!DOCTYPE html><html><body>a,b", "web page"), (b"\x89PNG\r\n\x1a\n", "picture"), (b"%PDF-1.7", "PDF"),
    (b"\0\1\2\3" * 99, "not text"), (b"ARROW1\0\0", "Arrow"),
    ((9).to_bytes(8, "little") + b'{"a":1}  ' + b"\0" * 9, "safetensors"), (b"GGUF\3\0\0\0", "GGUF"), (b"\x7fELF\2", "program"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel")])
def test_other_files_are_refused_by_their_content(tables: Tables, content: bytes, says: str) -> None:
    assert says in str(refusal(tables, content))


def test_a_checkpoint_under_the_name_of_a_table_is_refused(tables: Tables) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(0))
    with pytest.raises(TableRefused, match="PyTorch checkpoint"):
        tables.read("rows.csv", file.getvalue())


# --- the store ---

def test_a_table_belongs_to_its_owner_and_can_be_deleted(tables: Tables) -> None:
    mine = tables.read("../rows.csv", b"text\na b\nc d\n", "me")
    assert mine.name == "rows.csv"
    assert tables.get(mine.id, "me") == mine
    assert tables.list("me") == (mine,)
    for table_id, owner in ((mine.id, "you"), (mine.id, ""), ("../" + mine.id, "me"), ("0" * 32, "me")):
        with pytest.raises(TableNotFound):
            tables.get(table_id, owner)
    tables.delete(mine.id, "me")
    assert tables.list("me") == ()
    assert not mine.folder.exists()


def test_every_reason_of_a_refusal_is_known() -> None:
    """Those that the page has texts for."""
    sources = [*Path(cells.__file__).parent.glob("*.py"), Path(tables_module.__file__)]
    found = {kind for path in sources for kind in re.findall(r'(?:Unreadable\(|TableRefused\(\w[\w.]*, )"(\w+)"', path.read_text("utf-8"))}
    assert found == set(REFUSALS)


def test_nothing_stays_of_a_file_that_is_refused(tmp_path: Path) -> None:
    store = Tables(Settings(data_dir=tmp_path))
    refusal(store, 'text,label\n"a')
    assert [*tmp_path.rglob("*.arrow")] == []
    assert [*(tmp_path / "finetune" / "tables").iterdir()] == []


def test_a_public_page_takes_smaller_files_and_keeps_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Tables(Settings(data_dir=tmp_path, is_public=True))
    with pytest.raises(TableRefused, match="20 MiB"):
        store.read("rows", b"x" * (20 * 2**20 + 1))
    kept = [store.read(f"{number}.csv", b"text\na b\nc d\n", "me").id for number in range(7)]
    assert [table.id for table in store.list("me")] == kept[:1:-1]
    monkeypatch.setattr(tables_module, "MAX_ALL_BYTES_PUBLIC", 50)
    newest = [store.read("rows.csv", b"text\na b\nc d\n", owner).id for owner in ("a", "b", "c", "d")]       # of 13 bytes each
    assert [len(store.list(owner)) for owner in ("a", "b", "c", "d", "me")] == [0, 1, 1, 1, 0]
    assert store.get(newest[-1], "d").count == 2


def test_a_sample_is_spread_over_the_whole_table(tables: Tables) -> None:
    table = tables.read("rows", ("number\n" + "".join(f"n{number}\n" for number in range(10_000))).encode(), has_header=True)
    sample = [int(cell.text[1:]) for cell, in table.sample(["number"], 100)]
    assert sample == [*range(0, 10_000, 100)]
    assert sum(1 for _ in table.cells()) == table.count == 10_000


def test_halves_of_surrogate_pairs_do_not_stop_a_file(tables: Tables) -> None:
    assert texts(tables, '[{"text": "a\\ud800b"}]')[1] == (("a?b",),)


def test_cells_are_written_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What bounds the memory: no more than a batch of rows is held."""
    monkeypatch.setattr(cells, "BATCH_ROWS", 10)
    writer = cells.CellWriter(tmp_path / "cells", ["a"])
    held = 0
    for number in range(95):
        writer.add([str(number)])
        held = max(held, len(writer._texts))
    writer.close()
    assert held < 10
    assert [cell.text for cell, in CellFile(tmp_path / "cells").rows(["a"])] == [str(number) for number in range(95)]


def test_a_file_with_a_long_cell_is_read_the_same_the_first_time(tables: Tables) -> None:
    """The limit of the csv module, which is of the whole process, is as in a new one."""
    content = "text,label\n" + "x" * 140_000 + ",1\nhi,0\n"
    found = []
    for limit in (131_072, csv.field_size_limit()):
        csv.field_size_limit(limit)
        found.append(texts(tables, content)[0])
    assert found == [("text", "label")] * 2
