"""What a table is for, and which column is which, from names in three languages and from what is in the columns."""

from __future__ import annotations

import json

import pytest

from engine.finetune import Tables, Task, guess_columns, guess_task

LONG = "a text that is rather long, with many words in it, as reviews are: number {}"
CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
SHAREGPT = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]


def rows(named: dict[str, list[object]] | None = None, **columns: list[object]) -> bytes:
    columns |= named or {}
    return json.dumps([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]).encode()


TEXTS = [LONG.format(at) for at in range(6)]
LABELS = ["good", "bad"] * 3


@pytest.mark.parametrize(("content", "task", "columns"), [
    (rows(text=TEXTS, label=LABELS), "text-classification", {"text": "text", "label": "label"}),
    (rows(id=[*range(6)], Review=TEXTS, Sentiment=[0, 1] * 3), "text-classification", {"text": "Review", "label": "Sentiment"}),
    (rows(premise=TEXTS, hypothesis=TEXTS[::-1], label=[0, 1, 2] * 2), "text-classification",
     {"text": "premise", "second_text": "hypothesis", "label": "label"}),
    (rows({"METİN": TEXTS, "SINIF": LABELS}), "text-classification", {"text": "METİN", "label": "SINIF"}),
    (rows({"文本": TEXTS, "标签": LABELS}), "text-classification", {"text": "文本", "label": "标签"}),
    (rows(a=TEXTS, b=LABELS, c=["x"] * 6), "text-classification", {"text": "a", "label": "b"}),
    (rows(id=["1"], title=["t"], context=["c d"], question=["q"], answers=[{"text": ["c"], "answer_start": [0]}]), "question-answering",
     {"question": "question", "context": "context", "answers": "answers"}),
    (rows({"soru": ["q"], "bağlam": ["c d"], "cevap": ["c"]}), "question-answering",
     {"question": "soru", "context": "bağlam", "answers": "cevap"}),
    (rows({"问题": ["q"], "上下文": ["c d"], "答案": ["c"]}), "question-answering",
     {"question": "问题", "context": "上下文", "answers": "答案"}),
    (rows(id=["1"], tokens=[["a", "b"]], pos_tags=[[1, 2]], ner_tags=[[0, 3]]), "token-classification",
     {"words": "tokens", "tags": "ner_tags"}),
    (rows(words=["a b", "c"], tags=["O X", "O"]), "token-classification", {"words": "words", "tags": "tags"}),
    (rows(id=["1"], messages=[CHAT]), "chat", {"messages": "messages"}),
    (rows(system=["s"], conversations=[SHAREGPT]), "chat", {"messages": "conversations"}),
    (rows(instruction=TEXTS, input=TEXTS, output=TEXTS[::-1]), "chat", {"question": "instruction", "input": "input", "answer": "output"}),
    (rows(prompt=TEXTS, completion=TEXTS[::-1]), "chat", {"question": "prompt", "answer": "completion"}),
    (rows(soru=TEXTS, cevap=TEXTS[::-1]), "chat", {"question": "soru", "answer": "cevap"}),
    (rows(text=TEXTS), "text", {"text": "text"}),
    (b"a b c d\ne f g h\ni j\n", "text", {"text": "column 1"}),
], ids=str)
def test_task_and_columns_are_guessed(tables: Tables, content: bytes, task: Task, columns: dict[str, str]) -> None:
    table = tables.read("rows", content)
    assert guess_task(table) == task
    assert guess_columns(table, task) == columns


def test_another_task_than_the_guessed_one_has_columns_too(tables: Tables) -> None:
    table = tables.read("rows", rows(first=TEXTS, second=TEXTS[::-1], label=LABELS))
    assert guess_columns(table, "chat") == {"question": "first", "answer": "second"}
    assert guess_columns(table, "text") == {"text": "first"}
    assert guess_columns(table, "question-answering") == {}


def test_a_label_is_not_a_column_of_which_each_row_has_another_value(tables: Tables) -> None:
    table = tables.read("rows", rows(text=TEXTS, label=[f"id {at}" for at in range(6)], kind=LABELS))
    assert guess_columns(table, "text-classification") == {"text": "text", "label": "kind"}
