"""Reads the text of PDF and Word files, and draws the pages of PDF files, in a separate process.

A malicious file can make the library that reads it hang, fill the memory or crash. Here that affects only a child process with
a time limit and a memory limit, and replies in progress do not share an interpreter with it.
Not covered: the child can open files and connections as the app can; the libraries are trusted not to.

This file is also the child's program, `python documents.py pdf < file`, so it imports nothing from the engine.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

MAX_TEXT_CHARS = 1_000_000
MAX_PDF_PAGES = 1000
MAX_UNPACKED_BYTES = 100_000_000
MAX_XML_BYTES = 30_000_000      # libxml2 needs up to 20 times as much for tiny elements
MAX_MEMBERS = 5_000             # python-docx searches the list of all parts for each of them
MAX_MEMORY_BYTES = 2 * 2**30
TIMEOUT_S = 60.0
MAX_PAGE_PICTURES = 8       # as many as a message may have (messages.py)
PAGE_SIDE = 1536            # pixels: 131 for each inch of a page of A4
SMALLEST_PAGE = 1.0         # points; a page without a size cannot be drawn

_turns = threading.BoundedSemaphore(2)      # more processes at once would only use more memory

# Elements of a Word file whose text a reader does not see: properties, deleted and moved text, compatibility copies of text boxes.
INVISIBLE = {"pPr", "rPr", "tblPr", "trPr", "tcPr", "sectPr", "sdtPr", "del", "moveFrom", "instrText", "Fallback"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """`why` completes "cannot be attached: ..."; `remedy` is a sentence."""

    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Pages:
    """`files`: PNG files of the first pages. `count`: how many pages there are."""

    files: tuple[bytes, ...]
    count: int


ENCRYPTED = Refusal("it is encrypted", "Print it to a new PDF without a password and attach that.")
SCANNED = Refusal("it has no text, only pictures of pages (a scan)", "Run text recognition (OCR) on it first.")
NOT_WORD_FILE = Refusal("it is not a Word file, or it has a password", "Save it as .docx without a password.")
TOO_SLOW = Refusal("reading it took too long", "Attach fewer pages, or copy its text into a .txt file.")
BROKE_READER = Refusal("reading it took too much memory, or it is damaged", "Open it where it was made, save it again and attach that.")


def document_text(kind: str, content: bytes, timeout_s: float = TIMEOUT_S) -> str | Refusal:
    """Read a "pdf" or "docx" file in a child process. Blocks, and waits while two other files are being read.

    The text is returned as it is in the file, cut shortly after MAX_TEXT_CHARS; it may be empty.
    """
    found = _read(kind, content, timeout_s)
    return found if isinstance(found, Refusal) else str(found["text"])


def document_pages(content: bytes, timeout_s: float = TIMEOUT_S) -> Pages | Refusal:
    """Draw the first MAX_PAGE_PICTURES pages of a PDF file in a child process. Blocks as `document_text` does."""
    found = _read("pages", content, timeout_s)
    return found if isinstance(found, Refusal) else Pages(tuple(map(base64.b64decode, found["files"])), found["count"])


def _read(kind: str, content: bytes, timeout_s: float) -> dict[str, Any] | Refusal:
    with _turns:
        try:
            child = subprocess.run([sys.executable, "-P", __file__, kind], input=content, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            return TOO_SLOW
        except OSError as error:
            return Refusal(f"no process could be started to read it ({error.strerror})", "Try again later.")
    try:
        found: dict[str, Any] = json.loads(child.stdout)
    except ValueError:          # killed before or while it wrote its result
        return BROKE_READER
    return Refusal(found["why"], found["remedy"]) if "why" in found else found


def pdf_text(content: bytes) -> dict[str, Any] | Refusal:
    """Return the text of all pages, separated by empty lines. A damaged file raises any exception of pypdf."""
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    try:
        reader = PdfReader(io.BytesIO(content))
    except DependencyError:     # a cipher that needs another library
        return ENCRYPTED
    if reader.is_encrypted and not _opens_without_password(reader):
        return ENCRYPTED
    num_pages = len(reader.pages)
    if num_pages > MAX_PDF_PAGES:
        return Refusal(f"it has {num_pages:,} pages", f"Attach at most {MAX_PDF_PAGES:,} pages.")
    pages: list[str] = []
    num_chars = 0
    for page in reader.pages:
        pages.append(page.extract_text().strip())
        num_chars += len(pages[-1])
        if num_chars > MAX_TEXT_CHARS:
            break
    return _as_text("\n\n".join(filter(None, pages))) if num_chars else SCANNED


def pdf_pages(content: bytes) -> dict[str, Any] | Refusal:
    """Return the fields of Pages, its files in base64. A damaged file raises any exception of pypdfium2."""
    import pypdfium2
    from pypdfium2.raw import FPDF_ERR_PASSWORD

    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code == FPDF_ERR_PASSWORD:
            return ENCRYPTED
        raise
    files = []
    for number in range(min(len(document), MAX_PAGE_PICTURES)):
        page, file = document[number], io.BytesIO()
        longest = max(SMALLEST_PAGE, *page.get_size())
        page.render(scale=PAGE_SIDE / longest).to_pil().convert("RGB").save(file, "PNG")
        files.append(base64.b64encode(file.getvalue()).decode("ascii"))
    return {"files": files, "count": len(document)}


def _opens_without_password(reader: Any) -> bool:
    """Whether it can be read without a password: many PDFs have only an owner password, which restricts printing and editing."""
    from pypdf.errors import DependencyError, PdfReadError

    try:
        return bool(reader.decrypt(""))
    except (DependencyError, PdfReadError, NotImplementedError):       # a cipher that needs another library
        return False


def docx_text(content: bytes) -> dict[str, Any] | Refusal:
    """Return paragraphs and tables in order, each table row as one line, without headers, footers and notes.

    A damaged file raises any exception of python-docx and lxml.
    """
    from docx import Document

    if not zipfile.is_zipfile(io.BytesIO(content)):
        return NOT_WORD_FILE
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
    num_bytes = sum(member.file_size for member in members)
    xml_bytes = max((member.file_size for member in members if member.filename.endswith((".xml", ".rels"))), default=0)
    if num_bytes > MAX_UNPACKED_BYTES or xml_bytes > MAX_XML_BYTES or len(members) > MAX_MEMBERS:
        return Refusal(f"it unpacks to {num_bytes / 1e6:,.0f} MB in {len(members):,} parts",
                       "Split it, or save it without its pictures, or as .txt.")
    return _as_text(_visible_text(Document(io.BytesIO(content)).element.body).strip())


def _as_text(text: str) -> dict[str, Any]:
    return {"text": text[:MAX_TEXT_CHARS + 1]}


def _visible_text(element: Any) -> str:
    """Return the text of an lxml element. python-docx's tables are not used: they repeat a cell as often as its span claims."""
    kind = element.tag.rpartition("}")[2]
    match kind:
        case "t":
            return element.text or ""
        case "tab":
            return "\t"
        case "br" | "cr":
            return "\n"
        case "noBreakHyphen":
            return "-"
    inside = "".join(_visible_text(child) for child in element
                     if isinstance(child.tag, str) and child.tag.rpartition("}")[2] not in INVISIBLE)
    match kind:
        case "p" | "tbl":
            return inside + "\n"
        case "tc":
            return " ".join(inside.split()) + " | "
        case "tr":
            return inside.removesuffix(" | ") + "\n"
    return inside


READERS: dict[str, Callable[[bytes], dict[str, Any] | Refusal]] = {"pdf": pdf_text, "docx": docx_text, "pages": pdf_pages}


def main() -> None:
    """Read a file from standard input and write JSON to standard output: its text or its pages, or why it has none."""
    _limit_own_resources()
    try:
        found = READERS[sys.argv[1]](sys.stdin.buffer.read())
    except MemoryError:
        found = BROKE_READER
    except Exception as error:      # the libraries document no exception for a damaged file
        found = Refusal(f"it is damaged ({type(error).__name__})", "Open it where it was made, save it again and attach that.")
    json.dump(asdict(found) if isinstance(found, Refusal) else found, sys.stdout)


def _limit_own_resources() -> None:
    if sys.platform == "win32":     # has no such limits; the parent's time limit applies there too
        return
    import resource

    limits = {resource.RLIMIT_CPU: int(TIMEOUT_S) + 10}     # in case the parent dies first
    if sys.platform == "linux":
        limits[resource.RLIMIT_AS] = MAX_MEMORY_BYTES
    for which, limit in limits.items():
        hard = resource.getrlimit(which)[1]
        lower = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(which, (lower, lower))


if __name__ == "__main__":
    main()
