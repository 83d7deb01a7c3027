"""One kind of program: how people ask for it in two languages, and the program that is the answer.

Requests and code contain placeholders such as ``<n>``, whose values are drawn by samplers. One value in eight, chosen by its checksum,
is held out for the evaluation and never used for training.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "heldout"]
Sampler = Callable[[random.Random], str]


@dataclass(frozen=True, slots=True)
class Phrases:
    """Requests in one language, in three grammatical shapes. phrasing.py completes them with openings and endings.

    en: ``does`` "prints the first <n> primes", ``do`` "print the first <n> primes", ``thing`` "the first <n> primes".
    tr: ``does`` "ilk <n> asal sayıyı yazdıran", ``do`` "ilk <n> asal sayıyı yazdır", ``thing`` "ilk <n> asal sayı".
    """

    does: tuple[str, ...]
    do: tuple[str, ...]
    thing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    params: Mapping[str, Sampler]
    code: str
    en: Phrases
    tr: Phrases
    en_heldout: Phrases
    tr_heldout: Phrases


def is_heldout(value: str) -> bool:
    return zlib.crc32(value.encode()) % 8 == 0


def draw(task: Task, rng: random.Random, split: Split) -> dict[str, str]:
    """Return a value for every placeholder of the task. In the held-out split, at least one is a held-out value."""
    if not task.params:
        return {}
    while True:
        values = {name: sampler(rng) for name, sampler in task.params.items()}
        if any(is_heldout(value) for value in values.values()) == (split == "heldout"):
            return values


def fill(template: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        template = template.replace(f"<{name}>", value)
    return template
