"""Every problem is named by its row and its column, what is reported is what is prepared, and copies stay on one side of the split."""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from engine.errors import InvalidRequest
from engine.finetune import (
    ERRORS,
    WARNINGS,
    Answered,
    ClassifiedText,
    Dialogue,
    Encoder,
    FineTunePlan,
    PlainText,
    Problem,
    Report,
    Table,
    Tables,
    TaggedWords,
    Task,
    TrainingOptions,
    check,
    guess_columns,
    prepare,
)
from engine.finetune.job import TrainJob, read_examples, write_job
from engine.finetune.split import key_of, split
from engine.messages import Message
from engine.models.resolve import BUILTIN_FOLDER
from engine.models.spec import ModelSpec


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(BUILTIN_FOLDER)


def plan(table: Table, task: Task, **changes: object) -> FineTunePlan:
    return FineTunePlan(task, table.id, guess_columns(table, task), ModelSpec(), **changes)  # type: ignore[arg-type]


def table_of(tables: Tables, rows: list[dict[str, object]]) -> Table:
    return tables.read("rows", json.dumps(rows).encode())


def found(report: Report) -> list[tuple[str, int, str]]:
    return [(problem.kind, problem.row, problem.column) for problem in report.problems if problem.kind != "few"]


GOOD = [{"text": f"text number {at}", "label": "ab"[at % 2]} for at in range(20)]


@pytest.mark.parametrize(("rows", "problems"), [
    ([{"text": "", "label": "a"}], [("empty", 1, "text")]),
    ([{"text": "x", "label": None}], [("empty", 1, "label")]),
    ([{"text": ["x"], "label": "a"}], [("not_text", 1, "text")]),
    ([{"text": "x", "label": {"a": 1}}], [("not_text", 1, "label")]),
    ([{"text": "x\ufffd", "label": "a"}], [("damaged", 1, "text")]),
    ([{"text": "X  y", "label": "a"}, {"text": "x y", "label": "b"}], [("conflict", 2, "label")]),
    ([{"text": "x y", "label": "a"}, {"text": "x y", "label": "a"}], [("duplicate", 2, "")]),
    ([{"text": "x", "label": "c"}], [("imbalance", 0, "label"), ("rare", 1, "label")]),
])
def test_what_is_wrong_with_classified_texts_is_named(tables: Tables, rows: list[dict[str, object]],
                                                      problems: list[tuple[str, int, str]]) -> None:
    table = table_of(tables, [*rows, *GOOD])
    report = check(table, FineTunePlan("text-classification", table.id, {"text": "text", "label": "label"}, ModelSpec()))
    assert found(report) == problems
    num_bad = sum(kind in ERRORS for kind, _, _ in problems)
    assert (report.rows, report.left_out, report.train + report.validation) == (len(rows) + 20, num_bad, len(rows) + 20 - num_bad)
    assert all(str(problem.row or "") in problem.message for problem in report.problems)


@pytest.mark.parametrize(("row", "kind"), [
    ({"answers": {"text": ["nowhere"], "answer_start": [0]}}, "answer_missing"), ({"answers": {"text": 5}}, "not_answers"),
    ({"answers": {"text": ["Ankara"], "answer_start": ["x"]}}, "not_answers"), ({"answers": 7.5}, "answer_missing"),
    ({"answers": {"text": ["Ankara"], "answer_start": [True]}}, "not_answers"),
    ({"answers": {"text": ["Ankara"], "answer_start": [10**400]}}, "not_answers"),
    ({"answers": {"text": ["Ankara"], "answer_start": [3]}}, "answer_moved"), ({"answers": ""}, "empty"), ({"question": " "}, "empty"),
    ({"answers": [{"text": "Ankara", "answer_start": 0}]}, ""), ({"answers": "Ankara"}, ""), ({"answers": []}, ""),
    ({"answers": '{"text": ["Ankara"], "answer_start": [0]}'}, ""), ({"answers": "{'text': ['Ankara'], 'answer_start': [0]}"}, "")])
def test_what_is_wrong_with_answers_is_named(tables: Tables, row: dict[str, object], kind: str) -> None:
    usual = {"question": "where?", "context": "Ankara is far. Ankara", "answers": {"text": ["Ankara"], "answer_start": [15]}}
    table = table_of(tables, [{**usual, **row}, usual, {**usual, "question": "how far?"}])
    report = check(table, plan(table, "question-answering"))
    assert [each[:2] for each in found(report) if each[0] != "duplicate"] == ([(kind, 1)] if kind else [])
    if kind in ("", "answer_moved"):
        first = prepare(table, plan(table, "question-answering")).train[0]
        assert isinstance(first, Answered)
        assert first.answers == ((("Ankara", 0),) if row != {"answers": []} else ())


@pytest.mark.parametrize(("row", "problem"), [
    ({"words": ["a", "b"], "tags": ["O"]}, ("lengths", 1, "tags")), ({"words": "a b", "tags": "O X Y"}, ("lengths", 1, "tags")),
    ({"words": [["a"]], "tags": ["O"]}, ("not_words", 1, "words")), ({"words": [], "tags": []}, ("not_words", 1, "words")),
    ({"words": None, "tags": ["O"]}, ("empty", 1, "words")), ({"words": "['a', 'b']", "tags": "[0, 3]"}, None)])
def test_what_is_wrong_with_tags_is_named(tables: Tables, row: dict[str, object], problem: tuple[str, int, str] | None) -> None:
    table = table_of(tables, [row, {"words": ["c", "d"], "tags": [0, 3]}, {"words": "e f", "tags": "0 3"}])
    chosen = FineTunePlan("token-classification", table.id, {"words": "words", "tags": "tags"}, ModelSpec())
    assert found(check(table, chosen)) == ([problem] if problem else [])
    examples = prepare(table, chosen).train
    assert all(isinstance(example, TaggedWords) and len(example.words) == len(example.tags) == 2 for example in examples)
    assert len(examples) == 2 + (problem is None)


USER, ANSWER = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}
SYSTEM = {"role": "system", "content": "be kind"}


@pytest.mark.parametrize(("messages", "expected"), [
    ([USER, ANSWER], ["user", "assistant"]), ([SYSTEM, USER, ANSWER, USER], ["system", "user", "assistant"]),
    ([ANSWER, USER, USER, ANSWER], ["user", "assistant"]),
    ([{"from": "human", "value": "hi"}, {"from": "gpt", "value": "x"}], ["user", "assistant"]),
    ([{"role": "user", "content": [{"type": "text", "text": "hi"}]}, ANSWER], ["user", "assistant"]),
    ([USER], "no_answer"), ([ANSWER], "no_answer"), ([USER, {"role": "assistant", "content": " "}], "no_answer"),
    ([USER, SYSTEM, ANSWER], "late_system"),
    ([{"role": "tool", "content": "x"}, ANSWER], "role"), ([{"role": "user"}, ANSWER], "not_messages"), (["hi"], "not_messages"),
    (5, "not_messages"), ([], "not_messages"), (None, "empty")])
def test_what_is_wrong_with_chats_is_named(tables: Tables, messages: object, expected: list[str] | str) -> None:
    usual = [{"messages": [{"role": "user", "content": f"say {at}"}, ANSWER]} for at in range(3)]
    table = table_of(tables, [{"messages": messages}, *usual])
    chosen = FineTunePlan("chat", table.id, {"messages": "messages"}, ModelSpec())
    assert found(check(table, chosen)) == ([(expected, 1, "messages")] if isinstance(expected, str) else [])
    first = prepare(table, chosen).train[0]
    assert isinstance(first, Dialogue)
    assert [message.role for message in first.messages] == (expected if isinstance(expected, list) else ["user", "assistant"])


def test_columns_become_chats_and_thoughts_are_kept_apart(tables: Tables) -> None:
    table = table_of(tables, [{"instruction": "say it", "input": "loudly", "output": "<think>\nhm\n</think>\n\nIT"},
                              {"instruction": "say it", "input": "", "output": "it"}])
    found_examples = prepare(table, plan(table, "chat")).train
    assert [example.messages for example in found_examples if isinstance(example, Dialogue)] == [
        (Message("user", "say it\n\nloudly"), Message("assistant", "IT", "hm")), (Message("user", "say it"), Message("assistant", "it"))]


def test_thoughts_alone_are_no_answer(tables: Tables, tokenizer: PreTrainedTokenizerBase) -> None:
    table = table_of(tables, [{"prompt": f"say {at}", "completion": "<think>hm</think>" if at == 1 else "x"} for at in range(3)])
    assert found(check(table, plan(table, "chat"), tokenizer)) == [("no_answer", 2, "completion")]


# --- lengths ---

def test_texts_are_cut_and_chats_refused_where_they_are_too_long(tables: Tables, tokenizer: PreTrainedTokenizerBase) -> None:
    short = TrainingOptions(max_tokens=20)
    texts = table_of(tables, [{"text": "the " * 30, "label": "a"}, *GOOD])
    usual = [{"prompt": f"say {at}", "completion": "x"} for at in range(9)]
    chats = table_of(tables, [{"prompt": "the " * 30, "completion": "x y"}, *usual])
    cut = check(texts, plan(texts, "text-classification", options=short), tokenizer)
    refused = check(chats, plan(chats, "chat", options=short), tokenizer)
    assert (found(cut), cut.left_out, cut.unit) == ([("cut", 1, "text")], 0, "tokens")
    assert (found(refused), refused.left_out) == ([("too_long", 1, "prompt")], 1)
    assert refused.problems[0].message == "Row 1, column “prompt”: it has 39 tokens, and at most 20 are read."
    assert 1 not in [example.row for example in prepare(chats, plan(chats, "chat", options=short), tokenizer).train]
    assert check(chats, plan(chats, "chat", options=short)).unit == "characters"


def test_the_text_before_every_chat_counts_too(tables: Tables, tokenizer: PreTrainedTokenizerBase) -> None:
    """Templates may write long rules of their own there."""
    wordy = copy.copy(tokenizer)
    wordy.chat_template = "{{- 'be kind ' * 200 -}}" + str(tokenizer.chat_template)
    table = table_of(tables, [{"prompt": f"say {at}", "completion": "x"} for at in range(3)])
    assert check(table, plan(table, "chat", options=TrainingOptions(max_tokens=300)), wordy).totals["too_long"] == 3


def test_the_report_counts_lengths_and_labels(tables: Tables) -> None:
    table = table_of(tables, GOOD)
    report = check(table, plan(table, "text-classification", test_share=0.2))
    assert report.labels == {"a": 10, "b": 10}
    assert sum(count for _, count in report.lengths) == 20
    assert report.longest == len("text number 10") < report.lengths[-1][0]
    assert (report.train, report.validation) == (16, 4)


# --- preparing ---

def test_labels_are_in_their_own_order(tables: Tables) -> None:
    numbers = table_of(tables, [{"text": f"t {at}", "label": label} for at, label in enumerate([10, 9, 2, 10, 9, 2])])
    words = table_of(tables, [{"text": f"t {at}", "label": label} for at, label in enumerate(["no", "yes", "no", "maybe"])])
    chosen = {"text": "text", "label": "label"}
    first, second = (prepare(table, FineTunePlan("text-classification", table.id, chosen, ModelSpec(), test_share=0))
                     for table in (numbers, words))
    assert (first.labels, second.labels) == (("2", "9", "10"), ("maybe", "no", "yes"))
    assert [example.label for example in first.train if isinstance(example, ClassifiedText)] == [2, 1, 0, 2, 1, 0]
    assert first.digest == numbers.digest


def test_a_second_table_is_measured_and_its_leaks_and_new_labels_are_named(tables: Tables) -> None:
    table = table_of(tables, GOOD)
    other = table_of(tables, [{"text": "Text  number 3", "label": "b"}, {"text": "new", "label": "c"},
                              {"text": "newer", "label": "a"}])
    chosen = plan(table, "text-classification", validation_table=other.id, test_share=0)
    report = check(table, chosen, validation=other)
    assert found(report) == [("unknown_label", 2, "label"), ("leak", 1, "")]
    assert all(problem.is_validation for problem in report.problems if problem.kind != "few")
    assert report.problems[0].message.startswith("Row 2 of the second table, column “label”: the label “c”")
    assert [example.row for example in prepare(table, chosen, validation=other).validation] == [1, 3]
    with pytest.raises(InvalidRequest, match="validation_table"):
        check(table, chosen)


@pytest.mark.parametrize(("columns", "says"), [
    ({"text": "text"}, "no column for label"), ({"text": "text", "label": "text"}, "'text' for two parts"),
    ({"text": "text", "label": "x"}, "column is 'x'")])
def test_columns_that_are_missing_are_refused(tables: Tables, columns: dict[str, str], says: str) -> None:
    table = table_of(tables, GOOD)
    with pytest.raises(InvalidRequest, match=says):
        check(table, FineTunePlan("text-classification", table.id, columns, ModelSpec()))


def test_a_table_most_of_whose_rows_are_wrong_is_refused_with_the_first_of_them(tables: Tables) -> None:
    table = table_of(tables, [*GOOD[:2], *({"text": "", "label": "a"} for _ in range(3))])
    with pytest.raises(InvalidRequest, match="3 of 5 rows with errors; Row 3, column “text”: the cell is empty"):
        prepare(table, FineTunePlan("text-classification", table.id, {"text": "text", "label": "label"}, ModelSpec()))
    same = table_of(tables, [{"text": f"t {at}", "label": "a"} for at in range(9)])
    with pytest.raises(InvalidRequest, match="labels"):
        prepare(same, FineTunePlan("text-classification", same.id, {"text": "text", "label": "label"}, ModelSpec()))


def test_many_problems_are_counted_and_the_first_are_listed(tables: Tables) -> None:
    table = tables.read("rows.csv", b"text,label\n" + b",a\n" * 200 + b"x,a\ny,b\n" * 200)
    report = check(table, plan(table, "text-classification"))
    assert report.totals["empty"] == 200
    assert [problem.row for problem in report.problems if problem.kind == "empty"] == [*range(1, 51)]


def test_every_kind_of_problem_has_a_sentence() -> None:
    names = "found words tags answer name tokens most label start place first count rare rare_count".split()
    for kind, sentence in {**ERRORS, **WARNINGS}.items():
        message = Problem(kind, 3, "text", dict.fromkeys(names, 1234)).message
        assert message.startswith("Row 3, column “text”: ")
        assert message.count("1,234") == sentence.count("{")


@pytest.mark.parametrize(("labels", "expected"), [
    (("①", "②"), ("①", "②")), (("²", "³"), ("²", "³")), (("--5", "1"), ("--5", "1")), (("10", "-9"), ("-9", "10"))])
def test_labels_that_only_look_like_numbers_are_sorted_as_texts(tables: Tables, labels: tuple[str, str], expected: tuple[str, str]) -> None:
    table = table_of(tables, [{"text": f"text {at}", "label": labels[at % 2]} for at in range(4)])
    assert prepare(table, plan(table, "text-classification")).labels == expected


def test_an_answer_is_found_where_its_cell_says_also_with_spaces_around_it(tables: Tables, tokenizer: PreTrainedTokenizerBase) -> None:
    usual = {"question": "where?", "context": "a cat, a cat in paris"}
    rows = [{**usual, "answers": {"text": [" cat "], "answer_start": [8]}}, {**usual, "question": "?", "answers": "paris "},
            {**usual, "question": "who?", "answers": "cat", "answer_start": "9" * 5000}]
    table = table_of(tables, rows)         # type: ignore[arg-type]
    chosen = replace(plan(table, "question-answering"), columns={
        **plan(table, "question-answering").columns, "answer_start": "answer_start"})
    train = prepare(table, chosen, tokenizer).train
    assert [each.answers for each in train if isinstance(each, Answered)] == [(("cat", 9),), (("paris", 16),), (("cat", 2),)]


def test_an_answer_that_no_part_of_its_context_holds_leaves_its_row_out(tables: Tables, tokenizer: PreTrainedTokenizerBase) -> None:
    context = " ".join(f"{at} cats" for at in range(300))
    short, long = context[50:80], context[400:1000]
    table = table_of(tables, [{"question": f"where {at}?", "context": context, "answers": answer}
                              for at, answer in enumerate((long, short, short))])
    chosen = plan(table, "question-answering", options=TrainingOptions(max_tokens=64))
    assert found(check(table, chosen, tokenizer)) == [("answer_too_long", 1, "answers")]
    train = prepare(table, chosen, tokenizer).train
    assert [any(row.start or row.end for row in Encoder(tokenizer, "question-answering").encode(each, 64)) for each in train] == [True] * 2


def test_lists_that_the_trainer_would_not_read_leave_their_rows_out(tables: Tables, tmp_path: Path) -> None:
    long = {"words": ["a"] * 10_001, "tags": ["O"] * 10_001}
    usual = [{"words": ["b", str(at)], "tags": ["O", "O"]} for at in range(3)]
    table = table_of(tables, [long, *usual])
    chosen = FineTunePlan("token-classification", table.id, {"words": "words", "tags": "tags"}, ModelSpec())
    assert found(check(table, chosen)) == [("too_many", 1, "words")]
    prepared = prepare(table, chosen)
    write_job(tmp_path, TrainJob(chosen, "", "cpu", prepared.labels), prepared)
    assert read_examples(tmp_path, chosen.task) == (prepared.train, prepared.validation)
    few = [{"messages": [{**USER, "content": str(at)}, ANSWER]} for at in range(3)]
    chats = table_of(tables, [{"messages": [USER, ANSWER] * 5001}, *few])
    assert found(check(chats, FineTunePlan("chat", chats.id, {"messages": "messages"}, ModelSpec()))) == [("too_many", 1, "messages")]


# --- the split ---

def test_the_split_keeps_shares_of_labels_and_depends_on_the_seed_alone() -> None:
    examples = [ClassifiedText(at, f"text {at}", 0 if at % 10 else 1) for at in range(1000)]
    keys = [*map(key_of, examples)]
    train, held = split(examples, keys, 0.2, seed=1)
    assert Counter(example.label for example in held if isinstance(example, ClassifiedText)) == {0: 180, 1: 20}
    assert sorted([*train, *held], key=lambda example: example.row) == examples
    assert split(examples, keys, 0.2, seed=1) == (train, held)
    assert split(examples, keys, 0.2, seed=2) != (train, held)
    assert split(examples, keys, 0.0, seed=1) == (tuple(examples), ())


def test_copies_and_chats_with_the_same_question_stay_on_one_side() -> None:
    texts = [PlainText(at, f"Text {at % 100}" + " " * (at % 3)) for at in range(400)]
    chats = [Dialogue(at, (Message("user", f"question {at % 50}"), Message("assistant", str(at)))) for at in range(200)]
    for examples in (texts, chats):
        train, held = split(examples, [*map(key_of, examples)], 0.25, seed=0)
        assert abs(len(held) - len(examples) // 4) <= 4         # copies of one text
        assert not {key_of(example) for example in train} & {key_of(example) for example in held}


def test_few_examples_are_all_trained_and_a_rare_label_too() -> None:
    few = [ClassifiedText(at, f"text {at}", at % 2) for at in range(6)]
    assert split(few, [*map(key_of, few)], 0.1, 0) == (tuple(few), ())
    rare = [ClassifiedText(at, f"text {at}", int(at == 7)) for at in range(40)]
    assert all(rare[7] in split(rare, [*map(key_of, rare)], 0.5, seed)[0] for seed in range(5))


