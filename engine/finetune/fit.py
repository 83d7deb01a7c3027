"""Whether the tokens of an example fit into what is read of one."""

from __future__ import annotations

from dataclasses import replace

from .encoding import Encoder
from .examples import Answered, Dialogue, Example, PlainText
from .headed import STRIDE
from .problems import Problem
from .reading import SHOWN_CHARS, Reader


class Fit:
    """`encoder`: None without a tokenizer, and then every example fits. `limit`: tokens of the longest."""

    def __init__(self, encoder: Encoder | None, limit: int) -> None:
        self._encoder, self._limit = encoder, limit

    def problem(self, example: Example, reader: Reader) -> Problem | None:
        """Examples that would lose their answer are errors; of others the end is cut. Long texts are split instead."""
        if self._encoder is None or isinstance(example, PlainText) or self._encoder.most(example) <= self._limit:
            return None
        if isinstance(example, Answered):
            tokens = self._encoder.count(replace(example, context=""))      # the context is read in windows
            limit = self._limit // 2
        else:
            tokens, limit = self._encoder.count(example), self._limit
        if tokens <= limit:
            return self._in_no_window(example, reader) if isinstance(example, Answered) else None
        role = next(iter(reader.columns))
        kind = "too_long" if isinstance(example, Dialogue | Answered) else "cut"
        return reader.problem(kind, example.row, role, tokens=tokens, most=limit)

    def _in_no_window(self, example: Answered, reader: Reader) -> Problem | None:
        """A problem if no window of the context holds all of an answer: every row of the example would say that there is none."""
        assert self._encoder is not None
        shared = min(STRIDE, self._limit // 4)      # tokens of two windows: an answer without more lies in one; a character has at most 4
        if all(4 * len(text) < shared for text, _ in example.answers):
            return None
        if any(row.start or row.end for row in self._encoder.encode(example, self._limit)):
            return None
        return reader.problem("answer_too_long", example.row, "answers", answer=example.answers[0][0][:SHOWN_CHARS], most=self._limit)
