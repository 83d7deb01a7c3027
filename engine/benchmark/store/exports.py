"""Export of runs in llama-bench's format: one row per test, as JSON, CSV or Markdown; and import of our own JSON.

Keys are those of llama-bench (n_prompt, n_gen, n_depth, avg_ts, stddev_ts, samples_ts ...) where it has one. The first row of a run
contains the whole run under "run", which an import reads.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ...errors import InvalidRequest
from ...models.quantization import Quantization
from ...storage.formats import Value
from ..measure.load import ConcurrencyResult
from ..measure.samples import Samples
from ..measure.speed import Speed
from .records import BenchmarkRun, as_dict, run_of
from .scores import Score

MAX_IMPORT_CHARS = 20_000_000
MAX_IMPORT_RUNS = 2_000
ORIGIN_CHARS = 80
SLOWEST = 1e-9          # tokens per second: a lower value is an error, not a measurement


def rows_of(run: BenchmarkRun) -> list[dict[str, Any]]:
    """Return a row for pp, tg, each number of visitors and each score. Rates in tokens per second, `_ns` in nanoseconds, sizes in bytes."""
    shared = _shared(run)
    tests = [*(_speed_tests(run.speed) if run.speed else ()), *map(_crowd_test, run.crowds), *map(_score_test, run.scores)]
    return [{**shared, **test} for test in tests]


def _speed_tests(speed: Speed) -> tuple[dict[str, Any], dict[str, Any]]:
    plan = speed.plan
    depth = f" @ d{plan.depth_tokens}" if plan.depth_tokens else ""
    read = {"test": f"pp{plan.prompt_tokens}", "n_prompt": plan.prompt_tokens, "n_gen": 0, "n_depth": 0, "n_visitors": 1}
    written = {"test": f"tg{plan.new_tokens}{depth}", "n_prompt": 0, "n_gen": plan.new_tokens, "n_depth": plan.depth_tokens,
               "n_visitors": 1}
    return {**read, **_rates(speed.prompt, plan.prompt_tokens)}, {**written, **_rates(speed.write, plan.new_tokens)}


def _crowd_test(crowd: ConcurrencyResult) -> dict[str, Any]:
    return {
        "test": f"visitors{crowd.visitors}", "n_prompt": crowd.prompt_tokens, "n_gen": crowd.new_tokens // max(1, crowd.requests),
        "n_depth": 0, "n_visitors": crowd.visitors, **_rates(Samples((crowd.throughput,)), crowd.new_tokens),
        "ttft_p50_s": crowd.ttft_p50_s, "ttft_p95_s": crowd.ttft_p95_s, "goodput": crowd.goodput}


def _score_test(score: Score) -> dict[str, Any]:
    return {"test": f"{score.task} {score.metric}", "n_prompt": 0, "n_gen": 0, "n_depth": 0, "n_visitors": 1,
            "value": score.value, "stderr": score.stderr, "n_samples": score.samples}


def _shared(run: BenchmarkRun) -> dict[str, Any]:
    model, machine = run.model, run.environment
    return {
        "build_commit": machine.revision, "cpu_info": machine.cpu, "gpu_info": machine.gpu, "backends": f"torch {machine.torch}",
        "model_filename": model.model, "model_type": f"{model.model} {_label(run)}", "model_size": model.weight_bytes,
        "model_n_params": model.parameters, "n_threads": machine.cores, "type_k": model.dtype, "type_v": model.dtype,
        "quantization": model.quantization.value, "stored": model.stored, "lane": model.lane, "attention": model.attention,
        "run_uid": run.uid,
        "test_time": datetime.fromtimestamp(run.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def _label(run: BenchmarkRun) -> str:
    return run.model.dtype if run.model.quantization is Quantization.NONE else run.model.quantization.upper()


def _rates(rates: Samples, tokens: int) -> dict[str, Any]:
    times = Samples(tuple(1e9 * tokens / value for value in rates.values if value > SLOWEST))
    return {"avg_ns": round(times.mean), "stddev_ns": round(times.stdev), "avg_ts": rates.mean, "stddev_ts": rates.stdev,
            "samples_ns": [round(value) for value in times.values], "samples_ts": list(rates.values)}


def to_json(runs: Iterable[BenchmarkRun]) -> str:
    rows: list[dict[str, Any]] = []
    for run in runs:
        own = rows_of(run) or [_shared(run)]
        own[0] = {**own[0], "run": as_dict(run)}
        rows += own
    return json.dumps(rows, indent=1)


def to_csv(runs: Iterable[BenchmarkRun]) -> str:
    """One line per test; lists of samples are left out, as in llama-bench."""
    rows = [{key: value for key, value in row.items() if not isinstance(value, list)} for run in runs for row in rows_of(run)]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _safe(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _safe(value: object) -> object:
    """Escape a text that a spreadsheet would read as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def to_markdown(runs: Iterable[BenchmarkRun]) -> str:
    """The table that llama-bench prints: model, size, params, backend, test, t/s."""
    lines = ["| model | size | params | backend | test | t/s |", "| --- | ---: | ---: | --- | ---: | ---: |"]
    for run in runs:
        size, parameters = f"{run.model.weight_bytes / 2**30:.2f} GiB", f"{run.model.parameters / 1e6:,.2f} M"
        facts = f"| {_plain(run.model.model)} {_label(run)} | {size} | {parameters} | {run.environment.device} |"
        for row in rows_of(run):
            value = f"{row['avg_ts']:.2f} ± {row['stddev_ts']:.2f}" if "avg_ts" in row else f"{row['value']:.4f} ± {row['stderr']:.4f}"
            lines.append(f"{facts} {_plain(row['test'])} | {value} |")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def read_runs(text: str, origin: str) -> tuple[BenchmarkRun, ...]:
    """Runs of another machine from its JSON export; `origin` names them here. Raises InvalidRequest."""
    if len(text) > MAX_IMPORT_CHARS:
        raise InvalidRequest("the import", f"{len(text):,} characters", f"at most {MAX_IMPORT_CHARS:,} characters")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("the import", text[:60], "JSON that MindCubes exported") from error
    found = [row.get("run") for row in Value(parsed, "the import").items("row") if row.members().get("run") is not None]
    if not found:
        raise InvalidRequest("the import", "without runs", "JSON that MindCubes exported")
    if len(found) > MAX_IMPORT_RUNS:
        raise InvalidRequest("the import", f"{len(found):,} runs", f"at most {MAX_IMPORT_RUNS:,} runs")
    label = origin.strip()[:ORIGIN_CHARS] or "import"
    runs = (run_of(value) for value in found)
    return tuple(replace(run, origin=label, sweep="", cell="") for run in runs)


def issue_report(runs: Sequence[BenchmarkRun]) -> str:
    """Markdown to paste into an issue: the table, and the machine it was measured on."""
    machine = runs[0].environment if runs else None
    facts = "" if machine is None else "\n".join(
        f"- {name}: {value}" for name, value in (
            ("MindCubes", machine.revision), ("device", runs[0].machine), ("system", machine.system), ("driver", machine.driver),
            ("python", machine.python), ("torch", machine.torch), ("transformers", machine.transformers),
            ("bitsandbytes", machine.bitsandbytes)) if value)
    return f"{to_markdown(runs)}\n{facts}\n"
