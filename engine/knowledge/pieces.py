"""Cuts the text of a document into pieces that an embedder can read whole: by pages and headings, paragraphs, sentences, then words.

Every character that is not a space is in a piece. Pieces of one section overlap by a sentence or two, so that what one says of the
other is found in either.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..documents.files import Mark
from ..storage.knowledge_records import Place
from .sentences import sentences

# A short piece is about one thing. 256 tokens are what all-MiniLM-L6-v2 reads, the shortest window of the common embedders.
MAX_PIECE_TOKENS = 256
MIN_PIECE_TOKENS = 24       # a heading alone, or a short row of a table, is joined with what follows
LEAST_TOKENS = 16           # of a piece, whatever the window
OVERLAP = 1 / 6             # of a piece: one or two sentences
WORD_CHARS = 40             # longer words (base64, Chinese, minified code) may be cut anywhere

WORD = re.compile(rf"\S{{1,{WORD_CHARS}}}\s*")
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
TOKEN = re.compile(rf"[{_IDEOGRAPHS}]|[^\s{_IDEOGRAPHS}]{{1,4}}")     # about what multilingual vocabularies need
Count = Callable[[Sequence[str]], Sequence[int]]


def estimated_tokens(texts: Sequence[str]) -> list[int]:
    """How many tokens texts may have, where there is no tokenizer: one for each Chinese character, and for each 4 characters of a word."""
    return [len(TOKEN.findall(text)) for text in texts]


@dataclass(frozen=True, slots=True)
class _Unit:
    """A part that is kept whole: a sentence, or a part of a long one."""

    begin: int
    end: int
    tokens: int
    mark: Mark
    ends_paragraph: bool


def cut(text: str, marks: Sequence[Mark], count: Count = estimated_tokens, window_tokens: int = MAX_PIECE_TOKENS) -> tuple[Place, ...]:
    """The places of the pieces of `text`, in order. `count`: of the tokens of each text.

    A piece begins and ends with a character that is no space, and has at most `window_tokens` with its heading, of which at most half of
    them count. `marks` are sorted by their begin.
    """
    most = max(LEAST_TOKENS, min(MAX_PIECE_TOKENS, window_tokens))
    headings = list({mark.heading for mark in marks if mark.heading})
    taken = {heading: min(size, most // 2) for heading, size in zip(headings, count(headings), strict=True)} if headings else {}
    places: list[Place] = []
    for group in _grouped(_units(text, marks, count, most), most, taken):
        begin, end = group[0].begin, group[-1].end
        begin += len(text[begin:end]) - len(text[begin:end].lstrip())
        end -= len(text[begin:end]) - len(text[begin:end].rstrip())
        mark = next((unit.mark for unit in group if text[unit.begin:unit.end].strip()), group[0].mark)
        if begin < end:
            places.append(Place(begin, end, mark.page, mark.heading, mark.row))
    return tuple(_small(text, places, count, most, taken, marks))


def marks_of(places: Sequence[Place]) -> tuple[Mark, ...]:
    """The marks that these places show, to cut their text anew for an embedder with a shorter window."""
    return tuple(Mark(place.begin, place.page, place.heading, place.row) for place in places)


def _units(text: str, marks: Sequence[Mark], count: Count, most: int) -> list[_Unit]:
    spans: list[tuple[int, int, Mark]] = []
    first = marks[0].begin if marks else len(text)
    sections = [(0, first, Mark(0))] if first else []
    sections += [(mark.begin, following.begin if following else len(text), mark)
                 for mark, following in zip(marks, [*marks[1:], None], strict=False)]
    for begin, end, mark in sections:
        spans += [(start, stop, mark) for start, stop in sentences(text, begin, end)]
    sizes = count([text[begin:end] for begin, end, _ in spans])
    units: list[_Unit] = []
    for (begin, end, mark), size in zip(spans, sizes, strict=True):
        is_last = text.count("\n", begin + len(text[begin:end].rstrip()), end) > 1
        if size <= most // 2:
            units.append(_Unit(begin, end, size, mark, is_last))
        else:
            units += _words(text, (begin, end), count, mark, is_last)
    return units


def _words(text: str, span: tuple[int, int], count: Count, mark: Mark, is_last: bool) -> Iterator[_Unit]:
    """A long sentence word by word."""
    matches = [*WORD.finditer(text, *span)]
    ends = [*(match.start() for match in matches[1:]), span[1]]
    begins = [span[0], *ends[:-1]]
    sizes = count([text[begin:end] for begin, end in zip(begins, ends, strict=True)])
    for begin, end, size in zip(begins, ends, sizes, strict=True):
        yield _Unit(begin, end, size, mark, is_last and end == span[1])


def _grouped(units: Sequence[_Unit], most: int, taken: Mapping[str, int]) -> Iterator[Sequence[_Unit]]:
    """Groups of units that follow each other, each of at most `most` tokens unless a single unit has more. `taken`: by headings."""
    start = 0
    while start < len(units):
        room = most - taken.get(units[start].mark.heading, 0)
        stop = _stop(units, start, room)
        yield units[start:stop]
        if stop == len(units):
            return
        start = _overlapping(units, start, stop, room)


def _stop(units: Sequence[_Unit], start: int, most: int) -> int:
    """Where the group that begins at `start` ends: at the end of its section, or full, then after a paragraph in its second half."""
    size, paragraph = 0, 0
    for at in range(start, len(units)):
        if at > start and units[at].mark is not units[at - 1].mark and size >= min(MIN_PIECE_TOKENS, most // 2):
            return at
        size += units[at].tokens
        if size > most and at > start:
            return paragraph or at
        if units[at].ends_paragraph and size >= most // 2:
            paragraph = at + 1
    return len(units)


def _overlapping(units: Sequence[_Unit], start: int, stop: int, most: int) -> int:
    """Where the next group begins: some units before `stop`, but none of another section, and always after `start`."""
    at, shared = stop, 0
    room = min(OVERLAP * most, most - units[stop].tokens)
    while at - 1 > start and units[at - 1].mark is units[stop].mark and shared + units[at - 1].tokens <= room:
        at -= 1
        shared += units[at].tokens
    return at


def _small(text: str, places: Sequence[Place], count: Count, most: int, taken: Mapping[str, int],
           marks: Sequence[Mark]) -> Iterator[Place]:
    """Halve pieces that have too many tokens: together, sentences may have more of them than one by one, and a word may have many."""
    waiting = [*reversed([*zip(places, count([text[each.begin:each.end] for each in places]), strict=True)])]
    while waiting:
        place, size = waiting.pop()
        if size + taken.get(place.heading, 0) <= most or place.end - place.begin < 2:
            yield place
            continue
        middle = (place.begin + place.end) // 2
        space = text.rfind(" ", (place.begin + middle) // 2, middle)
        middle = space if space > 0 else middle
        left, right = text[place.begin:middle].rstrip(), text[middle:place.end].lstrip()
        begin = place.end - len(right)
        later = bisect_right(marks, begin, key=lambda mark: mark.begin)
        mark = marks[later - 1] if later and marks[later - 1].begin > place.begin else Mark(0, place.page, place.heading, place.row)
        halves = [Place(place.begin, place.begin + len(left), place.page, place.heading, place.row),
                  Place(begin, place.end, mark.page, mark.heading, mark.row)]
        waiting += reversed([*zip(halves, count([text[each.begin:each.end] for each in halves]), strict=True)])
