"""What can be wrong with examples. Each kind has one English sentence here, which the page translates by its key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning"]      # an error leaves its row out

ERRORS: Mapping[str, str] = {
    "empty": "the cell is empty",
    "not_text": "the cell holds {found} where a text belongs",
    "not_words": "the cell holds no list of words, and no words with spaces between them",
    "lengths": "there are {words} words but {tags} tags",
    "not_answers": "the cell holds no answers: a text, or a list of texts with their starts",
    "answer_missing": "the answer “{answer}” does not occur in the context",
    "not_messages": "the cell holds no list of messages, each with a role and a content",
    "role": "a message has the role “{name}”; system, user and assistant are known",
    "late_system": "a system message comes after other messages",
    "no_answer": "a message of the user, or the answer of the assistant to it, is missing",
    "too_long": "it has {tokens} tokens, and at most {most} are read",
    "too_many": "the list has {count} entries, and at most {most} are read",
    "answer_too_long": "the answer “{answer}” is longer than the parts of {most} tokens in which its context is read",
    "unknown_label": "the label “{label}” does not occur in the training examples",
}
WARNINGS: Mapping[str, str] = {
    "cut": "it has {tokens} tokens, and only {most} are read",
    "answer_moved": "the answer “{answer}” is not at character {start} of the context, but at {place}",
    "duplicate": "it is the same as row {first}",
    "conflict": "it has the same text as row {first}, but another label",
    "leak": "row {first} of the training examples is the same, so the result would look better than it is",
    "damaged": "the text has characters that could not be read: another encoding may be right",
    "rare": "“{label}” has only one example, so it cannot be both trained and measured",
    "imbalance": "“{label}” has {count} examples, and “{rare}” only {rare_count}",
    "few": "there are only {count} examples",
}
KEPT = 50       # problems of one kind that are listed; all are counted


@dataclass(frozen=True, slots=True)
class Problem:
    """`kind`: a key of ERRORS or WARNINGS, whose sentence `values` complete. `row`: counted from 1 below the header; 0: of the whole table.

    `is_validation`: the row is one of the second table.
    """

    kind: str
    row: int = 0
    column: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    is_validation: bool = False

    @property
    def severity(self) -> Severity:
        return "error" if self.kind in ERRORS else "warning"

    @property
    def message(self) -> str:
        """An English sentence that names row and column."""
        shown = {name: f"{value:,}" if isinstance(value, int) else value for name, value in self.values.items()}
        what = (ERRORS.get(self.kind) or WARNINGS[self.kind]).format(**shown)
        row = f"row {self.row:,}{' of the second table' if self.is_validation else ''}" if self.row else ""
        place = ", ".join(filter(None, (row, f"column “{self.column}”" if self.column else "")))
        return f"{place[:1].upper()}{place[1:]}: {what}." if place else f"{what[:1].upper()}{what[1:]}."


class Problems:
    """Collects problems: the first of each kind, and how many there are."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self._kept: list[Problem] = []
        self.bad_rows: set[tuple[bool, int]] = set()

    def add(self, problem: Problem) -> None:
        self.totals[problem.kind] += 1
        if problem.severity == "error":
            self.bad_rows.add((problem.is_validation, problem.row))
        if self.totals[problem.kind] <= KEPT:
            self._kept.append(problem)

    def __iter__(self) -> Iterator[Problem]:
        """Errors first, each kind in the order of its rows."""
        return iter(sorted(self._kept, key=lambda problem: (problem.severity, problem.is_validation, problem.row)))
