"""From the cells of a row to an example of a task, or to the problems that leave the row out."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import InvalidRequest
from ..formats.cells import NOTHING, Cell, Kind
from ..messages import Message, Role
from ..storage.strict import MAX_ITEMS
from .examples import Answered, ClassifiedText, Dialogue, Example, PlainText, TaggedWords
from .plan import ROLES, FineTunePlan, Task
from .problems import Problem
from .table import Table

Cells = Mapping[str, Cell]      # by role
SHOWN_CHARS = 60                # of an answer in a problem
MAX_LITERAL_CHARS = 50_000      # of a Python list in a text: parsing one takes a hundred times its memory
MAX_PLACE = 10**18
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
SPEAKERS: Mapping[str, Role] = {
    **dict.fromkeys(("system", "developer"), "system"), **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "chatgpt"), "assistant")}
THOUGHTS = re.compile(r"\s*<think(?:ing)?>(.*?)</think(?:ing)?>\s*", re.DOTALL)     # as datasets of reasoning models write them


class Bad(Exception):
    """A row that cannot be used: `kind` of problems.ERRORS, the role of its column, and the values of its sentence."""

    def __init__(self, kind: str, role: str, **values: object) -> None:
        super().__init__(kind)
        self.kind, self.role, self.values = kind, role, values


class Reader:
    """Reads the examples of one table. Labels are numbered in the order of their first row; `labels` has them in that order."""

    def __init__(self, plan: FineTunePlan, labels: list[str] | None = None, *, is_validation: bool = False) -> None:
        self.columns = checked_columns(plan.task, plan.columns)
        self.labels = [] if labels is None else labels
        self._numbers = {label: number for number, label in enumerate(self.labels)}
        readers: dict[Task, Callable[[int, Cells], Example]] = {
            "text-classification": self._classified, "question-answering": self._answered, "token-classification": self._tagged,
            "chat": self._dialogue, "text": self._plain}
        self._read = readers[plan.task]
        self._is_validation, self._knows_all = is_validation, is_validation
        self.moved: Problem | None = None

    def read(self, table: Table) -> Iterator[Example | Problem]:
        """Yield an example or a problem for each row, and after an example its warnings. Raises InvalidRequest for a missing column."""
        names = [*dict.fromkeys(self.columns.values())]
        for row, cells in enumerate(table.cells(names), 1):
            by_name = dict(zip(names, cells, strict=True))
            by_role = {role: by_name[name] for role, name in self.columns.items()}
            try:
                yield self._read(row, by_role)
            except Bad as bad:
                yield self.problem(bad.kind, row, bad.role, **bad.values)
                continue
            if self.moved is not None:
                yield self.moved
                self.moved = None
            yield from (self.problem("damaged", row, role) for role, cell in by_role.items() if "\ufffd" in cell.text)

    def problem(self, kind: str, row: int, role: str = "", **values: object) -> Problem:
        return Problem(kind, row, self.columns.get(role, ""), values, self._is_validation)

    def _number(self, label: str, role: str) -> int:
        if label not in self._numbers:
            if self._knows_all:
                raise Bad("unknown_label", role, label=label[:SHOWN_CHARS])
            self._numbers[label] = len(self.labels)
            self.labels.append(label)
        return self._numbers[label]

    def _classified(self, row: int, cells: Cells) -> ClassifiedText:
        text, label = _text(cells, "text"), _text(cells, "label")
        second = _text(cells, "second_text") if "second_text" in cells else ""
        return ClassifiedText(row, text, self._number(label.strip(), "label"), second)

    def _tagged(self, row: int, cells: Cells) -> TaggedWords:
        words, tags = _words(cells, "words"), _words(cells, "tags")
        if len(words) != len(tags):
            raise Bad("lengths", "tags", words=len(words), tags=len(tags))
        return TaggedWords(row, words, tuple(self._number(tag, "tags") for tag in tags))

    def _answered(self, row: int, cells: Cells) -> Answered:
        question, context = _text(cells, "question"), _text(cells, "context")
        found = []
        for answer, start in _answers(cells):
            place = _place(context, answer, start)
            if place < 0:
                raise Bad("answer_missing", "answers", answer=answer[:SHOWN_CHARS])
            if start is not None and place != start:
                self.moved = self.problem("answer_moved", row, "answers", answer=answer[:SHOWN_CHARS], start=start, place=place)
            found.append((answer, place))
        return Answered(row, question, context, tuple(dict.fromkeys(found)))

    def _dialogue(self, row: int, cells: Cells) -> Dialogue:
        if "messages" in cells:
            return Dialogue(row, _conversation([_message(each) for each in _messages(cells["messages"])]))
        question = _text(cells, "question")
        if cells.get("input", NOTHING).kind is not Kind.EMPTY:
            question += "\n\n" + _text(cells, "input")
        system = [Message("system", cells["system"].text)] if cells.get("system", NOTHING).kind is not Kind.EMPTY else []
        answer = _answer(_text(cells, "answer"))
        if not answer.content.strip():      # thoughts alone
            raise Bad("no_answer", "answer")
        return Dialogue(row, (*system, Message("user", question), answer))

    def _plain(self, row: int, cells: Cells) -> PlainText:
        return PlainText(row, _text(cells, "text"))


def checked_columns(task: Task, columns: Mapping[str, str]) -> dict[str, str]:
    """The columns of the roles that are used. Raises InvalidRequest if a needed one is missing."""
    if task not in ROLES:
        raise InvalidRequest("task", task, f"one of {', '.join(ROLES)}")
    chosen = {role.key: columns[role.key] for role in ROLES[task] if columns.get(role.key)}
    missing = [role.key for role in ROLES[task] if not role.is_optional and role.key not in chosen]
    if task == "chat":
        chosen = {"messages": chosen["messages"]} if "messages" in chosen else chosen
        missing = [] if "messages" in chosen else [key for key in ("question", "answer") if key not in chosen]
    if missing:
        raise InvalidRequest("columns", "no column for " + " and ".join(missing), "a column for each part of an example")
    if len(set(chosen.values())) < len(chosen):
        twice = next(name for name in chosen.values() if list(chosen.values()).count(name) > 1)
        raise InvalidRequest("columns", f"{twice!r} for two parts", "a different column for each part of an example")
    return chosen


def _text(cells: Cells, role: str) -> str:
    cell = cells[role]
    if cell.kind is Kind.EMPTY:
        raise Bad("empty", role)
    if cell.kind in (Kind.LIST, Kind.OBJECT):
        raise Bad("not_text", role, found="a list" if cell.kind is Kind.LIST else "an object")
    return cell.text


def _value(cell: Cell) -> Any:
    """The list or object of a cell, also one that a CSV file has as JSON or as Python writes it; else its text."""
    text = cell.text.strip()
    if cell.kind is not Kind.TEXT or text[:1] + text[-1:] not in ("[]", "{}"):
        return cell.value
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text) if len(text) <= MAX_LITERAL_CHARS else text
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text


def _words(cells: Cells, role: str) -> tuple[str, ...]:
    if cells[role].kind is Kind.EMPTY:
        raise Bad("empty", role)
    value = _value(cells[role])
    words = value.split() if isinstance(value, str) else value
    if not isinstance(words, list) or not words or not all(isinstance(word, (str, int)) for word in words):
        raise Bad("not_words", role)
    return tuple(map(str, _few(words, role)))


def _few(items: list[Any], role: str) -> list[Any]:
    if len(items) > MAX_ITEMS:      # what the trainer reads of one row (storage/strict.py)
        raise Bad("too_many", role, count=len(items), most=MAX_ITEMS)
    return items


def _answers(cells: Cells) -> list[tuple[str, int | None]]:
    """Texts, without spaces around them, and starts; none if the cell says that there is no answer."""
    cell = cells["answers"]
    if cell.kind is Kind.EMPTY:
        raise Bad("empty", "answers")
    pairs: list[tuple[Any, Any]]
    match _value(cell):
        case str() as text:
            start = cells.get("answer_start", NOTHING).text.strip()
            pairs = [(text, int(start) if WHOLE_NUMBER.fullmatch(start) else None)]
        case {"text": str() as text, **rest}:
            pairs = [(text, rest.get("answer_start"))]
        case {"text": list() as texts, **rest}:
            starts = rest.get("answer_start") or [None] * len(texts)
            pairs = [*zip(texts, starts, strict=False)] if isinstance(starts, list) else [(None, None)]
        case list() as each:
            pairs = [(one.get("text"), one.get("answer_start")) if isinstance(one, dict) else (one, None) for one in each]
        case _:
            pairs = [(None, None)]
    if not all(isinstance(text, str) and text.strip() and (start is None or _is_place(start)) for text, start in pairs):
        raise Bad("not_answers", "answers")
    return [(text.strip(), None if start is None else start + len(text) - len(text.lstrip()))
            for text, start in _few(pairs, "answers")]


def _is_place(start: object) -> bool:
    return isinstance(start, int) and not isinstance(start, bool) and abs(start) < MAX_PLACE


def _place(context: str, answer: str, start: int | None) -> int:
    """The character at which the answer begins: the given one, else the nearest; -1 if it does not occur."""
    if start is not None and start >= 0 and context.startswith(answer, start):
        return start
    places = [found.start() for found in re.finditer(re.escape(answer), context)]
    return min(places, key=lambda place: abs(place - (start or 0)), default=-1)


def _messages(cell: Cell) -> list[dict[str, Any]]:
    value = _value(cell)
    if cell.kind is Kind.EMPTY:
        raise Bad("empty", "messages")
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
        raise Bad("not_messages", "messages")
    return _few(value, "messages")


def _message(given: dict[str, Any]) -> Message:
    role, content = given.get("role", given.get("from")), given.get("content", given.get("value"))
    if isinstance(content, list):       # parts, as in OpenAI's requests
        texts: list[Any] = [part.get("text") if isinstance(part, dict) else part for part in content]
        content = "\n".join(texts) if all(isinstance(text, str) for text in texts) else None
    if not isinstance(role, str) or not isinstance(content, str):
        raise Bad("not_messages", "messages")
    if role.lower() not in SPEAKERS:
        raise Bad("role", "messages", name=role[:SHOWN_CHARS])
    if SPEAKERS[role.lower()] != "assistant":
        return Message(SPEAKERS[role.lower()], content)
    thoughts = given.get("reasoning_content") or given.get("thinking") or ""
    return Message("assistant", content, thoughts) if isinstance(thoughts, str) and thoughts else _answer(content)


def _answer(text: str) -> Message:
    """An answer; thoughts that are written before it become its reasoning, which the chat template writes in its own way."""
    found = THOUGHTS.match(text)
    return Message("assistant", text[found.end():], found[1].strip()) if found else Message("assistant", text)


def _conversation(messages: list[Message]) -> tuple[Message, ...]:
    """A chat as it can be trained: a system message first, then user and assistant in turn, up to the last answer."""
    system = messages[:1] if messages[0].role == "system" else []
    turns = messages[len(system):]
    if any(message.role == "system" for message in turns):
        raise Bad("late_system", "messages")
    merged: list[Message] = []
    for message in turns:
        if merged and merged[-1].role == message.role:
            last = merged.pop()
            message = Message(message.role, f"{last.content}\n\n{message.content}".strip(),
                              f"{last.reasoning}\n\n{message.reasoning}".strip())
        if merged or message.role == "user":        # a greeting before the first question has nothing that it answers
            merged.append(message)
    while merged and merged[-1].role != "assistant":
        merged.pop()
    if not merged or not all(message.content.strip() for message in merged):
        raise Bad("no_answer", "messages")
    return (*system, *merged)
