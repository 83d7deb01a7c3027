"""Reads the text of attached files, and combines it with the message for the model.

A file's name is only a label: no file is opened by it. PDF and Word files are read by `documents.py` in a separate process.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..errors import AttachmentRefused, InvalidRequest, ScannedDocument
from ..pictures import Picture, from_base64, read_picture
from ..plain_text import BOMS, ENCODINGS, clean_name, decode, valid_text
from ..storage.records import Attachment
from .documents import MAX_TEXT_CHARS, SCANNED, Refusal, document_pages, document_text

MAX_FILE_BYTES = 10_000_000
MAX_CONTROL_SHARE = 0.01        # of all characters; terminal logs have a few, binary data many
MAX_WORD_CHARS = 40             # longer words (base64, Chinese, minified code) may be cut anywhere

# Files with these suffixes may also be in a legacy encoding; all others must be UTF-8 or UTF-16.
TEXT_SUFFIXES = frozenset(f".{suffix}" for suffix in """
    txt text md markdown rst adoc tex bib log csv tsv json jsonl ndjson ipynb yaml yml toml xml html htm xhtml svg css scss sass less
    ini cfg conf env properties srt vtt po eml py pyi pyx js mjs cjs jsx ts tsx vue svelte java kt kts scala groovy gradle clj
    c h cc cpp cxx hh hpp hxx cu cuh m mm cs fs vb go rs swift dart zig nim d pas f f90 f95 for asm s v sv vhd vhdl
    rb php pl pm lua r jl hs lhs ml mli ex exs erl elm lisp el scm rkt sql sh bash zsh fish ps1 bat cmd vim awk
    graphql proto thrift tf hcl nix cmake mk make dockerfile diff patch""".split())
NO_TEXT = "Attach a PDF, a Word file (.docx) or a text file."

_WORD = re.compile(rf"\S{{1,{MAX_WORD_CHARS}}}")


@dataclass(frozen=True, slots=True)
class FileText:
    """The text of a file, with "\\n" at line ends. `guess`: its encoding (Python's name) if nothing in the file tells it, else ""."""

    text: str
    guess: str = ""


def read_attachment(name: str, content: bytes) -> str:
    """Return the text of a file, with "\\n" at line ends. Blocks up to a minute for PDF and Word files. Raises AttachmentRefused."""
    return read_file(name, content).text


def read_file(name: str, content: bytes, encoding: str = "") -> FileText:
    """As `read_attachment`. `encoding`: one of ENCODINGS that a person chose instead of the guess.

    Raises AttachmentRefused, and InvalidRequest for another encoding.
    """
    name = clean_name(name)
    if not content:
        raise AttachmentRefused(name, "it is empty", "Attach a file that has text.")
    if len(content) > MAX_FILE_BYTES:
        raise AttachmentRefused(name, f"it has {len(content):,} bytes", f"Attach at most {MAX_FILE_BYTES / 1e6:.0f} MB at once.")
    found = _decoded(content, encoding) if encoding else _text_of(name, content)
    text = valid_text(found.text).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    if not text.strip():
        raise AttachmentRefused(name, "it has no text", "Attach a file that has text.")
    if len(text) > MAX_TEXT_CHARS:
        raise AttachmentRefused(name, f"its text has more than {MAX_TEXT_CHARS:,} characters", "Attach the part that matters.")
    return FileText(text, found.guess)


def read_pages(name: str, content: bytes) -> tuple[list[Picture], int]:
    """The first pages of a PDF file as pictures, and how many pages it has. Blocks up to a minute. Raises AttachmentRefused."""
    name = clean_name(name)
    found = document_pages(content)
    if isinstance(found, Refusal):
        raise AttachmentRefused(name, found.why, found.remedy)
    return [read_picture(f"{name} ({number})", file) for number, file in enumerate(found.files, 1)], found.count


def is_pdf(name: str, content: bytes) -> bool:
    return PurePosixPath(name).suffix.lower() == ".pdf" or content.startswith(b"%PDF-")


def pictures_of(attachments: Sequence[Attachment]) -> list[Picture]:
    return [from_base64(attachment.name, attachment.picture) for attachment in attachments if attachment.picture]


def compose(text: str, attachments: Sequence[Attachment]) -> str:
    """Return the text that the model reads: each file's name and its text in a fenced block, then the message.

    Without pictures, and without files that are searched instead.
    """
    blocks = []
    for attachment in attachments:
        if attachment.picture or attachment.collection:
            continue
        longest = max((len(run) for run in re.findall("`+", attachment.text)), default=0)
        fence = "`" * max(3, longest + 1)
        end = "" if attachment.text.endswith("\n") else "\n"
        blocks.append(f"File: {clean_name(attachment.name)}\n{fence}\n{attachment.text}{end}{fence}")
    return "\n\n".join([*blocks, text] if text or not blocks else blocks)


def first_part(text: str, max_tokens: int, count: Callable[[str], int]) -> str:
    """Return the longest beginning of at most `max_tokens` tokens, cut at the end of a word.

    Calls `count` about log2(max_tokens) times, on texts not much longer than the result, since most words have at least one token.
    """
    ends = [match.end() for match in _WORD.finditer(text)]
    above = max(1, max_tokens)
    while above < len(ends) and count(text[:ends[above - 1]]) <= max_tokens:
        above *= 2
    sizes = range(1, min(above, len(ends)) + 1)         # in words
    fitting = bisect_right(sizes, max_tokens, key=lambda size: count(text[:ends[size - 1]]))
    if fitting == len(ends) and count(text) <= max_tokens:
        return text
    return text[:ends[fitting - 1]] if fitting else ""


def _decoded(content: bytes, encoding: str) -> FileText:
    if encoding not in ENCODINGS:
        raise InvalidRequest("encoding", encoding, f"one of {', '.join(ENCODINGS)}")
    return FileText(content.decode(encoding, "replace"), encoding)


def _text_of(name: str, content: bytes) -> FileText:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".docx" or is_pdf(name, content):
        found = document_text("docx" if suffix == ".docx" else "pdf", content)
        if isinstance(found, Refusal):
            raise (ScannedDocument if found == SCANNED else AttachmentRefused)(name, found.why, found.remedy)
        return FileText(found)
    try:
        text, encoding = decode(content, is_text=suffix in TEXT_SUFFIXES)
    except UnicodeDecodeError as error:
        raise AttachmentRefused(name, "it is not text, or in an unknown encoding", NO_TEXT) from error
    controls = sum(times for char, times in Counter(text).items() if char < " " and char not in "\t\n\r\f\v\b\x1b")
    if "\0" in text or controls > MAX_CONTROL_SHARE * len(text):
        raise AttachmentRefused(name, "it is not text", NO_TEXT)
    return FileText(text, "" if encoding == "utf-8" or content.startswith(tuple(BOMS)) else encoding)
