"""What the Benchmark tab does: one function for each button, found by its name. Each changes the page's session.

Nothing that comes from the page is trusted: who may measure is decided in the engine, who may change the history here as there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import (
    BUILTIN,
    Benchmarks,
    CellPlan,
    Contender,
    CostPlan,
    EngineError,
    GenerationOptions,
    Library,
    NoModelLoaded,
    NotPermitted,
    QualityPlan,
    Quantization,
    SpeedPlan,
    SweepPlan,
    Visitor,
    VisitorPlan,
    duel_of,
    read_task,
)

from . import view
from .benchmark_session import BenchmarkSession
from .errors import PageError

LEVELS = (1, 2, 4, 8, 16)
DEPTHS = (0, 512, 2048, 8192, 32768)
QUALITIES = ("perplexity", "cost", "task")
MAX_VALUE_CHARS, MAX_FILE_CHARS, MAX_TICKED = 40_000, 20_000_000, 1_000
DUEL_TOKENS = 256
VOTES = {"1": 1.0, "0.5": 0.5, "0": 0.0}
EXPORTS = {"json": "json", "csv": "csv", "markdown": "md"}


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
        return self.library.may_delete(self.visitor)

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


Act = Callable[[Bench, BenchmarkSession, str], str]       # returns a letter for page.js, or ""
_ACTS: dict[str, Act] = {}


def perform(bench: Bench, session: BenchmarkSession, name: Any, value: Any) -> str:
    """Do what a button of the history or of the work in progress asks for; what goes wrong is shown there."""
    session.problems.clear()
    letter = ""
    with _told(session, "history"):
        act = _ACTS.get(str(name))
        if act is None:
            raise PageError("error.gone")
        letter = act(bench, session, str(value or "")[:MAX_VALUE_CHARS])
    return letter


@contextmanager
def _told(session: BenchmarkSession, place: str) -> Any:
    try:
        yield
    except (PageError, EngineError) as error:
        session.problems[place] = error


def _act(name: str) -> Callable[[Act], Act]:
    def register(act: Act) -> Act:
        _ACTS[name] = act
        return act
    return register


# --- starting ---

def start_speed(bench: Bench, session: BenchmarkSession, sizes: Sizes, levels: Sequence[Any]) -> None:
    session.problems.clear()
    with _told(session, "speed"):
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
    with _told(session, "sweep"):
        known = bench.models
        chosen = tuple(model for model in known if model in (models or ()))
        ways = tuple(each for each in Quantization if each.value in (quantizations or ()))
        contexts = tuple(depth for depth in DEPTHS if depth in _numbers(depths))
        if not (chosen and ways and contexts):
            raise PageError("bench.sweep.nothing")
        bench.benchmarks.start_sweep(SweepPlan(chosen, ways, contexts, sizes.plan(), visitors=behaviour), bench.visitor)
        session.shown = ""


def start_quality(bench: Bench, session: BenchmarkSession, what: str, typed: str) -> None:
    session.problems.clear()
    with _told(session, "quality"):
        text, name = _source(session, typed)
        if not text.strip():
            raise PageError("bench.quality.nothing")
        if what == "cost":
            if not bench.loaded:
                raise NoModelLoaded()
            bench.benchmarks.start_cost(CostPlan(bench.loaded, text), bench.visitor)
        else:
            plan = QualityPlan(task=read_task(name, text)) if what == "task" else QualityPlan(text=text)
            bench.benchmarks.start_quality(plan, bench.visitor)
        session.shown = ""


def _source(session: BenchmarkSession, typed: str) -> tuple[str, str]:
    """The uploaded file, else what was typed; and what it is called."""
    if session.upload is None:
        return typed[:MAX_FILE_CHARS], "pasted"
    return _read(session.upload), session.upload.stem


def _read(path: Path) -> str:
    if path.stat().st_size > MAX_FILE_CHARS:
        raise PageError("bench.file.large")
    return path.read_text("utf-8", errors="replace")


def _numbers(values: Sequence[Any] | None) -> list[int]:
    return [int(value) for value in values or () if str(value).isdecimal()]


@_act("drop-file")
def _drop_file(bench: Bench, session: BenchmarkSession, value: str) -> str:
    session.upload = None
    return ""


# --- blind comparison ---

def start_duel(bench: Bench, session: BenchmarkSession, prompt: str, first: str, second: str) -> None:
    session.problems.clear()
    with _told(session, "duel"):
        if not prompt.strip():
            raise PageError("bench.duel.nothing")
        contenders = (_contender(bench, first), _contender(bench, second))
        if contenders[0] == contenders[1]:
            raise PageError("bench.duel.same")
        options = GenerationOptions(max_new_tokens=DUEL_TOKENS)
        bench.benchmarks.start_duel(prompt.strip()[:MAX_VALUE_CHARS], contenders, options, bench.visitor)
        session.revealed = None


def _contender(bench: Bench, value: str) -> Contender:
    quantization, _, model = str(value or "").partition(" ")
    if model not in bench.models or quantization not in list(Quantization):
        raise PageError("error.gone")
    return Contender(model, Quantization(quantization))


@_act("vote")
def _vote(bench: Bench, session: BenchmarkSession, value: str) -> str:
    """A duel is voted on once: its job goes with the vote."""
    job_id, _, score = value.partition(" ")
    found = next((job for job in bench.library.visible_jobs(bench.visitor) if str(job.id) == job_id), None)
    duel = duel_of(found) if found else None
    if found is None or duel is None or score not in VOTES:
        raise PageError("error.gone")
    bench.benchmarks.vote(duel, VOTES[score])
    bench.library.hide(found.id, bench.visitor)
    session.revealed = duel
    return ""


@_act("revealed")
def _seen(bench: Bench, session: BenchmarkSession, value: str) -> str:
    session.revealed = None
    return ""


@_act("clear-votes")
def _clear_votes(bench: Bench, session: BenchmarkSession, value: str) -> str:
    bench.benchmarks.clear_votes(bench.visitor)
    return ""


# --- work in progress ---

@_act("cancel")
def _cancel(bench: Bench, session: BenchmarkSession, value: str) -> str:
    bench.library.cancel(_job(value), bench.visitor)
    return ""


@_act("resume")
def _resume(bench: Bench, session: BenchmarkSession, value: str) -> str:
    bench.benchmarks.resume(_job(value), bench.visitor)
    session.shown = ""
    return ""


@_act("hide")
def _hide(bench: Bench, session: BenchmarkSession, value: str) -> str:
    bench.library.hide(_job(value), bench.visitor)
    return ""


def _job(value: str) -> int:
    if not value.isdecimal() or len(value) > 18:
        raise PageError("error.gone")
    return int(value)


# --- history ---

@_act("show")
def _show(bench: Bench, session: BenchmarkSession, value: str) -> str:
    session.shown = bench.benchmarks.shelf.get(value).uid
    return ""


def tick(session: BenchmarkSession, value: Any) -> None:
    session.ticked = tuple(str(value or "").split()[:MAX_TICKED])


@_act("compare")
def _compare(bench: Bench, session: BenchmarkSession, value: str) -> str:
    tick(session, value)
    if len(session.ticked) != 2:
        raise PageError("bench.compare.two")
    older, newer = sorted((bench.benchmarks.shelf.get(uid) for uid in session.ticked), key=lambda run: run.at)
    session.panel, session.panel_uids = "compare", (older.uid, newer.uid)
    return ""


@_act("report")
def _report(bench: Bench, session: BenchmarkSession, value: str) -> str:
    tick(session, value)
    session.panel, session.panel_uids = "report", _chosen(bench, session)
    return ""


@_act("close")
def _close(bench: Bench, session: BenchmarkSession, value: str) -> str:
    session.panel, session.panel_uids = "", ()
    return ""


@_act("export-json")
def _export_json(bench: Bench, session: BenchmarkSession, value: str) -> str:
    return _export(bench, session, value, "json")


@_act("export-csv")
def _export_csv(bench: Bench, session: BenchmarkSession, value: str) -> str:
    return _export(bench, session, value, "csv")


@_act("export-markdown")
def _export_markdown(bench: Bench, session: BenchmarkSession, value: str) -> str:
    return _export(bench, session, value, "markdown")


def _export(bench: Bench, session: BenchmarkSession, value: str, form: Any) -> str:
    tick(session, value)
    text = bench.benchmarks.shelf.export(_chosen(bench, session), form)
    return view.mail("download", name=f"mindcubes-benchmark.{EXPORTS[form]}", text=text)


def _chosen(bench: Bench, session: BenchmarkSession) -> tuple[str, ...]:
    """What is ticked, else all that is listed."""
    chosen = session.ticked or tuple(run.uid for run in bench.benchmarks.shelf.list(session.wanted))
    if not chosen:
        raise PageError("bench.history.nothing")
    return chosen


@_act("delete")
def _delete(bench: Bench, session: BenchmarkSession, value: str) -> str:
    _require_editor(bench)
    tick(session, value)
    bench.benchmarks.shelf.delete(session.ticked)
    session.ticked, session.panel, session.panel_uids = (), "", ()
    return ""


def take_in(bench: Bench, session: BenchmarkSession, path: str) -> int:
    """Import another machine's export under its file's name; returns how many runs it holds."""
    session.problems.clear()
    with _told(session, "history"):
        _require_editor(bench)
        return len(bench.benchmarks.shelf.take_in(_read(Path(path)), Path(path).stem))
    return 0


def _require_editor(bench: Bench) -> None:
    if not bench.may_edit:
        raise NotPermitted("On this public page only its operator can change the list of runs.")
