"""The model card of a result: what was trained on what, how, with which results, in which environment. Markdown with front matter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from ..errors import gib
from ..hardware import Hardware
from ..models.resolve import is_path_like
from ..settings import BUILTIN
from .plan import HEADED
from .run import Metrics, Run

PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "tokenizers")
PIPELINES = {"text-classification": "text-classification", "question-answering": "question-answering",
             "token-classification": "token-classification", "chat": "text-generation", "text": "text-generation"}
NAMES = {"accuracy": "Accuracy", "precision": "Precision", "recall": "Recall", "f1": "F1", "matthews": "Matthews' correlation",
         "exact_match": "Exact match", "perplexity": "Perplexity", "loss": "Loss"}
METHODS = {"lora": "LoRA", "qlora": "QLoRA (4-bit NF4 base)", "full": "all weights"}


def shown_base(model: str) -> str:
    """The base as it is named to others: a folder of this machine by its name alone. The name can be given as a base again."""
    return model.replace("\\", "/").rstrip("/").rpartition("/")[2] if is_path_like(model) or model.startswith("/") else model


def model_card(run: Run, hardware: Hardware, *, is_merged: bool = False) -> str:
    plan, options = run.plan, run.plan.options
    base = "the built-in model of MindCubes" if plan.base.model == BUILTIN else shown_base(plan.base.model)
    is_adapter = plan.method != "full" and not is_merged
    created = datetime.fromtimestamp(run.created, UTC)
    settings = {
        "Method": METHODS[plan.method] + (f", rank {options.lora_rank}, alpha {options.lora_alpha}" if plan.method != "full" else ""),
        "Epochs": f"{options.epochs:g} ({run.step:,} of {run.total:,} steps)", "Learning rate": f"{options.learning_rate:g}, linear decay, "
        f"warm-up {options.warmup_share:.0%}", "Batch size": options.batch_size, "Longest example": f"{options.max_tokens} tokens",
        "Weight decay": f"{options.weight_decay:g}", "Optimizer": "AdamW", "Seed": options.seed,
        "Kept checkpoint": f"step {run.best_step}, the best on the held-back examples" if run.after else f"step {run.best_step}, the last"}
    data = {"Examples trained": f"{run.num_train:,}", "Examples held back": f"{run.num_validation:,}",
            "SHA-256 of the data file": f"`{run.digest}`" if run.digest else "unknown",
            "Columns": ", ".join(f"{role}: {column}" for role, column in plan.columns.items()) or "unknown"}
    where = {"Hardware": hardware.name, **{package: _version(package) for package in PACKAGES if _version(package)}}
    if run.measured:
        where["Most memory"] = gib(run.measured.peak_bytes)
        where["Time of training"] = f"{run.measured.seconds:,.0f} s"
    parts = [_front_matter(run, base, is_adapter), f"# {run.name}", _summary(run, base, is_adapter=is_adapter),
             "## Results", _results(run), "## Data", _table(data), "## Settings", _table(settings), "## Environment", _table(where),
             f"Trained on {created:%Y-%m-%d} with MindCubes. The script beside this card repeats the run."]
    return "\n\n".join(filter(None, parts)) + "\n"


def _front_matter(run: Run, base: str, is_adapter: bool) -> str:
    lines = [f"pipeline_tag: {PIPELINES[run.plan.task]}", f"library_name: {'peft' if is_adapter else 'transformers'}"]
    if "/" in base:
        lines.append(f"base_model: {json.dumps(base)}")
    return "---\n" + "\n".join(lines) + "\ntags:\n- mindcubes\n---"


def _summary(run: Run, base: str, *, is_adapter: bool) -> str:
    what = "A LoRA adapter for" if is_adapter else "A fine-tuned copy of"
    labels = f" Labels: {', '.join(run.labels)}." if run.plan.task in HEADED and run.labels else ""
    ending = {"early": " Training ended early, because the results on the held-back examples no longer improved.",
              "person": " Training was stopped before its end.", "time": " Training ended at its limit of time."}.get(run.stop_kind, "")
    return f"{what} {base}, trained for {PIPELINES[run.plan.task]}.{labels}{ending}"


def _results(run: Run) -> str:
    if run.after is None:
        return "The result was not measured." if run.num_validation else "No examples were held back, so nothing was measured."
    before = run.before
    rows = ["| On the held-back examples | Before | After |", "|---|---:|---:|"]
    rows += [f"| {NAMES.get(each.name, each.name)} | {_number(before, each.name)} | {_number(run.after, each.name)} |"
             for each in run.after.values]
    table = "\n".join(rows)
    if run.after.per_label:
        scores = [f"| {_cell(each.label)} | {each.precision:.3f} | {each.recall:.3f} | {each.f1:.3f} | {each.support:,} |"
                  for each in run.after.per_label]
        table += "\n\n" + "\n".join(["| Label | Precision | Recall | F1 | Examples |", "|---|---:|---:|---:|---:|", *scores])
    return table


def _number(metrics: Metrics | None, name: str) -> str:
    value = metrics.value(name) if metrics else None
    return "" if value is None else f"{value:,.2f}" if name == "perplexity" else f"{value:.3f}"


def _table(values: Mapping[str, object]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {_cell(str(value))} |" for name, value in values.items())])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
