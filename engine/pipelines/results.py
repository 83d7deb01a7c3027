"""What a task is given, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from ..checkpoint.tasks import Task
from ..errors import InvalidRequest
from ..plain_text import valid_text

MAX_TEXTS, MAX_CHARS, MAX_TOP = 32, 100_000, 50


@dataclass(frozen=True, slots=True)
class TaskInput:
    """`texts`: what is classified, filled in, shortened or translated; for question answering, the questions.

    `second`: the text in which the answers are, or the second text of a pair that is classified. `top`: how many results of each text.
    `source`, `target`: languages, for translators of many, as their tokenizer names them. `may_be_unanswered`: a question may have no
    answer in the text.
    """

    texts: tuple[str, ...]
    second: str = ""
    top: int = 5
    source: str = ""
    target: str = ""
    may_be_unanswered: bool = False

    def __post_init__(self) -> None:
        texts = (self.texts,) if isinstance(self.texts, str) else tuple(self.texts)
        for name, text in (("second", self.second), *(("text", each) for each in texts)):
            if not isinstance(text, str):
                raise InvalidRequest(name, type(text).__name__, "text")
        if not 1 <= len(texts) <= MAX_TEXTS or not all(text.strip() for text in texts):
            raise InvalidRequest("texts", f"{len(texts)} texts, {sum(not text.strip() for text in texts)} of them empty",
                                 f"1 to {MAX_TEXTS} texts that are not empty")
        if isinstance(self.top, bool) or not isinstance(self.top, int) or not 1 <= self.top <= MAX_TOP:
            raise InvalidRequest("top", self.top, f"a whole number from 1 to {MAX_TOP}")
        object.__setattr__(self, "texts", tuple(valid_text(text) for text in texts))
        object.__setattr__(self, "second", valid_text(self.second))
        if self.num_chars > MAX_CHARS:
            raise InvalidRequest("texts", f"{self.num_chars:,} characters", f"at most {MAX_CHARS:,} characters together")

    @property
    def num_chars(self) -> int:
        return len(self.second) + sum(map(len, self.texts))


@dataclass(frozen=True, slots=True)
class Label:
    """A class of a whole text, or a value where the model gives a number. `score`: its probability, 0 to 1."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the text, from its character `begin` to before `end`. `label`: "" for an answer. An answer without text is no answer."""

    text: str
    begin: int
    end: int
    score: float
    label: str = ""


def span_of(whole: str, begin: int, end: int, score: float, label: str = "") -> Span:
    """Without the spaces that tokens of some tokenizers begin with. A span that begins below 0 has no text."""
    text = whole[begin:end] if begin >= 0 else ""
    begin += len(text) - len(text.lstrip())
    return Span(text.strip(), begin, begin + len(text.strip()) if text else end, score, label)


@dataclass(frozen=True, slots=True)
class Filling:
    """What may stand in the place of a mask, and the whole text with it. `mask`: which of the text's masks, from 0."""

    token: str
    text: str
    score: float
    mask: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """A summary or a translation."""

    text: str


Row = Label | Span | Filling | Written


@dataclass(frozen=True, slots=True)
class TaskResult:
    """`rows`: for each text, the best first; spans in the order of the text. `tokens`: read, written. `cut_at`: how many tokens of
    a text are read at once, if one had more and only its beginning was read; else 0.
    """

    task: Task
    rows: tuple[tuple[Row, ...], ...]
    seconds: float = 0.0
    tokens: tuple[int, int] = (0, 0)
    cut_at: int = 0
