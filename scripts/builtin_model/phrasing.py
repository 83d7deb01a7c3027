"""Varies a question or request in the ways in which people type it: openings, endings, typing errors, upper and lower case.

Only the fixed words of a template are changed. Placeholders such as ``<n>`` are filled in afterwards, so their values stay exact.
Openings and endings under "heldout" are used by the evaluation only.
"""

from __future__ import annotations

import random
import re
from typing import Literal

from .programs.task import Phrases, Split

Language = Literal["en", "tr"]

# Openings and endings of requests for a program: (grammatical shape, text before, text after).
REQUESTS: dict[Language, dict[Split, tuple[tuple[str, str, str], ...]]] = {
    "en": {
        "train": (
            ("does", "write a program that ", ""), ("does", "write a python program that ", ""),
            ("does", "write python code that ", ""), ("does", "i need a script that ", ""),
            ("does", "give me a small program that ", ""), ("does", "can you write a program that ", ""),
            ("does", "create a python script that ", ""), ("does", "make a program which ", ""),
            ("does", "a program that ", ""), ("does", "i want code that ", ""), ("does", "show me code which ", ""),
            ("does", "please write a short program that ", ""), ("does", "could you make python code that ", ""),
            ("do", "", ""), ("do", "", " in python"), ("do", "", " using python"), ("do", "please ", ""),
            ("do", "can you ", ""), ("do", "could you ", " with python"), ("do", "i want to ", ""),
            ("do", "help me ", ""), ("do", "python code to ", ""), ("do", "write code to ", ""),
            ("do", "write a program to ", ""), ("do", "i need a script to ", ""), ("do", "show me how to ", " in python"),
            ("do", "how do i ", " in python"), ("do", "how can i ", " with code"), ("do", "use python to ", ""),
            ("thing", "write code for ", ""), ("thing", "python code for ", ""), ("thing", "program for ", ""),
            ("thing", "give me ", ""), ("thing", "show me ", ""), ("thing", "i need ", " in python"),
            ("thing", "i need code for ", ""), ("thing", "write a program for ", ""), ("thing", "", ""),
            ("thing", "", " in python"), ("thing", "make a script for ", ""), ("thing", "can you code ", ""),
        ),
        "heldout": (
            ("does", "please make a script that ", ""), ("does", "i would like a python program which ", ""),
            ("do", "write a short script to ", ""), ("do", "could you please ", " using python"),
            ("do", "i need python code to ", ""), ("thing", "please write python code for ", ""),
            ("thing", "can you give me ", " with python"), ("thing", "i want a program for ", ""),
        ),
    },
    "tr": {
        "train": (
            ("does", "", " bir program yaz"), ("does", "", " bir python programı yaz"), ("does", "", " kod yaz"),
            ("does", "", " python kodu yaz"), ("does", "bana ", " bir program yaz"), ("does", "", " bir program yazar mısın"),
            ("does", "", " küçük bir program"), ("does", "", " bir kod lazım"), ("does", "lütfen ", " bir program yaz"),
            ("does", "", " bir betik hazırla"), ("does", "python ile ", " bir program yaz"), ("does", "", " program"),
            ("does", "", " bir program istiyorum"), ("does", "", " kodu göster"), ("does", "", " python programı"),
            ("do", "", ""), ("do", "python ile ", ""), ("do", "lütfen ", ""), ("do", "pythonda ", ""),
            ("do", "bana ", ""), ("do", "", " python"), ("do", "kod yazarak ", ""), ("do", "bir programla ", ""),
            ("thing", "", " için kod yaz"), ("thing", "", " için program yaz"), ("thing", "", " için python kodu"),
            ("thing", "", " programı yaz"), ("thing", "", " için bir program lazım"), ("thing", "python ile ", ""),
            ("thing", "", " kodu"), ("thing", "", ""), ("thing", "bana ", " için kod ver"), ("thing", "", " için betik yaz"),
        ),
        "heldout": (
            ("does", "lütfen bana ", " kod yaz"), ("does", "", " bir python kodu hazırla"),
            ("do", "lütfen python ile ", ""), ("do", "bana pythonda ", ""),
            ("thing", "bana ", " için program yaz"), ("thing", "lütfen ", " için python programı yaz"),
        ),
    },
}

# Openings and endings of questions: (text before, text after).
QUESTIONS: dict[Language, dict[Split, tuple[tuple[str, str], ...]]] = {
    "en": {
        "train": (
            ("", ""), ("", ""), ("", ""), ("", ""), ("hi, ", ""), ("hello, ", ""), ("hey ", ""), ("please tell me ", ""),
            ("i want to know ", ""), ("quick question: ", ""), ("can you explain ", ""), ("", " please"), ("", " thanks"),
            ("one more thing, ", ""), ("so ", ""), ("ok, ", ""), ("sorry, ", ""), ("and ", ""), ("i have a question: ", ""),
            ("", " in mindcubes"), ("", " here"), ("", " exactly"), ("tell me ", ""), ("could you tell me ", ""),
        ),
        "heldout": (("please explain ", ""), ("hello, i want to know ", ""), ("", ", please tell me"), ("ok so ", " thanks"), ("", "")),
    },
    "tr": {
        "train": (
            ("", ""), ("", ""), ("", ""), ("", ""), ("merhaba, ", ""), ("selam, ", ""), ("bir sorum var: ", ""), ("lütfen söyle ", ""),
            ("acaba ", ""), ("peki ", ""), ("", " lütfen"), ("", " teşekkürler"), ("tamam, ", ""), ("şey, ", ""), ("bana açıkla ", ""),
            ("kusura bakma, ", ""), ("bir de ", ""), ("", " mindcubes içinde"), ("", " acaba"), ("", " burada"), ("söyler misin ", ""),
        ),
        "heldout": (("merhaba, acaba ", ""), ("lütfen açıkla ", ""), ("peki, ", " teşekkürler"), ("", "")),
    },
}

FILLER = {"en": {"the", "a", "an", "of", "is", "my", "it", "that", "to"}, "tr": {"bir", "bu", "ve", "de", "da", "şu"}}


def request(phrases: Phrases, language: Language, split: Split, rng: random.Random) -> str:
    """Return a request for a program, whose placeholders are not filled in yet."""
    shape, before, after = rng.choice(REQUESTS[language][split])
    core = rng.choice(getattr(phrases, shape))
    return finish(before + core + after, language, split, rng, is_question=before.startswith(("can", "could", "how")))


def question(core: str, language: Language, split: Split, rng: random.Random) -> str:
    before, after = rng.choice(QUESTIONS[language][split])
    if split == "train" and rng.random() < 0.4:
        core = _drop_words(core, rng)
    return finish(before + core + after, language, split, rng, is_question=True)


def _drop_words(core: str, rng: random.Random) -> str:
    """Return a question without some of its words, so that the model does not depend on any single word."""
    words = core.split(" ")
    kept = [word for word in words if "<" in word or rng.random() > 0.25]
    return " ".join(kept) if len(kept) >= 2 else core


def finish(text: str, language: Language, split: Split, rng: random.Random, *, is_question: bool) -> str:
    """Add typing errors (for training only), upper or lower case, and final punctuation."""
    if split == "train":
        words = text.split(" ")
        if len(words) > 4 and rng.random() < 0.15:
            words = [word for word in words if word not in FILLER[language] or rng.random() < 0.5]
        if rng.random() < 0.2:
            words = _add_typing_errors(words, rng)
        text = " ".join(words)
        if language == "tr" and rng.random() < 0.08:
            text = text.translate(str.maketrans("şğıüöçŞĞİÜÖÇ", "sgiuocSGIUOC"))
        if rng.random() < 0.25:
            text = text.lower()
    if rng.random() < 0.5:
        first = text[:1]
        text = ("İ" if language == "tr" and first == "i" else first.upper()) + text[1:]
    return text + rng.choice(("", "?", "?", " ?", "!", ".") if is_question else ("", "", ".", "!"))


def _add_typing_errors(words: list[str], rng: random.Random) -> list[str]:
    spots = [i for i, word in enumerate(words) if len(word) > 3 and re.fullmatch(r"[^\W\d_]+", word)]
    for spot in rng.sample(spots, min(len(spots), rng.choice((1, 1, 2)))):
        word, at = words[spot], rng.randrange(1, len(words[spot]) - 1)
        words[spot] = rng.choice((
            word[:at] + word[at + 1:],                                  # a letter is left out
            word[:at] + word[at] + word[at:],                           # a letter is doubled
            word[:at] + word[at + 1] + word[at] + word[at + 2:],        # two letters are swapped
        ))
    return words
