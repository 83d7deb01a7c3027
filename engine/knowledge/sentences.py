"""Where sentences end, in English, Turkish and Chinese, and in other languages written with the same marks.

A cut within a sentence is no error, only worse to find and to read; so rules stay simple where languages differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Before a full stop these end no sentence. Lower case; without the stops inside (e.g, M.Ö).
ABBREVIATIONS = frozenset("""
    mr mrs ms dr prof st jr sr vs etc eg ie cf fig figs eq no nos vol pp ch sec approx dept inc ltd co corp gen col lt sgt rev hon univ est
    av doç yrd arş gör öğr üye sn bkz krş örn vb vd yy mah cad sok sk apt blv şti tic san müd bşk alb yzb tğm mö ms çev haz ed yay
    tel tlf kg cm km dk sa sf s ss c
    """.split())
CLOSING = "\"'”’»)]}」』）】"
# A stop of Chinese or Japanese, or the stops of other languages before a space, each with what closes with it.
# A run of stops is looked at once, from its beginning: else a text of nothing but stops would take the square of its length.
END = re.compile(rf"[。！？；｡]++[{re.escape(CLOSING)}]*+|(?<![.!?…])[.!?…]++[{re.escape(CLOSING)}]*+(?=\s)|\n")
BEFORE_STOP = re.compile(r"(?:^|[\s(\[\"'“‘«])([^\s(\[\"'“‘«]{1,20})\.$")
NUMBER = re.compile(r"\d{1,2}|[ivxlcdm]{1,5}")     # ordinals of Turkish: 19. yüzyıl, III. Selim
LOOK_BACK = 24


def sentences(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of the sentences of text[begin:end], one after the other, with the spaces that follow each. A line break ends one."""
    start = begin
    for match in END.finditer(text, begin, end):
        stop = match.end()
        if match.start() < start:       # in the spaces after the last sentence
            continue
        if text[match.start()] == "." and not _ends(text, match.start(), stop):
            continue
        while stop < end and text[stop].isspace():
            stop += 1
        if stop > start:
            yield start, stop
            start = stop
    if start < end:
        yield start, end


def _ends(text: str, stop: int, after: int) -> bool:
    """Whether a full stop at `stop` ends a sentence. `after`: where what closes with it ends."""
    following = text[after:after + LOOK_BACK].lstrip()[:1]
    if following.islower():
        return False
    found = BEFORE_STOP.search(text[max(0, stop - LOOK_BACK):stop + 1])
    if found is None:
        return True
    word = found[1].replace("İ", "i").replace(".", "").casefold()
    return not (word in ABBREVIATIONS or NUMBER.fullmatch(word) or (len(found[1]) == 1 and found[1].isupper()))
