"""HTML: what a reader of the page would see, a section for each heading. Nothing is fetched and no script is run."""

from __future__ import annotations

import re
from typing import Any

from .sections import Headings, ReadingLimits, Section

UNSEEN = frozenset("head script style template noscript iframe object embed svg math canvas audio video select textarea button".split())
BLOCKS = frozenset("""address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer
    form header hr html li main menu nav ol p pre search section summary table tbody tfoot thead tr ul""".split())
LINES = frozenset("li tr dt dd div br caption summary figcaption".split())      # a new line; the other blocks are set apart
HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
SPACE, LINE, PARAGRAPH = 1, 2, 3        # what separates two texts
SEPARATORS = ("", " ", "\n", "\n\n")


def html_sections(content: bytes, limits: ReadingLimits) -> list[Section]:
    """`content`: in UTF-8. Broken markup is read as a browser would, more or less."""
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    root = etree.fromstring(content, parser)
    if root is None:
        return []
    page = _Page(" ".join((root.findtext(".//title") or "").split()), limits.max_chars)
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        tag = str(element.tag)
        if event == "start":
            if tag in UNSEEN or _is_hidden(element):
                walk.skip_subtree()
                page.skipped = element
            else:
                page.start(tag, element)
        elif page.skipped is element:
            page.skipped = None
            page.add(element.tail)
        else:
            page.end(tag)
            page.add(element.tail)
        if page.is_full:
            break
    return page.close()


def _is_hidden(element: Any) -> bool:
    return "hidden" in element.attrib or bool(HIDDEN_STYLE.search(element.get("style", "")))


class _Page:
    """Collects the text of a page: spaces as a browser shows them."""

    def __init__(self, title: str, max_chars: int) -> None:
        self.skipped: Any = None
        self._headings, self._sections = Headings(title), list[Section]()
        self._path = self._headings.path
        self._texts: list[str] = []
        self._separator = 0
        self._verbatim = 0          # how many <pre> are open
        self._in_heading = False
        self._left = max_chars

    @property
    def is_full(self) -> bool:
        return self._left < 0

    def start(self, tag: str, element: Any) -> None:
        if level := _level(tag):
            self._next_section()
            self._in_heading = True
        elif tag in ("td", "th") and element.getprevious() is not None:
            self._put(" |")
            self._separate(SPACE)
        else:
            self._break(tag)
        self._verbatim += tag == "pre"
        if level == 0 and tag == "img":
            self.add(element.get("alt"))
        self.add(element.text)

    def end(self, tag: str) -> None:
        self._verbatim -= tag == "pre"
        if level := _level(tag):
            if self._in_heading:
                self._path, self._in_heading = self._headings.enter(level, "".join(self._texts)), False
            self._separate(PARAGRAPH)
        else:
            self._break(tag)

    def add(self, text: str | None) -> None:
        if not text:
            return
        if self._verbatim:
            self._put(text)
            return
        words = text.split()
        if text[0].isspace():
            self._separate(SPACE)
        if words:
            self._put(" ".join(words))
            if text[-1].isspace():
                self._separate(SPACE)

    def close(self) -> list[Section]:
        self._next_section()
        return self._sections

    def _break(self, tag: str) -> None:
        if tag in BLOCKS or tag in LINES:
            self._separate(LINE if tag in LINES else PARAGRAPH)

    def _separate(self, separator: int) -> None:
        self._separator = max(self._separator, separator)

    def _put(self, text: str) -> None:
        if self._texts:
            self._texts.append(SEPARATORS[self._separator])
        self._separator = 0
        self._texts.append(text)
        self._left -= len(text)

    def _next_section(self) -> None:
        self._sections.append(Section("".join(self._texts), heading=self._path))
        self._texts, self._separator = [], 0


def _level(tag: str) -> int:
    return int(tag[1]) if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456" else 0
