"""Tables become documents of rows; folders give up only files that are theirs."""

import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.documents.sections import ReadingLimits
from engine.errors import AttachmentRefused, InvalidRequest
from engine.knowledge import folders, reading
from engine.knowledge.folders import checked_folder, files_of
from engine.knowledge.reading import Part, read_parts, read_rows

LIMITS = ReadingLimits()
ROWS = [{"id": 1, "text": "A cat sleeps.", "tags": ["x"]}, {"id": 2, "text": "Bir köpek koşar.", "tags": []},
        {"id": 3, "text": "", "tags": None}]
READ = 'id: 1\ntext: A cat sleeps.\ntags: ["x"]\n\nid: 2\ntext: Bir köpek koşar.\ntags: []\n\nid: 3'


def parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), out)
    return out.getvalue()


def rows_of(part: Part) -> list[tuple[int, str]]:
    return [(mark.row, part.file.text[mark.begin:].split("\n")[0]) for mark in part.file.marks]


@pytest.mark.parametrize(("name", "content"), [
    ("a.csv", "id,text,tags\n1,A cat sleeps.,\"[\"\"x\"\"]\"\n2,Bir köpek koşar.,[]\n3,,\n".encode("cp1254")),
    ("a.jsonl", "\n".join(json.dumps(row) for row in ROWS).encode()), ("a.json", json.dumps(ROWS).encode()), ("a.parquet", parquet())])
def test_each_row_of_a_table_is_a_paragraph(name: str, content: bytes, tmp_path: Path) -> None:
    part, = read_parts(name, content, LIMITS, tmp_path)
    assert (part.file.text, part.rows) == (READ, "")
    assert rows_of(part) == [(1, "id: 1"), (2, "id: 2"), (3, "id: 3")]
    assert [*tmp_path.iterdir()] == []


def test_columns_with_texts_are_found_and_others_can_be_chosen(tmp_path: Path) -> None:
    table = b"id,label,text\n1,pos,It is good.\n2,neg,It is bad.\n"
    assert read_rows("a", [table], LIMITS, tmp_path, ())[0].file.text == "It is good.\n\nIt is bad."
    assert read_rows("a", [table, table], LIMITS, tmp_path, ("label",))[0].file.text == "pos\n\nneg\n\npos\n\nneg"
    with pytest.raises(InvalidRequest, match="one of id, label, text"):
        read_rows("a", [table], LIMITS, tmp_path, ("missing",))


def test_a_long_table_becomes_several_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PART_CHARS", 30)
    table = b"text\n" + b"".join(b"sentence number %d\n" % number for number in range(1, 6))
    parts = read_rows("a", [table], LIMITS, tmp_path, ())
    assert [(part.rows, rows_of(part)[0][0]) for part in parts] == [("1–1", 1), ("2–2", 2), ("3–3", 3), ("4–4", 4), ("5–5", 5)]
    with pytest.raises(AttachmentRefused, match="more than 50 characters"):
        read_rows("a", [table], ReadingLimits(max_chars=50), tmp_path, ())


@pytest.mark.parametrize(("name", "content", "text"), [
    ("a.json", b'{"setting": 1}', '{"setting": 1}'), ("a.csv", b'a,b\n"open', 'a,b\n"open'),
    ("a.jsonl", b'{"a": 1}\n{broken', '{"a": 1}\n{broken'),
    ("notes.txt", b"plain", "plain")])
def test_what_is_no_table_is_read_as_text(name: str, content: bytes, text: str, tmp_path: Path) -> None:
    assert read_parts(name, content, LIMITS, tmp_path)[0].file.text == text


@pytest.mark.parametrize(("name", "content", "why"), [
    ("a.parquet", b"PAR1 broken PAR1", "damaged"), ("a.parquet", b"", "empty"), ("a.csv", b"", "empty"),
    ("a.csv", b"a\x00\x01\x02" * 99, "not text"),
    ("a.pdf", b"%PDF-1.7 broken", "damaged"), ("a.docx", b"x", "not a Word file"), ("a.epub", b"x", "not an EPUB"),
    ("a.html", b"\x00", "not text"),
    ("a.md", b"\xff\xfe\x00", "not text")])
def test_a_damaged_file_of_each_kind_is_refused(name: str, content: bytes, why: str, tmp_path: Path) -> None:
    with pytest.raises(AttachmentRefused, match=why):
        read_parts(name, content, LIMITS, tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_a_folder_gives_its_own_readable_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside, folder = tmp_path / "secret.txt", tmp_path / "docs"
    for path in (outside, folder / "b.md", folder / "a" / "c.PDF", folder / ".env", folder / ".git" / "x.txt",
                 folder / "node_modules" / "y.txt", folder / "program.exe"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (folder / "link.txt").symlink_to(outside)
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.txt")
    root = checked_folder(str(folder))
    assert [name for name, _ in files_of(root, "docs").files] == ["docs/b.md", "docs/a/c.PDF"]
    with pytest.raises(OSError, match=r"link|symbolic"):
        folders.read_file(folder / "link.txt", 9)
    monkeypatch.setattr(folders, "MAX_FILES", 1)
    found = files_of(root, "docs")
    assert (len(found.files), found.is_cut) == (1, True)


@pytest.mark.parametrize("typed", ["", "/", "/no/such/folder", "\0", "~no-such-user/x", __file__])
def test_what_is_no_folder_is_refused(typed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir("/")
    with pytest.raises(InvalidRequest, match="folder"):
        checked_folder(typed)
