"""A program that repeats a run with transformers and peft alone: one Python file, for the data file that the run was made of.

It has the settings of the run, its labels and its held-back rows. Its losses are close and not equal: it draws another order of examples.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from pprint import pformat

from ..settings import BUILTIN
from .job import RESULT, TrainJob
from .plan import FineTunePlan

PARTS = Path(__file__).parent / "scripts"
BUILTIN_FOLDER = "engine/models/builtin"        # in the folder of MindCubes, where the script is run then
MOST_ROWS = 2000        # held-back rows that are listed; of more, the script draws its own share


def script_of(job: TrainJob, run_folder: Path | None = None, held_rows: Sequence[int] = (), base: str = "",
              trained_rows: Sequence[int] = ()) -> str:
    """`base`: how the base is named, if not as in the plan. `trained_rows`: all that were used and not held back, if they are known."""
    plan, options = job.plan, job.plan.options
    used = {*trained_rows, *(() if plan.validation_table else held_rows)} if trained_rows else set()
    last = max(used, default=0)
    base = base or (BUILTIN_FOLDER if plan.base.model == BUILTIN else plan.base.model)
    settings = {
        "base": base, "revision": job.base_revision or None,
        "task": plan.task, "method": plan.method, "columns": dict(plan.columns), "labels": list(job.labels),
        "held_back_rows": list(held_rows) if len(held_rows) <= MOST_ROWS and not plan.validation_table else [],
        "left_out_rows": sorted({*range(1, last + 1)} - used), "last_row": last or None,
        "test_share": plan.test_share, "epochs": options.epochs, "learning_rate": options.learning_rate, "batch_size": options.batch_size,
        "micro_batch": job.micro_batch, "max_tokens": options.max_tokens, "weight_decay": options.weight_decay,
        "warmup_share": options.warmup_share, "evaluations": options.evaluations, "seed": options.seed, "lora_rank": options.lora_rank,
        "lora_alpha": options.lora_alpha, "target_modules": _targets(run_folder)}
    return "\n".join([_heading(plan), f"SETTINGS = {pformat(settings, sort_dicts=False, width=120, compact=True)}", "",
                      *(_part(name) for name in ("begin", plan.task, "end"))])


def _heading(plan: FineTunePlan) -> str:
    libraries = "transformers torch accelerate" + (" peft" if plan.method != "full" else "") + \
        (" bitsandbytes" if plan.method == "qlora" else "")
    return (f'"""Repeats a fine-tuning run: python this_file.py DATA_FILE [FOLDER OF THE RESULT]\n\n'
            f'Needs: pip install {libraries} (and pandas for a Parquet file).\n"""\n')


def _part(name: str) -> str:
    return (PARTS / f"{name}.py.txt").read_text("utf-8").rstrip("\n") + "\n\n"


def _targets(run_folder: Path | None) -> object:
    """The layers that the run put its adapter on; by default those that peft calls all linear layers."""
    path = run_folder / RESULT / "adapter_config.json" if run_folder else None
    if path is None or not path.is_file():
        return "all-linear"
    found = json.loads(path.read_text("utf-8")).get("target_modules")
    return sorted(found) if isinstance(found, list) else found
