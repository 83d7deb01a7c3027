"""Well-known models for the tasks: small ones, so that a first try costs little."""

from __future__ import annotations

from dataclasses import dataclass

from ..checkpoint.tasks import Task


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """`parameters`: in millions, as published. `languages`: ISO codes. `source`: where the facts are from."""

    repo: str
    task: Task
    parameters: int
    licence: str
    languages: tuple[str, ...]
    source: str


def task_catalog() -> tuple[TaskEntry, ...]:
    return ENTRIES


def task_entry(repo: str) -> TaskEntry | None:
    return next((entry for entry in ENTRIES if entry.repo == repo), None)


CARDS = "the model's own card on the hub"
ENTRIES: tuple[TaskEntry, ...] = (
    TaskEntry("distilbert/distilbert-base-uncased-finetuned-sst-2-english", "text-classification", 67, "apache-2.0", ("en",), CARDS),
    TaskEntry("dslim/distilbert-NER", "token-classification", 66, "", ("en",), f"{CARDS} (dslim/bert-base-NER); licence unconfirmed"),
    TaskEntry("dslim/bert-base-NER", "token-classification", 110, "mit", ("en",), CARDS),
    TaskEntry("deepset/tinyroberta-squad2", "question-answering", 82, "cc-by-4.0", ("en",), CARDS),
    TaskEntry("google-bert/bert-base-uncased", "fill-mask", 110, "apache-2.0", ("en",), CARDS),
    TaskEntry("google-t5/t5-small", "summarization", 60, "apache-2.0", ("en", "fr", "ro", "de"), CARDS),
)
