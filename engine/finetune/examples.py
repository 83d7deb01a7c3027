"""One example of each task, as it is kept in a run's folder and given to the trainer. `row`: its row in the file, counted from 1."""

from __future__ import annotations

from dataclasses import dataclass

from ..messages import Message


@dataclass(frozen=True, slots=True)
class ClassifiedText:
    """`label`: index in `Prepared.labels`."""

    row: int
    text: str
    label: int
    second_text: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """`answers`: (text, index of its first character in the context); none: the context does not answer the question."""

    row: int
    question: str
    context: str
    answers: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class TaggedWords:
    """`tags`: one index in `Prepared.labels` for each word."""

    row: int
    words: tuple[str, ...]
    tags: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Only the messages of the role "assistant" are trained, each with the token that ends its turn."""

    row: int
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class PlainText:
    row: int
    text: str


Example = ClassifiedText | Answered | TaggedWords | Dialogue | PlainText


def characters(example: Example) -> int:
    """How long its texts are together."""
    match example:
        case Answered():
            return len(example.question) + len(example.context)
        case TaggedWords():
            return sum(map(len, example.words)) + len(example.words)
        case Dialogue():
            return sum(len(message.content) + len(message.reasoning) for message in example.messages)
        case ClassifiedText():
            return len(example.text) + len(example.second_text)
    return len(example.text)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Checked examples of one plan. `labels`: the classes or tags, in order of their index. `digest`: SHA-256 of the file's content."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    labels: tuple[str, ...] = ()
    digest: str = ""
