"""The tasks beside chat, and which of them a model was trained for, as its config.json says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..compat.transformers import head_class, is_causal_architecture, is_known_architecture

Task = Literal["text-classification", "question-answering", "token-classification", "fill-mask", "summarization", "translation"]
TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True, slots=True)
class Head:
    """`auto_class`: of transformers. `ending`: of the classes that config.json names. `peft`: the task_type of its adapters."""

    auto_class: str
    ending: str
    peft: str
    is_general: bool = False        # there is one for every causal language model (compat/heads.py)
    needs_offsets: bool = False     # of tokens in the text, which only fast tokenizers give


SEQ2SEQ = Head("AutoModelForSeq2SeqLM", "ForConditionalGeneration", "SEQ_2_SEQ_LM")
HEADS: dict[Task, Head] = {
    "text-classification": Head("AutoModelForSequenceClassification", "ForSequenceClassification", "SEQ_CLS", is_general=True),
    "question-answering": Head("AutoModelForQuestionAnswering", "ForQuestionAnswering", "QUESTION_ANS", is_general=True,
                               needs_offsets=True),
    "token-classification": Head("AutoModelForTokenClassification", "ForTokenClassification", "TOKEN_CLS", is_general=True,
                                 needs_offsets=True),
    "fill-mask": Head("AutoModelForMaskedLM", "ForMaskedLM", ""),
    "summarization": SEQ2SEQ,
    "translation": SEQ2SEQ,
}
TRANSLATES = ("marian", "m2m_100", "fsmt")      # architectures of translation only


def tasks_of(config: Mapping[str, Any]) -> tuple[Task, ...]:
    """The tasks that the model of a config.json has a head for, the likeliest first; none for a model that chats or has no head."""
    kind, classes = config.get("model_type"), config.get("architectures")
    names = [str(name) for name in classes] if isinstance(classes, list) else []
    found = [task for task, head in HEADS.items() if any(
        name == head_class(head.auto_class, kind) or (head is not SEQ2SEQ and is_known_architecture(kind) and name.endswith(head.ending)
                                                      and has_head(task, kind)) for name in names)]
    if "translation" in found and _translates(config):
        found = ["translation"] if config.get("model_type") in TRANSLATES else ["translation", "summarization"]
    return tuple(found)


def tasks_of_adapter(peft_task: str, model_type: object) -> tuple[Task, ...]:
    """Those that an adapter of this base was trained for."""
    return tuple(task for task, head in HEADS.items() if head.peft and head.peft == peft_task and has_head(task, model_type))


def has_head(task: Task, model_type: object) -> bool:
    """Whether models of an architecture can have the head of a task: one of transformers, or the general one of fine-tuning."""
    head = HEADS[task]
    return bool(head_class(head.auto_class, model_type)) or (head.is_general and is_causal_architecture(model_type))


def prefix_of(config: Mapping[str, Any], task: Task) -> str:
    """What T5 and its relatives expect before a text, for the first direction that is named."""
    known = config.get("task_specific_params")
    for name, given in (known or {}).items() if isinstance(known, dict) else ():
        if str(name).startswith(task) and isinstance(given, dict) and isinstance(given.get("prefix"), str):
            return str(given["prefix"])
    return ""


def _translates(config: Mapping[str, Any]) -> bool:
    known = config.get("task_specific_params")
    return config.get("model_type") in TRANSLATES or (isinstance(known, dict) and "summarization" not in known and any(
        str(name).startswith("translation") for name in known))
