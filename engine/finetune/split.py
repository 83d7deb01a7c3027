"""Holds back a share of the examples: the same rows for the same seed, equal shares of each label, copies on one side."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Sequence

from .examples import Answered, ClassifiedText, Dialogue, Example, TaggedWords

FEW = 10        # groups; of fewer, none needs to be held back


def key_of(example: Example) -> bytes:
    """What two examples share if one of them would give away the other: the input, without its case and its white space.

    Questions about one context are apart only by their question, and chats by their first one.
    """
    match example:
        case ClassifiedText():
            parts = [example.text, example.second_text]
        case Answered():
            parts = [example.question, example.context]
        case TaggedWords():
            parts = [" ".join(example.words)]
        case Dialogue():
            parts = [next(message.content for message in example.messages if message.role == "user")]
        case _:
            parts = [example.text]
    plain = "\0".join(" ".join(part.casefold().split()) for part in parts)
    return hashlib.blake2b(plain.encode("utf-8", "replace"), digest_size=16).digest()


def split(examples: Sequence[Example], keys: Sequence[bytes], share: float, seed: int) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """The examples to train and those held back, both in the order of their rows. `keys`: `key_of` each.

    Groups of copies are drawn for each label until its share is reached; a label with a single group is only trained.
    """
    if share <= 0 or len(examples) < 2:
        return tuple(examples), ()
    groups: dict[bytes, list[int]] = defaultdict(list)
    for at, key in enumerate(keys):
        groups[key].append(at)
    strata: dict[int, list[list[int]]] = defaultdict(list)
    for group in groups.values():
        first = examples[group[0]]
        strata[first.label if isinstance(first, ClassifiedText) else 0].append(group)
    held: set[int] = set()
    generator = random.Random(seed)
    for label in sorted(strata):
        drawn = strata[label]
        generator.shuffle(drawn)
        wanted = round(share * sum(map(len, drawn)))
        for group in drawn[:-1]:            # the last is trained, whatever the share
            if wanted <= 0:
                break
            if len(group) <= 2 * wanted:    # a group of many copies must not become half of what is measured
                held.update(group)
                wanted -= len(group)
    if not held and len(groups) >= FEW:     # shares so small that each label's is rounded to none
        smallest = min(groups.values(), key=len)
        held.update(smallest)
    return (tuple(example for at, example in enumerate(examples) if at not in held),
            tuple(example for at, example in enumerate(examples) if at in held))
