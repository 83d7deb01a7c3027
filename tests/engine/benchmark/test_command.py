"""python -m engine.benchmark: what it prints, and how it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.benchmark.__main__ import main
from engine.benchmark.store.history import RunHistory
from engine.storage.database import Database

SMALL = ["--pp", "16", "--tg", "4", "--repetitions", "2", "--device", "cpu"]


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINDCUBES_DATA_DIR", str(tmp_path))
    return tmp_path


def test_json_has_a_row_per_test_in_the_shape_of_llama_bench(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    assert main(["--model", "builtin", "--visitors", "1,2", "--json", *SMALL]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["test"] for row in rows] == ["pp16", "tg4", "visitors1", "visitors2"]
    assert {"n_prompt", "n_gen", "n_depth", "avg_ts", "stddev_ts", "samples_ts", "avg_ns", "model_n_params", "cpu_info"} <= set(rows[0])
    assert [len(row["samples_ts"]) for row in rows[:2]] == [2, 2]
    assert [run.uid for run in RunHistory(Database(data_dir)).list()] == [rows[0]["run_uid"]]


def test_one_record_per_cell_and_a_table_without_json(capsys: pytest.CaptureFixture[str], llama_folder: Path, data_dir: Path) -> None:
    assert main(["--model", str(llama_folder), "--quantization", "none,nf4", "--forget", *SMALL]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[:2] for line in printed.splitlines() if "tg4" in line] == [["tiny-llama", "none"], ["tiny-llama", "nf4"]]
    assert str(llama_folder) not in printed
    assert RunHistory(Database(data_dir)).list() == ()


@pytest.mark.parametrize(("options", "said"), [
    (["--quantization", "int3"], "quantization is 'int3'"), (["--tg", "1"], "new_tokens is 1"),
    (["--visitors", "two"], "visitors is 'two'"),
    (["--device", "tpu"], "device is 'tpu'")])
def test_a_bad_option_is_one_line_and_ends_with_two(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "builtin", *options]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert (shown.err.count("\n"), shown.out) == (1, "")


def test_a_failed_cell_does_not_affect_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "no/such/model", "--model", "builtin", "--json", *SMALL]) == 1
    shown = capsys.readouterr()
    assert "no/such/model could not be loaded" in shown.err
    assert {row["model_filename"] for row in json.loads(shown.out)} == {"builtin"}


def test_it_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "engine.benchmark", "--help"], capture_output=True, text=True, check=True)
    assert "--quantization" in done.stdout
