"""What the Benchmark tab can begin: each form's button, with what was typed checked. What goes wrong is told beside it.

Nothing that comes from the page is trusted: who may measure is decided in the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import BUILTIN, Benchmarks, EngineError, GenerationOptions, Library, Quantization
from engine.benchmark import CellPlan, Contender, CostPlan, QualityPlan, SpeedPlan, SweepPlan, VisitorPlan, has_harness, read_task
from engine.errors import NoModelLoaded
from engine.library import Visitor

from ..shared.errors import PageError
from .session import BenchmarkSession

LEVELS = (1, 2, 4, 8, 16)
DEPTHS = (0, 512, 2048, 8192, 32768)
QUALITIES = ("perplexity", "cost", "task", "names")
COMPARISON_TOKENS = 256
MAX_VALUE_CHARS, MAX_FILE_CHARS = 40_000, 20_000_000


@dataclass(frozen=True)
class Bench:
    """What every act works with, and for whom. `loaded`: the model that is in memory, "" for none."""

    benchmarks: Benchmarks
    library: Library
    visitor: Visitor
    loaded: str = ""

    @property
    def may_edit(self) -> bool:
        """Whether this visitor may change what everybody sees."""
        return self.library.permissions.is_operator(self.visitor)

    @property
    def models(self) -> list[str]:
        """Everything that can be loaded without a download."""
        found = [BUILTIN, *(stored.repo for stored in self.library.on_disk() if stored.is_complete),
                 *(saved.model for saved in self.library.saved()), *([self.loaded] if self.loaded else [])]
        return list(dict.fromkeys(found))


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


@contextmanager
def told(session: BenchmarkSession, place: str) -> Iterator[None]:
    try:
        yield
    except (PageError, EngineError) as error:
        session.problems[place] = error


def start_speed(bench: Bench, session: BenchmarkSession, sizes: Sizes, levels: Sequence[Any]) -> None:
    session.problems.clear()
    with told(session, "speed"):
        chosen = tuple(level for level in LEVELS if level in _numbers(levels))
        crowd = VisitorPlan(chosen, *_crowd_sizes(sizes)) if chosen else None
        bench.benchmarks.start_speed(CellPlan(sizes.plan(), crowd), bench.visitor)
        session.shown = ""


def _crowd_sizes(sizes: Sizes) -> tuple[int, int]:
    """Shorter than the measurement of one: sixteen at once should not take an afternoon."""
    plan = sizes.plan()
    return min(plan.prompt_tokens, 128), min(plan.new_tokens, 64)


def start_sweep(bench: Bench, session: BenchmarkSession, sizes: Sizes, models: Sequence[Any], quantizations: Sequence[Any],
                depths: Sequence[Any], behaviour: str) -> None:
    session.problems.clear()
    with told(session, "sweep"):
        known = bench.models
        chosen = tuple(model for model in known if model in (models or ()))
        ways = tuple(each for each in Quantization if each.value in (quantizations or ()))
        contexts = tuple(depth for depth in DEPTHS if depth in _numbers(depths))
        if not (chosen and ways and contexts):
            raise PageError("bench.sweep.nothing")
        bench.benchmarks.start_sweep(SweepPlan(chosen, ways, contexts, sizes.plan(), visitors=behaviour), bench.visitor)
        session.shown = ""


def start_quality(bench: Bench, session: BenchmarkSession, what: str, typed: str, limit: float | None = None) -> None:
    """`limit`: samples of each of lm-eval's tasks, None for all."""
    session.problems.clear()
    with told(session, "quality"):
        if what == "cost":
            bench.benchmarks.start_cost(_cost(bench, session, typed), bench.visitor)
        else:
            plan = _named(bench, typed, limit) if what == "names" else _asked(session, what, typed)
            bench.benchmarks.start_quality(plan, bench.visitor)
        session.shown = ""


def _cost(bench: Bench, session: BenchmarkSession, typed: str) -> CostPlan:
    text, _ = _source(session, typed)
    if not bench.loaded:
        raise NoModelLoaded()
    return CostPlan(bench.loaded, text)


def _asked(session: BenchmarkSession, what: str, typed: str) -> QualityPlan:
    text, name = _source(session, typed)
    return QualityPlan(task=read_task(name, text)) if what == "task" else QualityPlan(text=text)


def _named(bench: Bench, typed: str, limit: float | None) -> QualityPlan:
    names = typed[:MAX_VALUE_CHARS].replace(",", " ").split()
    if not names:
        raise PageError("bench.names.nothing")
    if bench.may_edit and not has_harness():        # who may not measure hears that instead
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


def start_blind_comparison(bench: Bench, session: BenchmarkSession, prompt: str, first: str, second: str) -> None:
    session.problems.clear()
    with told(session, "duel"):
        if not prompt.strip():
            raise PageError("bench.duel.nothing")
        contenders = (_contender(bench, first), _contender(bench, second))
        if contenders[0] == contenders[1]:
            raise PageError("bench.duel.same")
        options = GenerationOptions(max_new_tokens=COMPARISON_TOKENS)
        bench.benchmarks.start_blind_comparison(prompt.strip()[:MAX_VALUE_CHARS], contenders, options, bench.visitor)
        session.revealed = None


def _contender(bench: Bench, value: str) -> Contender:
    quantization, _, model = str(value or "").partition(" ")
    if model not in bench.models or quantization not in list(Quantization):
        raise PageError("error.gone")
    return Contender(model, Quantization(quantization))
