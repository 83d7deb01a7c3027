"""Normalizes words for search: no case, no accents, dotted and dotless i alike, Chinese characters one by one.

SQLite's own tokenizer keeps a run of Chinese characters as one word and Turkish ı apart from i, so texts and queries
are both normalized here first.
"""

from __future__ import annotations

import re
import unicodedata

MAX_QUERY_WORDS = 16
SNIPPET_CHARS = 160
# Han, kana, Hangul: written without spaces, or searched by part of a word.
_IDEOGRAPH = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff])")
_WORD = re.compile(r"\w+")


def fold(text: str) -> str:
    """Return the text in lower case without accents. May be shorter or longer than `text`."""
    plain = unicodedata.normalize("NFKD", text.lower().replace("ı", "i"))
    return "".join(char for char in plain if not unicodedata.combining(char))


def words_of(text: str) -> str:
    """The words of `text` separated by spaces, as the index stores them."""
    return _IDEOGRAPH.sub(r" \1 ", fold(text))


def split(query: str) -> list[str]:
    """The folded words of a query."""
    return _WORD.findall(fold(query))[:MAX_QUERY_WORDS]


def query_of(text: str) -> str:
    """An FTS5 expression for all words of `text`, the last one as a prefix; empty if there is no word."""
    phrases = []
    for word in split(text):
        parts = _IDEOGRAPH.sub(r" \1 ", word).split()
        phrases.append(f'"{" ".join(parts)}"')
    return " AND ".join(phrases) + "*" if phrases else ""


def snippet(text: str, query: str) -> tuple[tuple[str, bool], ...]:
    """The part of `text` around the first word of `query`, cut into (piece, is_match)."""
    folded, places = _fold_with_places(text)
    wanted = sorted(set(split(query)), key=len, reverse=True)
    spans = sorted((places[m.start()], places[m.end() - 1] + 1)
                   for word in wanted for m in re.finditer(re.escape(word), folded))
    begin = max(0, spans[0][0] - SNIPPET_CHARS // 4) if spans else 0
    end = min(len(text), begin + SNIPPET_CHARS)
    pieces: list[tuple[str, bool]] = [("…", False)] if begin else []
    at = begin
    for first, last in spans:
        if first < at or last > end:
            continue
        pieces += [(text[at:first], False), (text[first:last], True)]
        at = last
    pieces += [(text[at:end], False), ("…" if end < len(text) else "", False)]
    return tuple((piece, is_match) for piece, is_match in pieces if piece)


def _fold_with_places(text: str) -> tuple[str, list[int]]:
    """The folded text, and the position in `text` of each of its characters."""
    chars: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        for folded in fold(char):
            chars.append(folded)
            places.append(place)
    return "".join(chars), places
