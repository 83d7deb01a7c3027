"""Runs saved, found, compared, exported and imported."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, ModelSpec, Quantization
from engine.benchmark.cells import CellPlan, measure_loaded
from engine.benchmark.measure.load import VisitorPlan
from engine.benchmark.measure.samples import Samples
from engine.benchmark.measure.speed import SpeedPlan
from engine.benchmark.store.exports import issue_report, read_runs, to_csv, to_json, to_markdown
from engine.benchmark.store.history import RunHistory, compare
from engine.benchmark.store.records import BenchmarkRun, public_name
from engine.benchmark.store.scores import accuracy
from engine.errors import InvalidRequest
from engine.storage.database import Database
from engine.storage.results import ResultFilter


@pytest.fixture(scope="module")
def run(llama_engine: Engine) -> BenchmarkRun:
    plan = CellPlan(SpeedPlan(prompt_tokens=16, new_tokens=4, repetitions=2),
                    VisitorPlan(levels=(1, 2), prompt_tokens=8, new_tokens=4, requests=1))
    return measure_loaded(llama_engine, plan)


@pytest.fixture
def history(tmp_path: Path) -> RunHistory:
    return RunHistory(Database(tmp_path))


def variant(run: BenchmarkRun, uid: str, *, factor: float = 1.0, **changes: Any) -> BenchmarkRun:
    assert run.speed is not None
    write = Samples(tuple(value * factor for value in run.speed.write.values))
    return replace(run, uid=uid, speed=replace(run.speed, write=write), **changes)


def test_a_record_names_everything_that_its_numbers_depend_on(run: BenchmarkRun, llama_folder: Path) -> None:
    assert run.speed is not None
    assert run.share is not None
    assert (run.model.model, run.model.dtype, run.model.quantization, run.model.lane) == ("tiny-llama", "float32", "none", "batched")
    assert run.model.weight_bytes > 4 * run.model.parameters * 0.9
    assert run.model.attention
    assert min(run.load_s or 0, run.load_peak_bytes or 0, run.environment.cores, run.at) > 0
    assert all((run.environment.cpu, run.environment.python, run.environment.torch, run.environment.transformers))
    assert run.share.matrix_flops > 0
    assert run.share.copy_bytes_per_second > 0


def test_a_saved_run_is_read_back_unchanged(history: RunHistory, run: BenchmarkRun) -> None:
    scored = replace(run, scores=(accuracy("task", "accuracy", [True, False]),))
    history.add([scored])
    assert history.get(run.uid) == scored


def test_a_run_is_saved_once(history: RunHistory, run: BenchmarkRun) -> None:
    assert (history.add([run]), history.add([run])) == (1, 0)


def test_filters_find_the_matching_runs(history: RunHistory, run: BenchmarkRun) -> None:
    nf4 = variant(run, "b" * 32, model=replace(run.model, quantization=Quantization.NF4, model="Org/Other"), at=run.at + 1)
    foreign = variant(run, "c" * 32, origin="laptop", sweep="s1", at=run.at + 2)
    history.add([run, nf4, foreign])
    assert history.list() == (foreign, nf4, run)
    assert history.list(ResultFilter(text="other")) == (nf4,)
    assert history.list(ResultFilter(quantizations=("nf4",))) == (nf4,)
    assert history.list(ResultFilter(is_local=False)) == (foreign,)
    assert history.list(ResultFilter(sweep="s1")) == (foreign,)
    assert history.list(ResultFilter(machines=("another",))) == ()
    assert history.list(ResultFilter(since=run.at + 1), limit=1) == (foreign,)


def test_a_deleted_run_is_gone(history: RunHistory, run: BenchmarkRun) -> None:
    history.add([run])
    assert history.delete([run.uid, "unknown"]) == 1
    with pytest.raises(InvalidRequest, match="may have been deleted"):
        history.get(run.uid)


def test_an_export_can_be_imported_elsewhere(history: RunHistory, run: BenchmarkRun, tmp_path: Path) -> None:
    history.add([run])
    other = RunHistory(Database(tmp_path / "other"))
    taken = other.import_runs(history.export([run.uid], "json"), "my server")
    assert taken == (replace(run, origin="my server"),)
    assert other.list() == taken


def test_importing_our_own_export_changes_nothing(history: RunHistory, run: BenchmarkRun) -> None:
    history.add([run])
    history.import_runs(history.export([run.uid], "json"), "twin")
    assert history.list() == (run,)


def _changed(run: BenchmarkRun, change: Any) -> str:
    rows = json.loads(to_json([run]))
    change(rows[0]["run"])
    return json.dumps(rows)


@pytest.mark.parametrize(("change", "named"), [
    (lambda run: run.update(version=99), "newer MindCubes"),
    (lambda run: run.update(uid="../../x"), "uid of"),
    (lambda run: run.update(uid=5), "uid of"),
    (lambda run: run["model"].update(parameters="many"), "parameters of model"),
    (lambda run: run["model"].update(quantization="int3"), "quantization of model"),
    (lambda run: run["speed"]["write"].update(values=["fast"]), "value 1 of write"),
    (lambda run: run["speed"]["write"].update(values=[1.0] * 10_001), "at most 10,000"),
    (lambda run: run["speed"]["plan"].update(repetitions=0), "repetitions of run"),
    (lambda run: run.pop("environment"), "environment of"),
    (lambda run: run.update(at=1e18), "at of"),
    (lambda run: run["model"].update(model="x" * 100_001), "at most 100,000"),
])
def test_an_invalid_member_of_an_import_is_named(run: BenchmarkRun, change: Any, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        read_runs(_changed(run, change), "x")


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1]", "not json", '[{"n_prompt": 512}]', "[" * 100_000, "[" + " " * 20_000_001 + "]"])
def test_a_file_that_is_not_an_export_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_runs(text, "x")


def test_csv_has_a_line_per_test(run: BenchmarkRun) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv([run]))))
    assert [row["test"] for row in rows] == ["pp16", "tg4", "visitors1", "visitors2"]
    assert all(float(row["avg_ts"]) > 0 for row in rows)


def test_csv_contains_no_formulas(run: BenchmarkRun) -> None:
    hostile = replace(run, model=replace(run.model, model="=1+1"))
    assert "'=1+1" in to_csv([hostile])


def test_markdown_is_the_table_of_llama_bench(run: BenchmarkRun) -> None:
    lines = to_markdown([run]).splitlines()
    assert lines[0] == "| model | size | params | backend | test | t/s |"
    assert lines[2].startswith("| tiny-llama float32 | 0.00 GiB |")
    assert "± " in lines[2]


def test_an_issue_report_names_the_machine(run: BenchmarkRun) -> None:
    assert f"- torch: {run.environment.torch}" in issue_report([run])


def test_ratios_and_differences_of_two_runs(run: BenchmarkRun) -> None:
    faster = variant(run, "d" * 32, factor=2.0, environment=replace(run.environment, torch="9.9"))
    found = compare(run, faster)
    ratios = {ratio.name: ratio for ratio in found.ratios}
    assert ratios["write"].ratio == pytest.approx(2.0)
    assert ratios["write"].is_better
    assert ratios["load_s"].ratio == 1.0
    assert not ratios["load_s"].is_better
    assert [(each.field, each.second) for each in found.differences] == [("environment.torch", "9.9")]


def test_lower_times_are_better(run: BenchmarkRun) -> None:
    found = compare(run, replace(run, load_s=(run.load_s or 1) / 4))
    assert next(ratio for ratio in found.ratios if ratio.name == "load_s").is_better


@pytest.mark.parametrize(("model", "shown"), [
    ("builtin", "builtin"), ("org/name", "org/name"), ("/home/ada/secret/model", "model"), ("./here", "here")])
def test_records_do_not_reveal_the_path_of_a_folder(model: str, shown: str) -> None:
    assert public_name(ModelSpec(model)) == shown


def test_an_import_of_nothing_but_zeros_can_be_exported_again(run: BenchmarkRun) -> None:
    def empty(values: dict[str, Any]) -> None:
        values["speed"]["prompt"]["values"] = [0.0, 1e-300]
        values["crowds"][0]["requests"] = 0

    taken = read_runs(_changed(run, empty), "x")
    assert to_csv(taken)
    assert to_json(taken)
    assert to_markdown(taken)
