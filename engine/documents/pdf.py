"""PDF files: the text of their pages, and pictures of the first ones."""

from __future__ import annotations

import base64
import io
from typing import Any

from .sections import ENCRYPTED, SCANNED, ReadingLimits, Refusal, Section

MAX_PAGE_PICTURES = 8       # as many as a message may have (messages.py)
PAGE_SIDE = 1536            # pixels: 131 for each inch of a page of A4
SMALLEST_PAGE = 1.0         # points; a page without a size cannot be drawn


def pdf_sections(content: bytes, limits: ReadingLimits) -> list[Section] | Refusal:
    """Return a section for each page that has text. A damaged file raises any exception of pypdf."""
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    try:
        reader = PdfReader(io.BytesIO(content))
    except DependencyError:     # a cipher that needs another library
        return ENCRYPTED
    if reader.is_encrypted and not _opens_without_password(reader):
        return ENCRYPTED
    num_pages = len(reader.pages)
    if num_pages > limits.max_pages:
        return Refusal(f"it has {num_pages:,} pages", f"Attach at most {limits.max_pages:,} pages.")
    pages: list[Section] = []
    num_chars = 0
    for number, page in enumerate(reader.pages, 1):
        text = page.extract_text().strip()
        if text:
            pages.append(Section(text, page=number))
        num_chars += len(text)
        if num_chars > limits.max_chars:
            break
    return pages or SCANNED


def pdf_pictures(content: bytes) -> dict[str, Any] | Refusal:
    """Return the fields of process.Pages, its files in base64. A damaged file raises any exception of pypdfium2."""
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
