"""Checks the examples of a table for one plan, and prepares them: the same pass, so what the page shows is what is trained."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import InvalidRequest
from .encoding import Encoder, token_limit
from .examples import ClassifiedText, Example, Prepared, TaggedWords, characters
from .fit import Fit
from .plan import FineTunePlan
from .problems import Problem, Problems
from .reading import WHOLE_NUMBER, Reader
from .split import key_of, split
from .table import Table

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FEWEST_USABLE = 0.5         # of the rows; with fewer, the columns are probably wrong
LEAST_EXAMPLES = 2
FEW_EXAMPLES = 20
MOST_LABELS = 1000
IMBALANCE = 10              # examples of the most frequent label for one of the rarest
MEASURED = 2000             # examples whose lengths are counted
BARS = 12                   # of the histogram


@dataclass(frozen=True, slots=True)
class Report:
    """`totals`: how many problems of each kind there are, of which `problems` lists the first. `labels`: examples of each, most first.

    `lengths`: (upper bound, examples) of a sample, in tokens, or in characters without a tokenizer (`unit`). `longest`: of that sample.
    `left_out`: rows with errors, of both tables. `train`, `validation`: examples on each side of the split.
    """

    problems: tuple[Problem, ...]
    totals: Mapping[str, int]
    labels: Mapping[str, int]
    lengths: tuple[tuple[int, int], ...]
    unit: str
    longest: int
    rows: int
    left_out: int
    train: int
    validation: int


def check(table: Table, plan: FineTunePlan, tokenizer: PreTrainedTokenizerBase | None = None, validation: Table | None = None) -> Report:
    """Read all rows, and say what is wrong. Without a tokenizer, lengths are in characters and none is too long.

    `validation`: the table of `plan.validation_table`. Raises InvalidRequest if a column is missing.
    """
    return _Checked(table, plan, tokenizer, validation).report()


def prepare(table: Table, plan: FineTunePlan, tokenizer: PreTrainedTokenizerBase | None = None,
            validation: Table | None = None) -> Prepared:
    """The examples to train and to measure, without rows that have errors; `check` lists those.

    Raises InvalidRequest if a column is missing, and with the row and the column of the first error if too few rows can be used.
    """
    return _Checked(table, plan, tokenizer, validation).prepared()


class _Checked:
    def __init__(self, table: Table, plan: FineTunePlan, tokenizer: PreTrainedTokenizerBase | None, validation: Table | None) -> None:
        if bool(plan.validation_table) != (validation is not None):
            raise InvalidRequest("validation_table", plan.validation_table, "the table that is given as `validation`")
        self._table, self._plan = table, plan
        self._encoder = Encoder(tokenizer, plan.task) if tokenizer is not None else None
        self._fit = Fit(self._encoder, token_limit(plan, tokenizer) if tokenizer is not None else 0)
        self.problems = Problems()
        self._reader = Reader(plan)
        examples = self._examples(table, self._reader)
        keys = [*map(key_of, examples)]
        self._warn_of_copies(examples, keys)
        if validation is None:
            self.train, self.held = split(examples, keys, plan.test_share, plan.options.seed)
        else:
            reader = Reader(plan, self._reader.labels, is_validation=True)
            self.train, self.held = tuple(examples), tuple(self._examples(validation, reader))
            self._warn_of_leaks(dict(zip(reversed(keys), reversed([example.row for example in examples]), strict=True)), reader)
        self.rows = table.count + (validation.count if validation else 0)
        self._sort_labels()
        self._warn_of_counts()

    def _examples(self, table: Table, reader: Reader) -> list[Example]:
        found: list[Example] = []
        for each in reader.read(table):
            if isinstance(each, Problem):
                self.problems.add(each)
            elif (problem := self._fit.problem(each, reader)) is not None:
                self.problems.add(problem)
                if problem.severity == "warning":
                    found.append(each)
            else:
                found.append(each)
        return found

    def _warn_of_copies(self, examples: Sequence[Example], keys: Sequence[bytes]) -> None:
        first: dict[bytes, Example] = {}
        for example, key in zip(examples, keys, strict=True):
            earlier = first.setdefault(key, example)
            if earlier is example:
                continue
            if replace(example, row=0) == replace(earlier, row=0):
                self.problems.add(self._reader.problem("duplicate", example.row, first=earlier.row))
            elif isinstance(example, ClassifiedText) and isinstance(earlier, ClassifiedText) and example.label != earlier.label:
                self.problems.add(self._reader.problem("conflict", example.row, "label", first=earlier.row))

    def _warn_of_leaks(self, trained: Mapping[bytes, int], reader: Reader) -> None:
        """`trained`: the first row with each key."""
        for example in self.held:
            if (row := trained.get(key_of(example))) is not None:
                self.problems.add(reader.problem("leak", example.row, first=row))

    def _sort_labels(self) -> None:
        """Number the labels in their own order: numbers by value, others by alphabet."""
        found = self._reader.labels
        numeric = all(map(WHOLE_NUMBER.fullmatch, found))
        self.labels = tuple(sorted(found, key=lambda label: (int(label), label) if numeric else (0, label)))
        places = {label: place for place, label in enumerate(self.labels)}
        moved = [places[label] for label in found]

        def renumbered(example: Example) -> Example:
            match example:
                case ClassifiedText():
                    return replace(example, label=moved[example.label])
                case TaggedWords():
                    return replace(example, tags=tuple(moved[tag] for tag in example.tags))
            return example

        if list(moved) != list(range(len(moved))):
            self.train, self.held = tuple(map(renumbered, self.train)), tuple(map(renumbered, self.held))

    def _warn_of_counts(self) -> None:
        count = len(self.train) + len(self.held)
        if count < FEW_EXAMPLES:
            self.problems.add(Problem("few", values={"count": count}))
        if self._plan.task != "text-classification" or not self.labels:
            return
        counts = self.label_counts()
        column = self._reader.columns["label"]
        for example in (*self.train, *self.held):
            if isinstance(example, ClassifiedText) and counts[self.labels[example.label]] == 1:
                self.problems.add(Problem("rare", example.row, column, {"label": self.labels[example.label]}))
        (most, times), (least, rare) = counts.most_common(1)[0], counts.most_common()[-1]
        if times >= IMBALANCE * rare:
            self.problems.add(Problem("imbalance", 0, column, {"label": most, "count": times, "rare": least, "rare_count": rare}))

    def label_counts(self) -> Counter[str]:
        """How often each label occurs: in examples, or in words."""
        counts: Counter[str] = Counter()
        for example in (*self.train, *self.held):
            match example:
                case ClassifiedText():
                    counts[self.labels[example.label]] += 1
                case TaggedWords():
                    counts.update(self.labels[tag] for tag in example.tags)
        return counts

    def report(self) -> Report:
        lengths = self._lengths()
        return Report(tuple(self.problems), dict(self.problems.totals), dict(self.label_counts().most_common()), _histogram(lengths),
                      "tokens" if self._encoder else "characters", max(lengths, default=0), self.rows, len(self.problems.bad_rows),
                      len(self.train), len(self.held))

    def _lengths(self) -> list[int]:
        examples = (*self.train, *self.held)
        sample = examples[::max(1, math.ceil(len(examples) / MEASURED))]
        return [self._encoder.count(example) if self._encoder else characters(example) for example in sample]

    def prepared(self) -> Prepared:
        self._require_usable()
        return Prepared(self.train, self.held, self.labels, self._table.digest)

    def _require_usable(self) -> None:
        usable = len(self.train) + len(self.held)
        errors = [problem for problem in self.problems if problem.severity == "error"]
        if errors and usable < FEWEST_USABLE * self.rows:
            raise InvalidRequest("examples", f"{len(self.problems.bad_rows):,} of {self.rows:,} rows with errors; {errors[0].message}",
                                 "a table most of whose rows can be used")
        if len(self.train) < LEAST_EXAMPLES:
            raise InvalidRequest("examples", f"{len(self.train)} rows to train", f"at least {LEAST_EXAMPLES} rows")
        if self._plan.task == "text-classification" and not 2 <= len(self.labels) <= MOST_LABELS:
            raise InvalidRequest("labels", f"{len(self.labels):,} different ones in column {self._reader.columns['label']!r}",
                                 f"2 to {MOST_LABELS:,} of them")
        if len(self.labels) > MOST_LABELS:
            raise InvalidRequest("tags", f"{len(self.labels):,} different ones", f"at most {MOST_LABELS:,}")


def _histogram(lengths: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Equal bars up to the longest: (upper bound, how many)."""
    if not lengths:
        return ()
    width = max(1, math.ceil((max(lengths) + 1) / BARS))
    counts = Counter(length // width for length in lengths)
    return tuple(((bar + 1) * width, counts[bar]) for bar in range(max(lengths) // width + 1))
