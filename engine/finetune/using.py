"""Puts a run's result to use: an adapter beside its loaded base, or a model of its own in the place of the loaded one."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

from ..errors import NotPermitted
from ..library.permissions import Visitor
from ..models.spec import ModelSpec
from ..runtime.engine import Engine
from .fine_tunes import FineTunes
from .job import used_results_folder
from .plan import HEADED
from .run import Run


def use_result(fine_tunes: FineTunes, run_id: str, visitor: Visitor) -> str:
    """Load the base if another model is loaded, and add the adapter; a model with a head of its own, or a full one, is loaded itself.

    Blocks. Returns the adapter's name for GenerationOptions.adapter; "" for a model of its own. Raises NotPermitted on a public page,
    whose visitors share what is loaded, FineTuneNotFound, InvalidRequest without a result, and what `Engine.load` raises.
    """
    engine, run = fine_tunes.engine, fine_tunes.get(run_id, visitor)
    if engine.settings.is_public:
        raise NotPermitted("On a public page a result is not loaded, because everyone would see it. Export it instead.")
    folder = named_folder(fine_tunes.result_folder(run_id, visitor), run, used_results_folder(engine.settings))
    plan, spec = run.plan, engine.spec
    task = plan.task if plan.task in HEADED else ""
    if plan.method == "full":
        _load(engine, ModelSpec(str(folder), task=task))
    elif task:
        _load(engine, replace(plan.base, adapter=str(folder), task=task))
    else:
        if spec is None or spec.model != plan.base.model or spec.task or engine.status().state not in ("ready", "asleep"):
            _load(engine, plan.base)
        return engine.add_adapter(str(folder))
    return ""


def named_folder(result: Path, run: Run, used: Path) -> Path:
    """The result in a folder with the run's name, which is what people choose it by, inside a folder of this run in `used`.

    Its files are the same, not copies of them.
    """
    plain = re.sub(r"[^\w.-]+", "-", run.name).strip("-.")[:60] or "result"
    folder = used / run.id / plain
    shutil.rmtree(folder.parent, ignore_errors=True)
    shutil.copytree(result, folder, copy_function=_link)
    return folder


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:     # a file system without links
        shutil.copy2(source, target)


def _load(engine: Engine, spec: ModelSpec) -> None:
    for _ in engine.load(spec):
        pass
