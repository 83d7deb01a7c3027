"""What the Benchmark tab can start: each form's button, with its input checked. A refusal is shown beside the form.

Nothing that comes from the page is trusted: the engine decides who may measure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import BUILTIN, EngineError, GenerationOptions, Quantization
from engine.benchmark import CellPlan, Contender, CostPlan, QualityPlan, SpeedPlan, SweepPlan, VisitorPlan, has_harness, read_task
from engine.errors import NoModelLoaded

from ..shared.context import Context
from ..shared.errors import PageError
from .session import BenchmarkSession, Place

LEVELS = (1, 2, 4, 8, 16)
DEPTHS = (0, 512, 2048, 8192, 32768)
QUALITIES = ("perplexity", "cost", "task", "names")
COMPARISON_TOKENS = 256
MAX_VALUE_CHARS, MAX_FILE_CHARS = 40_000, 20_000_000


@dataclass(frozen=True)
class Sizes:
    """As typed: None where a field is empty."""

    prompt: float | None
    new: float | None
    repetitions: float | None

    def plan(self) -> SpeedPlan:
        if not (self.prompt and self.new and self.repetitions):
            raise PageError("bench.sizes.missing")
        return SpeedPlan(int(self.prompt), int(self.new), repetitions=int(self.repetitions))


def may_edit(context: Context) -> bool:
    """Whether this visitor may change what everybody sees."""
    return context.library.permissions.is_operator(context.visitor)


def loadable_models(context: Context) -> list[str]:
    """Everything that can be loaded without a download; the loaded model is among them."""
    spec = context.engine.spec
    found = [BUILTIN, *(stored.repo for stored in context.library.on_disk() if stored.is_complete),
             *(saved.model for saved in context.library.saved()), *([spec.model] if spec else [])]
    return list(dict.fromkeys(found))


@contextmanager
def problems_shown(session: BenchmarkSession, place: Place) -> Iterator[None]:
    """What is refused inside the block is shown at `place`; earlier problems go."""
    session.problems.clear()
    try:
        yield
    except (PageError, EngineError) as error:
        session.problems[place] = error


def start_speed(context: Context, session: BenchmarkSession, sizes: Sizes, levels: Sequence[Any]) -> None:
    with problems_shown(session, "speed"):
        chosen = tuple(level for level in LEVELS if level in _numbers(levels))
        crowd = VisitorPlan(chosen, *_crowd_sizes(sizes)) if chosen else None
        context.benchmarks.start_speed(CellPlan(sizes.plan(), crowd), context.visitor)
        session.shown = ""


def _crowd_sizes(sizes: Sizes) -> tuple[int, int]:
    """Shorter than the measurement of one: sixteen at once should not take an afternoon."""
    plan = sizes.plan()
    return min(plan.prompt_tokens, 128), min(plan.new_tokens, 64)


def start_sweep(context: Context, session: BenchmarkSession, sizes: Sizes, models: Sequence[Any], quantizations: Sequence[Any],
                depths: Sequence[Any], behaviour: str) -> None:
    with problems_shown(session, "sweep"):
        known = loadable_models(context)
        chosen = tuple(model for model in known if model in (models or ()))
        ways = tuple(each for each in Quantization if each.value in (quantizations or ()))
        contexts = tuple(depth for depth in DEPTHS if depth in _numbers(depths))
        if not (chosen and ways and contexts):
            raise PageError("bench.sweep.nothing")
        context.benchmarks.start_sweep(SweepPlan(chosen, ways, contexts, sizes.plan(), visitors=behaviour), context.visitor)
        session.shown = ""


def start_quality(context: Context, session: BenchmarkSession, what: str, typed: str, limit: float | None = None) -> None:
    """`limit`: samples of each of lm-eval's tasks, None for all."""
    with problems_shown(session, "quality"):
        if what == "cost":
            context.benchmarks.start_cost(_cost(context, session, typed), context.visitor)
        else:
            plan = _named(context, typed, limit) if what == "names" else _asked(session, what, typed)
            context.benchmarks.start_quality(plan, context.visitor)
        session.shown = ""


def _cost(context: Context, session: BenchmarkSession, typed: str) -> CostPlan:
    text, _ = _source(session, typed)
    if context.engine.spec is None:
        raise NoModelLoaded()
    return CostPlan(context.engine.spec.model, text)


def _asked(session: BenchmarkSession, what: str, typed: str) -> QualityPlan:
    text, name = _source(session, typed)
    return QualityPlan(task=read_task(name, text)) if what == "task" else QualityPlan(text=text)


def _named(context: Context, typed: str, limit: float | None) -> QualityPlan:
    names = typed[:MAX_VALUE_CHARS].replace(",", " ").split()
    if not names:
        raise PageError("bench.names.nothing")
    if may_edit(context) and not has_harness():        # others are told that they may not measure
        raise PageError("bench.names.missing")
    return QualityPlan(harness_tasks=tuple(names), limit=None if limit is None else int(limit))


def _source(session: BenchmarkSession, typed: str) -> tuple[str, str]:
    """The uploaded file, else what was typed; and what it is called."""
    upload = session.upload
    text, name = (typed[:MAX_FILE_CHARS], "pasted") if upload is None else (read_file(upload), upload.stem)
    if not text.strip():
        raise PageError("bench.quality.nothing")
    return text, name


def read_file(path: Path) -> str:
    if path.stat().st_size > MAX_FILE_CHARS:
        raise PageError("bench.file.large")
    return path.read_text("utf-8", errors="replace")


def _numbers(values: Sequence[Any] | None) -> list[int]:
    return [int(value) for value in values or () if str(value).isdecimal()]


def start_blind_comparison(context: Context, session: BenchmarkSession, prompt: str, first: str, second: str) -> None:
    with problems_shown(session, "duel"):
        if not prompt.strip():
            raise PageError("bench.duel.nothing")
        contenders = (_contender(context, first), _contender(context, second))
        if contenders[0] == contenders[1]:
            raise PageError("bench.duel.same")
        options = GenerationOptions(max_new_tokens=COMPARISON_TOKENS)
        context.benchmarks.start_blind_comparison(prompt.strip()[:MAX_VALUE_CHARS], contenders, options, context.visitor)
        session.revealed = None


def _contender(context: Context, value: str) -> Contender:
    quantization, _, model = str(value or "").partition(" ")
    if model not in loadable_models(context) or quantization not in list(Quantization):
        raise PageError("error.gone")
    return Contender(model, Quantization(quantization))
