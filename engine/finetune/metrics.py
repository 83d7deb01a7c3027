"""What a model reaches on held-back examples, from its predictions. scikit-learn counts classes; spans and answers are counted here.

Classes: accuracy, macro averages, Matthews' correlation, the confusion matrix. Entities: a span counts if its borders and its type are
right, as in the shared task of CoNLL-2003. Answers: exact match and F1 over words, as SQuAD's evaluation counts them (Rajpurkar et
al. 2016, arXiv 1606.05250).
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Sequence

from .run import LabelScore, Metrics, Mistake, Value

MAX_MISTAKES = 50
MAX_TEXT_CHARS = 400        # of a mistake's text
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
HIGHEST_LOSS = 40.0         # perplexity is shown up to exp of it

Span = tuple[str, int, int]     # type, first word, word after the last


def of_classes(expected: Sequence[int], predicted: Sequence[int], labels: tuple[str, ...], loss: float,
               mistakes: Sequence[Mistake] = ()) -> Metrics:
    """Metrics of a classification; the averages count each class that occurs, expected or predicted, alike.

    `expected`, `predicted`: indices in `labels`. `loss`: mean cross-entropy in nats.
    """
    from sklearn.metrics import accuracy_score, confusion_matrix, matthews_corrcoef, precision_recall_fscore_support

    every = list(range(len(labels)))
    precision, recall, f1, support = precision_recall_fscore_support(expected, predicted, labels=every, zero_division=0.0)
    used = sorted({*expected, *predicted})

    def macro(values: Sequence[float]) -> float:
        return sum(float(values[each]) for each in used) / max(1, len(used))

    return Metrics(
        "matthews" if len(labels) == 2 else "f1",
        (Value("accuracy", float(accuracy_score(expected, predicted))), Value("precision", macro(precision)),
         Value("recall", macro(recall)), Value("f1", macro(f1)), Value("matthews", float(matthews_corrcoef(expected, predicted))),
         Value("loss", loss)),
        len(expected), labels, tuple(tuple(int(count) for count in row) for row in confusion_matrix(expected, predicted, labels=every)),
        tuple(LabelScore(labels[each], float(precision[each]), float(recall[each]), float(f1[each]), int(support[each]))
              for each in every),
        worst(mistakes))


def of_tags(expected: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], loss: float,
            mistakes: Sequence[Mistake] = ()) -> Metrics:
    """Metrics of entities, from the tags of each word of each example. F1 over all spans (micro); `per_label`: of each type.

    `accuracy`: of single tags.
    """
    right: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for gold, guess in zip(expected, predicted, strict=True):
        gold_spans, guess_spans = spans(gold), spans(guess)
        wanted.update(kind for kind, _, _ in gold_spans)
        found.update(kind for kind, _, _ in guess_spans)
        right.update(kind for kind, _, _ in gold_spans & guess_spans)
    words = [(a, b) for gold, guess in zip(expected, predicted, strict=True) for a, b in zip(gold, guess, strict=True)]
    precision, recall, f1 = _scores(right.total(), found.total(), wanted.total())
    per_label = tuple(LabelScore(kind, *_scores(right[kind], found[kind], wanted[kind]), wanted[kind])
                      for kind in sorted({*wanted, *found}))
    return Metrics(
        "f1", (Value("precision", precision), Value("recall", recall), Value("f1", f1),
               Value("accuracy", sum(a == b for a, b in words) / max(1, len(words))), Value("loss", loss)),
        len(expected), tuple(each.label for each in per_label), per_label=per_label, mistakes=worst(mistakes))


def of_answers(expected: Sequence[Sequence[str]], predicted: Sequence[str], loss: float, mistakes: Sequence[Mistake] = ()) -> Metrics:
    """Metrics of answers. `expected`: all right answers of each question; none: "" is right. The best match counts."""
    pairs = list(zip(expected, predicted, strict=True))
    exact = sum(is_exact(right, answer) for right, answer in pairs)
    shared = sum(best_f1(right, answer) for right, answer in pairs)
    count = max(1, len(pairs))
    return Metrics("f1", (Value("exact_match", exact / count), Value("f1", shared / count), Value("loss", loss)), len(pairs),
                   mistakes=worst(mistakes))


def of_text(loss: float, examples: int) -> Metrics:
    """`loss`: mean cross-entropy of a token, in nats. Perplexity: its exponential."""
    return Metrics("loss", (Value("perplexity", math.exp(min(loss, HIGHEST_LOSS))), Value("loss", loss)), examples)


def worst(mistakes: Sequence[Mistake]) -> tuple[Mistake, ...]:
    return tuple(sorted(mistakes, key=lambda each: -each.loss)[:MAX_MISTAKES])


def spans(tags: Sequence[str]) -> set[Span]:
    """The entities of one sentence, from tags like B-PER, I-PER, O; also of IOB1, where an entity may begin with I. Any other tag
    ("NOUN") is the type of one word; "O", "0" and "_" are none."""
    found: set[Span] = set()
    kind, start = "", 0
    for at, tag in enumerate([*tags, "O"]):
        prefix, separator, name = tag.partition("-")
        is_bio = bool(separator) and prefix in ("B", "I", "E", "S", "L", "U")
        here = name if is_bio else "" if tag in ("O", "0", "_", "") else tag
        begins = not is_bio or prefix in ("B", "S", "U") or here != kind
        if kind and (begins or not here):
            found.add((kind, start, at))
            kind = ""
        if here and not kind:
            kind, start = here, at
        if kind and (prefix in ("E", "S", "L", "U") if is_bio else bool(here)):
            found.add((kind, start, at + 1))
            kind = ""
    return found


def normalized(answer: str) -> list[str]:
    """An answer's words as SQuAD compares them: small letters, without punctuation and English articles."""
    return ARTICLES.sub(" ", answer.lower().translate(PUNCTUATION)).split()


def is_exact(right: Sequence[str], answer: str) -> bool:
    return any(normalized(each) == normalized(answer) for each in (right or [""]))


def best_f1(right: Sequence[str], answer: str) -> float:
    """2 P R / (P + R) over the words that two answers share, the best of all right ones; without words, 1 if both have none."""
    return max(_word_f1(normalized(each), normalized(answer)) for each in (right or [""]))


def _word_f1(right: list[str], answer: list[str]) -> float:
    if not right or not answer:
        return float(right == answer)
    same = (Counter(right) & Counter(answer)).total()
    return _scores(same, len(answer), len(right))[2]


def _scores(right: int, found: int, wanted: int) -> tuple[float, float, float]:
    """Precision, recall and their harmonic mean; 0 where there is nothing to divide by."""
    precision, recall = right / found if found else 0.0, right / wanted if wanted else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if right else 0.0


def shortened(text: str) -> str:
    return text if len(text) <= MAX_TEXT_CHARS else f"{text[:MAX_TEXT_CHARS]}…"
