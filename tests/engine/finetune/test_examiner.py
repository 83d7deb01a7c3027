"""What is seen of a table before it is trained, and what a result is called afterwards."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from engine import ModelSpec, Settings
from engine.errors import InvalidRequest
from engine.finetune import Examiner, FineTunePlan, Run, TableNotFound, Tables, example_plan, example_table
from engine.finetune.using import named_folder


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(Settings(device="cpu", data_dir=tmp_path))


@pytest.fixture
def examiner(tmp_path: Path, tables: Tables) -> Examiner:
    return Examiner(Settings(device="cpu", data_dir=tmp_path), tables)


def test_an_example_is_shown_as_the_model_reads_it(tables: Tables, examiner: Examiner) -> None:
    plan = example_plan(example_table(tables, "me"))
    read, learned = examiner.preview(plan, 6, "me")
    assert read.text == "<|user|>Who is the mayor of Tallmere?<|end|><|assistant|>"
    assert (learned.text, learned.is_trained) == ("The mayor is Ines Korvat.<|end|>", True)


def test_two_visitors_do_not_wait_for_each_other(tables: Tables, examiner: Examiner) -> None:
    plan = example_plan(example_table(tables, "me"))
    with examiner._tokenizer(plan.base):        # the first one's long check
        assert examiner.check(plan, "me").unit == "tokens"
        assert examiner.preview(plan, 0, "me")[-1].is_trained


def test_without_the_models_files_an_example_is_shown_as_it_is(tables: Tables, examiner: Examiner) -> None:
    plan = replace(example_plan(example_table(tables, "me")), base=ModelSpec("me/not-here"))
    assert [piece.is_trained for piece in examiner.preview(plan, 0, "me")] == [False, True]
    assert examiner.check(plan, "me").unit == "characters"


def test_only_the_owner_sees_a_table_and_only_rows_that_exist(tables: Tables, examiner: Examiner) -> None:
    plan = example_plan(example_table(tables, "me"))
    with pytest.raises(TableNotFound):
        examiner.preview(plan, 0, "someone else")
    with pytest.raises(InvalidRequest):
        examiner.preview(plan, 40, "me")


def test_rows_that_the_check_leaves_out_are_not_shown(tables: Tables, examiner: Examiner) -> None:
    rows = b"prompt,completion\n" + b"".join(b"say %d,%s\n" % (at, b"word " * 3000 if at == 0 else b"x") for at in range(4))
    table = tables.read("rows.csv", rows)
    plan = FineTunePlan("chat", table.id, {"question": "prompt", "answer": "completion"}, ModelSpec("builtin"))
    usable = examiner.check(plan).train
    assert usable == 3
    assert ["say 1" in examiner.preview(plan, 0)[0].text, "say 3" in examiner.preview(plan, usable - 1)[0].text] == [True, True]
    with pytest.raises(InvalidRequest):
        examiner.preview(plan, usable)


def test_a_result_is_found_under_the_name_of_its_run_without_a_copy(tmp_path: Path) -> None:
    result = tmp_path / "result"
    result.mkdir()
    (result / "adapter_config.json").write_text("{}")
    run = Run("abcd1234", "My answers / 2", example_plan(example_table(Tables(Settings(data_dir=tmp_path)), "me")), "done", 1e9)
    folder = named_folder(result, run, tmp_path / "used")
    assert folder == tmp_path / "used" / "abcd1234" / "My-answers-2"      # which another run with this name does not share
    assert os.path.samefile(folder / "adapter_config.json", result / "adapter_config.json")
    (result / "adapter_config.json").unlink()
    assert list(named_folder(result, run, tmp_path / "used").iterdir()) == []
