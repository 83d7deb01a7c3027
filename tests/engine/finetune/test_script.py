"""The script of a run is one file that runs without MindCubes: with transformers and peft alone, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine import ModelSpec
from engine.finetune import Dialogue, Tables, prepare
from engine.finetune.job import TrainJob
from engine.finetune.plan import FineTunePlan, Task
from engine.finetune.script import script_of
from engine.formats.cells import cell_of

from .training import OPTIONS

ROWS: dict[Task, tuple[str, dict[str, str]]] = {
    "text-classification": ("text,label\n" + "".join(f"the {'quick' if at % 2 else 'lazy'} fox {at},{at % 2}\n" for at in range(12))
                            + "left out,\n",
                            {"text": "text", "label": "label"}),
    "token-classification": ("".join(json.dumps({"words": ["the", "fox", "jumps"], "tags": ["O", "B-A", "O"]}) + "\n" for _ in range(12)),
                             {"words": "words", "tags": "tags"}),
    "question-answering": (json.dumps([{"question": "Who?", "context": f"hello fox {at}", "answers": {"text": ["fox"], "answer_start": [6]}}
                                       for at in range(12)]), {"question": "question", "context": "context", "answers": "answers"}),
    "chat": ("question\tanswer\n" + "".join(f"Who is {at}?\tThe fox {at}\n" for at in range(12)),
             {"question": "question", "answer": "answer"}),
    "text": ("".join(json.dumps({"text": f"the quick brown fox {at} " * 9}) + "\n" for at in range(12)), {"text": "text"}),
}
SUFFIX = {"text-classification": "csv", "token-classification": "jsonl", "question-answering": "json", "chat": "tsv", "text": "jsonl"}


def written(task: Task, folder: Path, base: Path) -> Path:
    rows, columns = ROWS[task]
    (folder / f"{task}.{SUFFIX[task]}").write_text(rows, "utf-8")
    plan = FineTunePlan(task, "", columns, ModelSpec(str(base)), "lora", options=replace(OPTIONS, epochs=1, lora_rank=2), test_share=0.25)
    path = folder / f"{task.replace('-', '_')}.py"
    path.write_text(script_of(TrainJob(plan, str(base), "cpu", micro_batch=2), held_rows=(2, 5),
                              trained_rows=[at for at in range(1, 13) if at not in (2, 5)]), "utf-8")
    return path


def test_the_scripts_of_all_tasks_run_without_this_program(tmp_path: Path, gpt2_folder: Path) -> None:
    """All in one process, as importing the libraries takes most of the time."""
    scripts = [written(task, tmp_path, gpt2_folder) for task in ROWS]
    program = "import importlib, sys\n" + "".join(
        f"importlib.import_module({path.stem!r}).main({path.with_name(f'{task}.{SUFFIX[task]}').name!r}, 'result-{task}')\n"
        for task, path in zip(ROWS, scripts, strict=True)) + "print(sorted({'engine'} & set(sys.modules)))\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=170,
                          env={**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("[]")
    assert done.stdout.count("10 rows to train, 2 held back") == len(ROWS) - 1      # texts are trained in blocks
    for task in ROWS:
        assert (tmp_path / f"result-{task}" / "adapter_model.safetensors").is_file()
        assert (tmp_path / f"result-{task}" / "tokenizer.json").is_file()


@pytest.mark.parametrize("task", list(ROWS))
def test_a_script_holds_the_settings_of_the_run(tmp_path: Path, gpt2_folder: Path, task: Task) -> None:
    text = written(task, tmp_path, gpt2_folder).read_text("utf-8")
    assert "'held_back_rows': [2, 5]" in text
    assert "'learning_rate': 0.001" in text
    compile(text, "script", "exec")


def functions_of(task: Task, columns: dict[str, str], **changes: Any) -> dict[str, Any]:
    """What the script of a run defines."""
    found: dict[str, Any] = {"__name__": "script"}
    job = TrainJob(FineTunePlan(task, "", columns, ModelSpec("base"), options=OPTIONS), "", "cpu", micro_batch=2)
    exec(script_of(job, **changes), found)
    return found


def test_a_script_uses_the_rows_that_the_run_used() -> None:
    settings = functions_of("text-classification", {}, trained_rows=(1, 2, 5), held_rows=(4,))["SETTINGS"]
    assert (settings["left_out_rows"], settings["last_row"], settings["held_back_rows"]) == ([3], 5, [4])
    settings = functions_of("text-classification", {})["SETTINGS"]      # before a run
    assert (settings["left_out_rows"], settings["last_row"]) == ([], None)


def test_a_script_reads_cells_and_questions_as_the_run_did(tmp_path: Path, tables: Tables) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes('instruction,input,output\r\n"a\r\nb",x,y\r\n"line\u2028sep",,y\r\n'.encode())
    columns = {"question": "instruction", "input": "input", "answer": "output"}
    script = functions_of("chat", columns)
    rows = script["read_rows"](path)
    table = tables.read("rows.csv", path.read_bytes())
    assert [tuple(row.values()) for row in rows] == [tuple(cell.text for cell in cells) for cells in table.cells()]
    chats = prepare(table, FineTunePlan("chat", table.id, columns, ModelSpec())).train
    assert [script["messages_of"](row) for row in rows] == [
        [{"role": each.role, "content": each.content} for each in chat.messages] for chat in chats if isinstance(chat, Dialogue)]


def test_a_script_finds_an_answer_with_spaces_around_it() -> None:
    script = functions_of("question-answering", {"question": "question", "context": "context", "answers": "answers"})
    row = {"question": "where?", "context": "a cat in paris"}
    assert script["answer_of"]({**row, "answers": {"text": [" paris "], "answer_start": [8]}}) == (9, 14)
    assert script["answer_of"]({**row, "answers": "paris "}) == (9, 14)


@pytest.mark.parametrize(("value", "label"), [(True, "true"), (1.0, "1"), (2, "2"), (0.5, "0.5")])
def test_a_script_reads_labels_as_the_run_did(value: object, label: str) -> None:
    assert cell_of(value).text == label
    script = functions_of("text-classification", {"text": "text", "label": "label"})
    assert script["labels_of"]([{"label": value}]) == [label]


def test_a_script_trains_short_texts_and_measures_none_of_them() -> None:
    class Tokenizer:
        eos_token_id = 0

        def __call__(self, text: str) -> dict[str, list[int]]:
            return {"input_ids": [*map(ord, text)]}

    script = functions_of("text", {"text": "text"})
    train, held = (script["encode_all"]([{"text": text}], Tokenizer(), []) for text in ("a" * 70, "bc"))
    assert [row["input_ids"] for row in train] == [[97] * 64, [*[97] * 6, 0]]
    assert [row["input_ids"] for row in held] == [[98, 99, 0]]
