"""What a file is, told by its content and never by its name; everything that is not a table of texts is refused in words."""

from __future__ import annotations

import codecs
from collections import Counter

from ..plain_text import BOMS, ENCODINGS, decode
from .cells import Unreadable

PARQUET = b"PAR1"
# What other files begin with, as their formats say: https://en.wikipedia.org/wiki/List_of_file_signatures
OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive (also an Excel or Word file, or a PyTorch checkpoint)"), (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"), (b"BZh", "a bzip2 archive"), (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"), (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"), (b"Rar!", "a RAR archive"),
    (b"%PDF-", "a PDF file"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Word file"), (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy file"), (b"SQLite format 3", "an SQLite database"), (b"GGUF", "a model (GGUF)"),
    (b"ARROW1", "an Arrow or Feather file"), (b"ORC", "an ORC file"), (b"Obj\x01", "an Avro file"), (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"), (b"GIF8", "a picture"), (b"\x7fELF", "a program"), (b"MZ\x90", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"), (b"\x00asm", "a program"))
MARKUP = (("<!doctype html", "a web page (HTML)"), ("<html", "a web page (HTML)"), ("<?xml", "an XML file"), ("{\\rtf", "an RTF document"))
WANTED = "Use a CSV, TSV, JSON, JSONL or Parquet file."
MAX_CONTROL_SHARE = 0.01        # of all characters, as in attachments
SAMPLE_BYTES = 256 * 1024
CHECKED_BYTES = 2**20


def is_parquet(content: bytes) -> bool:
    return content.startswith(PARQUET)


def require_data(content: bytes) -> None:
    """Refuse what is not a table of texts. Raises Unreadable, which says what it is."""
    if not content.strip():
        raise Unreadable("empty", "it is empty", "Choose a file that has rows.")
    found = next((what for start, what in OTHERS if content.startswith(start)), "")
    if not found and content[:1] == b"\x80" and content[1:2] in b"\x02\x03\x04\x05":
        found = "a Python pickle, which can run programs"
    if not found and len(content) > 9 and content[8:9] == b"{" and 0 < int.from_bytes(content[:8], "little") < len(content):
        found = "a model (safetensors)"
    if found:
        raise Unreadable("content", f"it is {found}", WANTED)


def encoding_of(content: bytes, chosen: str = "") -> str:
    """The encoding of a text, `chosen` by a person or found in it. Raises Unreadable if it is no text."""
    if chosen:
        if chosen not in ENCODINGS:
            raise Unreadable("encoding", f"its encoding is given as {chosen[:40]!r}", f"Choose one of {', '.join(ENCODINGS)}.")
        return chosen
    encoding = next((name for bom, name in BOMS.items() if content.startswith(bom)), "")
    if not encoding:
        encoding = "utf-8" if _is_utf8(content) else _guess(content)
    sample = content[:SAMPLE_BYTES & ~3].decode(encoding, "ignore")
    controls = sum(times for char, times in Counter(sample).items() if char < " " and char not in "\t\n\r\f\v\b\x1b")
    if "\0" in sample or controls > MAX_CONTROL_SHARE * len(sample):
        raise Unreadable("content", "it is not text", WANTED)
    start = sample.lstrip("\ufeff \t\r\n")[:20].lower()
    if found := next((what for begins, what in MARKUP if start.startswith(begins)), ""):
        raise Unreadable("content", f"it is {found}", WANTED)
    return encoding


def is_json(content: bytes, encoding: str) -> bool:
    """Whether a text is JSON: it begins as an object does, or as a list of objects, lists or texts."""
    start = content[:SAMPLE_BYTES & ~3].decode(encoding, "ignore").lstrip("\ufeff \t\r\n")
    following = start[1:].lstrip()[:1]
    return following in {"{": ('"', "}"), "[": ("{", "[", '"', "]")}.get(start[:1], ())


def _is_utf8(content: bytes) -> bool:
    """Checked a piece at a time: the text of a whole file takes up to four times its bytes."""
    check = codecs.getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(content), CHECKED_BYTES):
            check.decode(content[at:at + CHECKED_BYTES])
        check.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _guess(content: bytes) -> str:
    try:
        return decode(content)[1]
    except UnicodeDecodeError:
        raise Unreadable("content", "it is not text, or in an unknown encoding", WANTED) from None
