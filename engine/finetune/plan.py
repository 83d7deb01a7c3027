"""What to train: the task, the examples and their columns, the base model, the method, and how to train. All of it is plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..models.spec import ModelSpec

Task = Literal["text-classification", "question-answering", "token-classification", "chat", "text"]
Method = Literal["lora", "qlora", "full"]


@dataclass(frozen=True, slots=True)
class Role:
    """One part of an example, which a column of the file is chosen for. `key`: also the key of its texts on the page."""

    key: str
    is_optional: bool = False


# What each task's examples are made of. chat: either `messages` (a list of role and content), or `question` and `answer`; `input` is put
# below the question (Alpaca's files). answer_start: where an answer begins in the context, if `answers` does not say so itself.
ROLES: Mapping[Task, tuple[Role, ...]] = {
    "text-classification": (Role("text"), Role("second_text", is_optional=True), Role("label")),
    "question-answering": (Role("question"), Role("context"), Role("answers"),
                           Role("answer_start", is_optional=True)),
    "token-classification": (Role("words"), Role("tags")),
    "chat": (Role("messages", is_optional=True), Role("system", is_optional=True), Role("question", is_optional=True),
             Role("input", is_optional=True), Role("answer", is_optional=True)),
    "text": (Role("text"),),
}
# Tasks whose model has a head of its own (trained by `full` or `lora`); the others train a model that generates text.
HEADED: frozenset[Task] = frozenset({"text-classification", "question-answering", "token-classification"})


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How to train. None stands for what the method recommends (`recommended`).

    `batch_size`: examples per optimizer step. `max_tokens`: longest example; longer ones are cut (headed tasks) or refused with their row.
    `evaluations`: per epoch, at least one at the end. `patience`: evaluations without improvement before it stops early; 0: never.
    """

    epochs: float = 3.0
    learning_rate: float | None = None
    batch_size: int = 8
    max_tokens: int | None = None
    lora_rank: int = 16
    lora_alpha: int = 32
    weight_decay: float = 0.0
    warmup_share: float = 0.06
    evaluations: int = 2
    patience: int = 3
    seed: int = 0


@dataclass(frozen=True, slots=True)
class FineTunePlan:
    """One run. `table`: id of the stored table (`Tables`). `columns`: from a role's key to the name of a column.

    `base`: any model that `resolve` accepts. `test_share`: share of the examples that are held back and only measured, 0 to 0.5;
    0 where `validation_table` names a second table.
    """

    task: Task
    table: str
    columns: Mapping[str, str]
    base: ModelSpec
    method: Method = "lora"
    name: str = ""
    validation_table: str = ""
    test_share: float = 0.1
    options: TrainingOptions = field(default_factory=TrainingOptions)
