"""The headings of Markdown (https://spec.commonmark.org/0.31.2/): lines that begin with #, and lines underlined with === or ---."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .sections import Headings

FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
HASHES = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*")       # CommonMark takes a single - too, which is more often an empty item of a list
NOT_UNDERLINED = re.compile(r"\s*$| {0,3}(?:[>|*+-]|\d+[.)]|#)|    |\t")


def headings_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield where each heading begins in `text`, and it with those above it."""
    headings, fence, begin = Headings(), "", 0
    previous, previous_begin = "", 0
    for line in text.splitlines(keepends=True):
        bare = line.rstrip("\n")
        opened = FENCE.match(bare)
        if fence:
            if opened and opened[1].startswith(fence) and not bare.strip().strip(fence[0]):
                fence = ""
        elif opened:
            fence = opened[1]
        elif found := HASHES.fullmatch(bare):
            yield begin, headings.enter(len(found[1]), found[2] or "")
        elif (found := UNDERLINE.fullmatch(bare)) and not NOT_UNDERLINED.match(previous):
            yield previous_begin, headings.enter(1 if found[1][0] == "=" else 2, previous)
        previous, previous_begin = "" if fence or opened else bare, begin
        begin += len(line)
