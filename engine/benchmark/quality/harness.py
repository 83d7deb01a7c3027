"""lm-evaluation-harness as an optional library, on the model that is loaded already: nothing is loaded a second time.

`pip install -r requirements-eval.txt`. Tasks by name come from the Hub; a folder of task files works without it. Tasks that run a
model's programs are refused by lm-eval itself (coding.py runs those in a sandbox), metrics that are programs of the Hub here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...background import JobStopped
from ...compat.lm_eval import borrowed_model, replace_metric_loader
from ...errors import EngineError, InvalidRequest, MissingLibrary
from ..measure.control import Control, MeasurementStep
from ..store.scores import Score

if TYPE_CHECKING:
    from ...runtime.active_model import ActiveModel
    from ...runtime.engine import Engine

HINT = "pip install -r requirements-eval.txt"
NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
MAX_NAMES = 20


def has_harness() -> bool:
    return find_spec("lm_eval") is not None


def checked_names(tasks: Sequence[str]) -> tuple[str, ...]:
    """Return the names, each once. Raises InvalidRequest for other strings, which lm-eval would read as paths or patterns.

    Whether such a task exists is known only to lm-eval.
    """
    for task in tasks:
        if not NAME.fullmatch(task):
            raise InvalidRequest("task", task[:100], "a name of letters, digits, _ and -")
    if len(tasks) > MAX_NAMES:
        raise InvalidRequest("tasks", f"{len(tasks)} names", f"at most {MAX_NAMES}")
    return tuple(dict.fromkeys(tasks))


def run_harness(engine: Engine, tasks: Sequence[str], control: Control | None = None, *, limit: int | None = None,
                folder: Path | None = None, few_shots: int | None = None) -> tuple[Score, ...]:
    """Scores of lm-eval's tasks. `folder`: custom task files instead of lm-eval's. Blocking; visitors wait while a batch is computed.

    Raises MissingLibrary, JobStopped, NoModelLoaded, EngineBusy, InvalidRequest (an unknown task), and EngineError if lm-eval fails.
    """
    if not has_harness():
        raise MissingLibrary("lm-eval", HINT)
    library: Any = import_module("lm_eval")
    replace_metric_loader(_refuse)
    control = control or Control()
    control.step(MeasurementStep("quality"))      # reading the list of all tasks takes seconds
    manager = import_module("lm_eval.tasks").TaskManager(include_path=str(folder) if folder else None, include_defaults=folder is None)
    names = checked_names(tasks)
    for task in names:
        if task not in manager.all_tasks:
            raise InvalidRequest("task", task, f"one that lm-eval knows{_similar(task, manager.all_tasks)}: see lm_eval ls tasks")
    with engine.using() as active_model:
        try:
            found = library.simple_evaluate(model=_adapter(active_model, control), tasks=list(names), limit=limit, num_fewshot=few_shots,
                                            task_manager=manager, bootstrap_iters=1_000, log_samples=False)
        except (JobStopped, EngineError):
            raise
        except Exception as error:      # a library that downloads, parses and runs third-party files may raise anything
            raise HarnessFailed(f"{type(error).__name__}: {str(error)[:300]}") from error
    return scores_of(found or {})


def _similar(task: str, known: Sequence[str]) -> str:
    found = get_close_matches(task, known, n=3)
    return f", such as {', '.join(found)}" if found else ""


class HarnessFailed(EngineError):
    def __init__(self, detail: str) -> None:
        super().__init__(f"lm-eval could not finish: {detail} Check that its data can be reached, or use a file of your own.")


def _refuse(name: str, *args: Any, **kwargs: Any) -> Any:
    """Refuse to load a metric; replaces `evaluate.load`, which downloads its source from the Hub and runs it."""
    raise HarnessFailed(f"the metric {name} is code from the Hub, which MindCubes does not run.")


def _adapter(active_model: ActiveModel, control: Control) -> Any:
    """Return lm-eval's model around the loaded one, which it uses exclusively only while it computes."""
    @contextmanager
    def turn() -> Iterator[None]:
        control.step(MeasurementStep("quality"))
        with active_model.alone():
            yield

    with active_model.alone() as loaded:
        return borrowed_model(loaded.model, loaded.tokenizer, active_model.window_tokens, turn)


def scores_of(found: dict[str, Any]) -> tuple[Score, ...]:
    """Return lm-eval's result: one score per task and metric that has a standard error or a number of samples."""
    scores: list[Score] = []
    for task, values in found.get("results", {}).items():
        samples = int(found.get("n-samples", {}).get(task, {}).get("effective", 0))
        is_higher = found.get("higher_is_better", {}).get(task, {})
        for key, value in values.items():
            metric, _, way = key.partition(",")
            if not isinstance(value, (int, float)) or isinstance(value, bool) or metric.endswith("_stderr") or not way:
                continue
            error = values.get(f"{metric}_stderr,{way}")
            scores.append(Score(task, metric if way == "none" else f"{metric} ({way})", float(value),
                                float(error) if isinstance(error, (int, float)) else 0.0, samples,
                                is_higher.get(metric, True) is not False, note="lm-eval"))
    return tuple(scores)
