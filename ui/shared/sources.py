"""Places in files, and the viewer that opens a file at one: used under answers and in the Knowledge tab."""

from __future__ import annotations

from .html import browser_message
from .language import number, text

AROUND_CHARS = 60_000       # of a long document, shown before and after the passage


def place_text(language: str, page: int, row: int, heading: str) -> str:
    """Where a passage is in its file: page, row, heading; "" where nothing is known."""
    parts = (text(language, "source.page", page=number(language, page)) if page else "",
             text(language, "source.row", row=number(language, row)) if row else "", " ".join(heading.split()))
    return " · ".join(filter(None, parts))


def viewer(language: str, name: str, content: str, begin: int = 0, end: int = 0, note: str = "") -> str:
    """A message to the browser: open the viewer with `content`, at the passage from `begin` to `end`, which is marked.

    Of a long document only a part is sent, and the note says so.
    """
    begin, end = (max(0, min(len(content), at)) for at in (begin, end))
    first, last = max(0, begin - AROUND_CHARS), min(len(content), end + AROUND_CHARS)
    if first or last < len(content):
        note = " ".join(filter(None, (note, text(language, "source.part"))))
    return browser_message("source", title=name, note=note, before=content[first:begin], passage=content[begin:end],
                           after=content[end:last])
