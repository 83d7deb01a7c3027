"""Looks at a table for a plan before anything is trained: what is wrong with its examples, and one of them as the model reads it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EngineError, InvalidRequest
from ..hub.hub import Hub
from ..models.resolve import LocalModel, resolve
from ..models.spec import ModelSpec
from ..settings import Settings
from .checks import Report, check
from .encoded import Piece
from .encoding import Encoder, token_limit
from .examples import Answered, ClassifiedText, Dialogue, Example, TaggedWords
from .fit import Fit
from .plan import FineTunePlan
from .problems import Problem
from .reading import Reader
from .table import Table
from .tables import Tables

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_TOKENIZERS = 2


class Examiner:
    """Safe to use from many threads. The tokenizer is that of the plan's base, if its files are on this machine.

    A tokenizer is used by one thread at a time (encoding.Encoder), so each of several visitors has its own.
    """

    def __init__(self, settings: Settings, tables: Tables) -> None:
        self._settings, self._tables, self._hub = settings, tables, Hub(settings)
        self._lock = threading.Lock()
        self._idle: list[tuple[Path, PreTrainedTokenizerBase]] = []     # the last used at the end

    def check(self, plan: FineTunePlan, owner: str = "") -> Report:
        """Raises TableNotFound, and InvalidRequest if a column is missing. Lengths are in characters without a tokenizer."""
        table = self._tables.get(plan.table, owner)
        second = self._tables.get(plan.validation_table, owner) if plan.validation_table else None
        with self._tokenizer(plan.base) as tokenizer:
            return check(table, plan, tokenizer, second)

    def preview(self, plan: FineTunePlan, at: int, owner: str = "") -> tuple[Piece, ...]:
        """The example at this place, counted from 0 without rows that have errors, as the model reads it; as it is without a tokenizer.

        Raises TableNotFound, and InvalidRequest if there is no such example or a column is missing.
        """
        table, reader = self._tables.get(plan.table, owner), Reader(plan)
        with self._tokenizer(plan.base) as tokenizer:
            encoder, limit = (Encoder(tokenizer, plan.task), token_limit(plan, tokenizer)) if tokenizer is not None else (None, 0)
            example = next(islice(_usable(table, reader, Fit(encoder, limit)), max(0, at), None), None)
            if example is None:
                raise InvalidRequest("example", at + 1, "one of the rows that can be used")
            return plain_pieces(example, reader.labels) if encoder is None else encoder.pieces(example, limit, reader.labels)

    @contextmanager
    def _tokenizer(self, base: ModelSpec) -> Iterator[PreTrainedTokenizerBase | None]:
        """None if the base is not on this machine, or its tokenizer cannot be read; the estimate says so."""
        folder = self._folder(base)
        with self._lock:
            found = next((each for each in reversed(self._idle) if each[0] == folder), None)
            if found:
                self._idle.remove(found)
        tokenizer = found[1] if found else _read(folder) if folder else None
        try:
            yield tokenizer
        finally:
            if folder and tokenizer:
                with self._lock:
                    self._idle = [*self._idle, (folder, tokenizer)][-MAX_TOKENIZERS:]

    def _folder(self, base: ModelSpec) -> Path | None:
        try:
            place = resolve(base.model, self._settings)
            return place.folder if isinstance(place, LocalModel) else self._hub.stored(place.name, base.revision)
        except EngineError:
            return None


def _usable(table: Table, reader: Reader, fit: Fit) -> Iterator[Example]:
    """The examples that `check` does not leave out."""
    for each in reader.read(table):
        if not isinstance(each, Problem):
            problem = fit.problem(each, reader)
            if problem is None or problem.severity == "warning":
                yield each


def _read(folder: Path) -> PreTrainedTokenizerBase | None:
    from transformers import AutoTokenizer

    try:
        found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception:       # damaged files can raise anything
        return None
    return found if found.is_fast else None


def plain_pieces(example: Example, labels: list[str]) -> tuple[Piece, ...]:
    """An example without a model's tokens around it."""
    match example:
        case ClassifiedText():
            text = "\n".join(filter(None, (example.text, example.second_text)))
            return Piece(text), Piece("", True, labels[example.label])
        case Answered():
            answers = "".join(f"\n{text}" for text, _ in example.answers[:1])
            return Piece(f"{example.question}\n{example.context}"), Piece(answers, True)
        case TaggedWords():
            return tuple(Piece(f"{word} ", True, labels[tag]) for word, tag in zip(example.words, example.tags, strict=True))
        case Dialogue():
            return tuple(Piece(f"{message.role}: {message.content}\n", message.role == "assistant") for message in example.messages)
    return (Piece(example.text, True),)
