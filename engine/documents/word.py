"""Word files (.docx): paragraphs and tables in order, a section for each heading."""

from __future__ import annotations

import io
import re
from typing import Any

from .archive import open_archive
from .sections import NOT_WORD_FILE, Headings, ReadingLimits, Refusal, Section

# Elements of a Word file whose text a reader does not see: properties, deleted and moved text, compatibility copies of text boxes.
INVISIBLE = {"pPr", "rPr", "tblPr", "trPr", "tcPr", "sectPr", "sdtPr", "del", "moveFrom", "instrText", "Fallback"}
# The names of styles are English in every language's Word, their ids are not.
HEADING = re.compile(r"heading (\d)|title()", re.IGNORECASE)


def docx_sections(content: bytes, limits: ReadingLimits) -> list[Section] | Refusal:
    """Each table row is one line; headers, footers and notes are left out. A damaged file raises any exception of python-docx and lxml."""
    from docx import Document

    archive = open_archive(content, (".xml", ".rels"), NOT_WORD_FILE)
    if isinstance(archive, Refusal):
        return archive
    document = Document(io.BytesIO(content))
    levels, headings = _levels(document), Headings()
    sections: list[Section] = []
    heading, lines, num_chars = "", list[str](), 0
    for child in document.element.body:
        if not isinstance(child.tag, str) or _kind(child) in INVISIBLE:
            continue
        text = _visible_text(child)
        if (level := _level(child, levels)) and text.strip():
            sections.append(Section("".join(lines), heading=heading))
            heading, lines = headings.enter(level, text), []
        lines.append(text)
        num_chars += len(text)
        if num_chars > limits.max_chars:
            break
    return [*sections, Section("".join(lines), heading=heading)]


def _levels(document: Any) -> dict[str, int]:
    """The level of each style of headings, by its id."""
    found = {}
    for style in document.styles:
        match = HEADING.fullmatch(style.name or "")
        if match:
            found[style.style_id] = int(match[1] or 1)
    return found


def _level(element: Any, levels: dict[str, int]) -> int:
    """The level of a paragraph that is a heading, or 0."""
    if _kind(element) != "p" or element.pPr is None or element.pPr.pStyle is None:
        return 0
    return levels.get(element.pPr.pStyle.val, 0)


def _kind(element: Any) -> str:
    return str(element.tag.rpartition("}")[2])


def _visible_text(element: Any) -> str:
    """Return the text of an lxml element. python-docx's tables are not used: they repeat a cell as often as its span claims."""
    kind = _kind(element)
    match kind:
        case "t":
            return element.text or ""
        case "tab":
            return "\t"
        case "br" | "cr":
            return "\n"
        case "noBreakHyphen":
            return "-"
    inside = "".join(_visible_text(child) for child in element if isinstance(child.tag, str) and _kind(child) not in INVISIBLE)
    match kind:
        case "p" | "tbl":
            return inside + "\n"
        case "tc":
            return " ".join(inside.split()) + " | "
        case "tr":
            return inside.removesuffix(" | ") + "\n"
    return inside
