"""From the bytes of a file to its text, and where its pages and headings begin in it.

A file's name is only a label: no file is opened by it. Documents are read in a separate process (process.py).
"""

from __future__ import annotations

import codecs
import re
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..errors import AttachmentRefused, InvalidRequest, ScannedDocument
from ..plain_text import BOMS, ENCODINGS, clean_name, decode, valid_text
from .markdown import headings_of
from .process import Kind, document_sections
from .sections import SCANNED, ReadingLimits, Refusal, Section

MAX_CONTROL_SHARE = 0.01        # of all characters; terminal logs have a few, binary data many

# Files with these suffixes may also be in a legacy encoding; all others must be UTF-8 or UTF-16.
TEXT_SUFFIXES = frozenset(f".{suffix}" for suffix in """
    txt text md markdown rst adoc tex bib log csv tsv json jsonl ndjson ipynb yaml yml toml xml html htm xhtml svg css scss sass less
    ini cfg conf env properties srt vtt po eml py pyi pyx js mjs cjs jsx ts tsx vue svelte java kt kts scala groovy gradle clj
    c h cc cpp cxx hh hpp hxx cu cuh m mm cs fs vb go rs swift dart zig nim d pas f f90 f95 for asm s v sv vhd vhdl
    rb php pl pm lua r jl hs lhs ml mli ex exs erl elm lisp el scm rkt sql sh bash zsh fish ps1 bat cmd vim awk
    graphql proto thrift tf hcl nix cmake mk make dockerfile diff patch""".split())
MARKDOWN = frozenset((".md", ".markdown"))
WEB_PAGES = frozenset((".html", ".htm", ".xhtml"))
NO_TEXT = "Attach a PDF, a Word file (.docx) or a text file."
DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]{2,40})""", re.IGNORECASE)
DECLARED_BYTES = 2048       # where a page names its encoding: https://html.spec.whatwg.org/#charset asks for the first 1024


@dataclass(frozen=True, slots=True)
class Mark:
    """What begins at the character `begin`: a page, what follows a heading, or a row. Numbers from 1 on, 0 for none."""

    begin: int
    page: int = 0
    heading: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True)
class FileText:
    """The text of a file, with "\\n" at line ends. `guess`: its encoding (Python's name) if nothing in the file tells it, else "".

    `marks`: sorted by `begin`.
    """

    text: str
    guess: str = ""
    marks: tuple[Mark, ...] = ()


def read_text(name: str, content: bytes, limits: ReadingLimits, encoding: str = "", stop: threading.Event | None = None) -> FileText:
    """The text of a PDF, Word or text file as it is. `encoding`: one of ENCODINGS that a person chose instead of the guess.

    Blocks for seconds, at most `limits.timeout_s` after its turn has come; once `stop` is set, the file is refused soon. Raises
    AttachmentRefused, and InvalidRequest for another encoding.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if encoding:
        found = _decoded(content, encoding)
    elif suffix == ".docx" or is_pdf(name, content):
        return _document(name, "docx" if suffix == ".docx" else "pdf", content, limits, stop)
    else:
        found = _plain(name, content)
    return _checked(name, FileText(cleaned(found.text), found.guess), limits)


def read_document(name: str, content: bytes, limits: ReadingLimits, stop: threading.Event | None = None) -> FileText:
    """As `read_text`, and EPUB, HTML without its markup, and the headings of Markdown."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".epub":
        return _document(name, "epub", content, limits, stop)
    if suffix in WEB_PAGES and not is_pdf(name, content):
        page = _web_page(name, content)
        return _document(name, "html", page.encode(), limits, stop)
    found = read_text(name, content, limits, stop=stop)
    if suffix in MARKDOWN:
        found = FileText(found.text, found.guess, tuple(Mark(begin, heading=heading) for begin, heading in headings_of(found.text)))
    return found


def is_pdf(name: str, content: bytes) -> bool:
    return PurePosixPath(name).suffix.lower() == ".pdf" or content.startswith(b"%PDF-")


def cleaned(text: str) -> str:
    """The text as it is stored: valid, "\\n" at line ends, without the character 0."""
    return valid_text(text).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _document(name: str, kind: Kind, content: bytes, limits: ReadingLimits, stop: threading.Event | None) -> FileText:
    found = document_sections(kind, content, limits, stop)
    if isinstance(found, Refusal):
        raise (ScannedDocument if found == SCANNED else AttachmentRefused)(clean_name(name), found.why, found.remedy)
    return _checked(name, _joined(found), limits)


def _joined(sections: list[Section]) -> FileText:
    """The texts separated by empty lines, with a mark for each."""
    texts, marks, begin = [], [], 0
    for section in sections:
        if text := cleaned(section.text).strip():
            marks.append(Mark(begin, section.page, cleaned(section.heading)))
            texts.append(text)
            begin += len(text) + 2
    return FileText("\n\n".join(texts), marks=tuple(marks))


def _checked(name: str, found: FileText, limits: ReadingLimits) -> FileText:
    if not found.text.strip():
        raise AttachmentRefused(clean_name(name), "it has no text", "Attach a file that has text.")
    if len(found.text) > limits.max_chars:
        why = f"its text has more than {limits.max_chars:,} characters"
        raise AttachmentRefused(clean_name(name), why, "Attach the part that matters.")
    return found


def _decoded(content: bytes, encoding: str) -> FileText:
    if encoding not in ENCODINGS:
        raise InvalidRequest("encoding", encoding, f"one of {', '.join(ENCODINGS)}")
    return FileText(content.decode(encoding, "replace"), encoding)


def _plain(name: str, content: bytes) -> FileText:
    try:
        text, encoding = decode(content, is_text=PurePosixPath(name).suffix.lower() in TEXT_SUFFIXES)
    except UnicodeDecodeError as error:
        raise AttachmentRefused(clean_name(name), "it is not text, or in an unknown encoding", NO_TEXT) from error
    _require_text(name, text)
    return FileText(text, "" if encoding == "utf-8" or content.startswith(tuple(BOMS)) else encoding)


def _require_text(name: str, text: str) -> None:
    controls = sum(times for char, times in Counter(text).items() if char < " " and char not in "\t\n\r\f\v\b\x1b")
    if "\0" in text or controls > MAX_CONTROL_SHARE * len(text):
        raise AttachmentRefused(clean_name(name), "it is not text", NO_TEXT)


def _web_page(name: str, content: bytes) -> str:
    """Its markup, decoded: by its mark, as UTF-8, as it names its encoding itself, or as it seems."""
    try:
        text = content.decode("utf-8-sig")
        _require_text(name, text)
        return text
    except UnicodeDecodeError:
        declared = DECLARED.search(content[:DECLARED_BYTES])
    if declared and not content.startswith(tuple(BOMS)):
        try:
            return content.decode(codecs.lookup(declared[1].decode("ascii")).name, "replace")
        except (LookupError, UnicodeError):
            pass
    return cleaned(_plain(name, content).text)
