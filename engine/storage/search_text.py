"""Normalizes words for search: no case, no accents, dotted and dotless i alike, Chinese characters one by one.

SQLite's own tokenizer keeps a run of Chinese characters as one word and Turkish ı apart from i, so texts and queries
are both normalized here first.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_QUERY_WORDS = 16        # of a search for texts that have all of them
MAX_QUESTION_WORDS = 24
SNIPPET_CHARS = 160
STEM_CHARS = 5          # Can et al. 2008, Information Retrieval on Turkish Texts: the first five letters find as much as a stemmer
# Words that are in most texts and questions, folded: they would be found everywhere.
_COMMON = frozenset("""
a about all also am an and any are as at be been but by can could did do does for from get had has have he her him his how i if in into is
it its just like me more my no not of on one or our she should so some such than that the their them then there these they this to us was
we were what when where which who whom whose why will with would you your
acaba ama ancak bana bazi ben beni benim bile bir biz bize bizim bu buna bunlar bunu bunun cok da daha de degil diye en gibi hangi
hangisi hem hep her hic icin ile ise ki kim kime kimi kimin mi midir mu mudur mı mıdır nasil ne neden nedir nerede nereye niye o olan olarak
oldu olur ona onlar onu onun sana sen seni senin siz size sizin sonra su ve veya ya yani
""".split())
_COMMON_IDEOGRAPHS = frozenset("的了是在和与或吗呢吧啊我你您他她它们这那有就也都很个之为以于什么怎么哪谁几被把从到对")
# Han, kana, Hangul: written without spaces, or searched by part of a word.
_IDEOGRAPH = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff])")
_RUN = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+)")
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


def question_words(text: str) -> list[str]:
    """What a question is searched by: its first words without common ones, those of Chinese and its neighbours as pairs of characters.

    All words, if there are only common ones. At most MAX_QUESTION_WORDS.
    """
    words: list[str] = []
    for word in _WORD.findall(fold(text)):
        for part in filter(None, _RUN.split(word)):
            if not _IDEOGRAPH.match(part):
                words.append(part)
            else:
                pairs = [part[at:at + 2] for at in range(max(1, len(part) - 1))]
                words += [pair for pair in pairs if not set(pair) & _COMMON_IDEOGRAPHS] or pairs
    return list(dict.fromkeys([word for word in words if word not in _COMMON] or words))[:MAX_QUESTION_WORDS]


def any_of(words: Iterable[str]) -> str:
    """An FTS5 expression for any of the words of a question, each also by its beginning; empty if there is no word."""
    phrases = []
    for word in words:
        if _IDEOGRAPH.match(word):
            phrases.append(f'"{" ".join(word)}"')
        else:
            phrases.append(f'"{word}"')
            phrases += [f'"{word[:STEM_CHARS]}"*'] if len(word) >= STEM_CHARS else []
    return " OR ".join(phrases)


def share_of_words(text: str, words: list[str]) -> float:
    """The share of a question's words that `text` has, by their beginnings; 0 to 1."""
    folded = fold(text)
    found = sum(word in folded if _IDEOGRAPH.match(word) else re.search(rf"\b{re.escape(word[:STEM_CHARS])}", folded) is not None
                for word in words)
    return found / len(words) if words else 0.0


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
