"""What the Benchmark tab does: one function for each button, found by its name. Each changes the page's session.

Nothing that comes from the page is trusted: who may measure is decided in the engine, who may change the history here as there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.benchmark import blind_comparison_of
from engine.errors import NotPermitted

from ..shared.errors import PageError
from ..shared.html import browser_message
from .session import BenchmarkSession
from .start import MAX_VALUE_CHARS, Bench, read_file, told

MAX_TICKED = 1_000
VOTES = {"1": 1.0, "0.5": 0.5, "0": 0.0}
EXPORTS = {"json": "json", "csv": "csv", "markdown": "md"}

Act = Callable[[Bench, BenchmarkSession, str], str]       # returns a message to the browser, or ""
_ACTS: dict[str, Act] = {}


def perform(bench: Bench, session: BenchmarkSession, name: Any, value: Any) -> str:
    """Do what a button of the history or of the work in progress asks for; what goes wrong is shown there."""
    session.problems.clear()
    message = ""
    with told(session, "history"):
        act = _ACTS.get(str(name))
        if act is None:
            raise PageError("error.gone")
        message = act(bench, session, str(value or "")[:MAX_VALUE_CHARS])
    return message


def _act(name: str) -> Callable[[Act], Act]:
    def register(act: Act) -> Act:
        _ACTS[name] = act
        return act
    return register


@_act("drop-file")
def _drop_file(bench: Bench, session: BenchmarkSession, value: str) -> str:
    session.upload = None
    return ""


@_act("vote")
def _vote(bench: Bench, session: BenchmarkSession, value: str) -> str:
    """A comparison is voted on once: its job goes with the vote."""
    job_id, _, score = value.partition(" ")
    found = next((job for job in bench.library.visible_jobs(bench.visitor) if str(job.id) == job_id), None)
    comparison = blind_comparison_of(found) if found else None
    if found is None or comparison is None or score not in VOTES:
        raise PageError("error.gone")
    bench.benchmarks.vote(comparison, VOTES[score])
    bench.library.hide(found.id, bench.visitor)
    session.revealed = comparison
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
    session.shown = bench.benchmarks.history.get(value).uid
    return ""


@_act("metric")
def _metric(bench: Bench, session: BenchmarkSession, value: str) -> str:
    session.metric = value
    return ""


def tick(session: BenchmarkSession, value: Any) -> None:
    session.ticked = tuple(str(value or "").split()[:MAX_TICKED])


@_act("compare")
def _compare(bench: Bench, session: BenchmarkSession, value: str) -> str:
    tick(session, value)
    if len(session.ticked) != 2:
        raise PageError("bench.compare.two")
    older, newer = sorted((bench.benchmarks.history.get(uid) for uid in session.ticked), key=lambda run: run.at)
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
    text = bench.benchmarks.history.export(_chosen(bench, session), form)
    return browser_message("download", name=f"mindcubes-benchmark.{EXPORTS[form]}", text=text)


def _chosen(bench: Bench, session: BenchmarkSession) -> tuple[str, ...]:
    """What is ticked, else all that is listed."""
    chosen = session.ticked or tuple(run.uid for run in bench.benchmarks.history.list(session.wanted))
    if not chosen:
        raise PageError("bench.history.nothing")
    return chosen


@_act("delete")
def _delete(bench: Bench, session: BenchmarkSession, value: str) -> str:
    _require_editor(bench)
    tick(session, value)
    bench.benchmarks.history.delete(session.ticked)
    session.ticked, session.panel, session.panel_uids = (), "", ()
    return ""


def take_in(bench: Bench, session: BenchmarkSession, path: str) -> int:
    """Import another machine's export under its file's name; returns how many runs it holds."""
    session.problems.clear()
    with told(session, "history"):
        _require_editor(bench)
        return len(bench.benchmarks.history.take_in(read_file(Path(path)), Path(path).stem))
    return 0


def _require_editor(bench: Bench) -> None:
    if not bench.may_edit:
        raise NotPermitted("On this public page only the operator can change the list of runs.")
