"""The buttons of the Benchmark tab. Each changes the page's session.

Nothing that comes from the page is trusted: the engine decides who may measure and who may change the history.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.benchmark import Format, blind_comparison_of
from engine.errors import NotPermitted

from ..shared.actions import Actions, Click
from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.html import browser_message
from .session import BenchmarkSession
from .start import MAX_VALUE_CHARS, may_edit, problems_shown, read_file

MAX_TICKED = 1_000
VOTES = {"1": 1.0, "0.5": 0.5, "0": 0.0}
EXPORTS: dict[str, tuple[Format, str]] = {      # by action: what is written, and the ending of its file
    "export-json": ("json", "json"), "export-csv": ("csv", "csv"), "export-markdown": ("markdown", "md")}

# An action returns a message to the browser, or "".
actions: Actions[BenchmarkSession, str] = Actions(max_value_chars=MAX_VALUE_CHARS)


def perform(context: Context, session: BenchmarkSession, click: Click) -> str:
    """Do what a button of the history or of the work in progress asks for; a refusal is shown there."""
    with problems_shown(session, "history"):
        return actions.run(context, session, click)
    return ""


@actions("drop-file")
def drop_file(context: Context, session: BenchmarkSession, click: Click) -> str:
    session.upload = None
    return ""


@actions("vote")
def vote(context: Context, session: BenchmarkSession, click: Click) -> str:
    """Each comparison gets one vote; its job is hidden with it."""
    job_id, _, score = click.value.partition(" ")
    found = next((job for job in context.library.visible_jobs(context.visitor) if str(job.id) == job_id), None)
    comparison = blind_comparison_of(found) if found else None
    if found is None or comparison is None or score not in VOTES:
        raise PageError("error.gone")
    context.benchmarks.vote(comparison, VOTES[score])
    context.library.hide(found.id, context.visitor)
    session.revealed = comparison
    return ""


@actions("revealed")
def seen(context: Context, session: BenchmarkSession, click: Click) -> str:
    session.revealed = None
    return ""


@actions("clear-votes")
def clear_votes(context: Context, session: BenchmarkSession, click: Click) -> str:
    context.benchmarks.clear_votes(context.visitor)
    return ""


# --- work in progress ---

@actions("cancel")
def cancel(context: Context, session: BenchmarkSession, click: Click) -> str:
    context.library.cancel(click.number, context.visitor)
    return ""


@actions("resume")
def resume(context: Context, session: BenchmarkSession, click: Click) -> str:
    context.benchmarks.resume(click.number, context.visitor)
    session.shown = ""
    return ""


@actions("hide")
def hide(context: Context, session: BenchmarkSession, click: Click) -> str:
    context.library.hide(click.number, context.visitor)
    return ""


# --- history ---

@actions("show")
def show(context: Context, session: BenchmarkSession, click: Click) -> str:
    session.shown = context.benchmarks.history.get(click.value).uid
    return ""


@actions("metric")
def metric(context: Context, session: BenchmarkSession, click: Click) -> str:
    session.metric = click.value
    return ""


def tick(session: BenchmarkSession, ticked: Any) -> None:
    session.ticked = tuple(str(ticked or "").split()[:MAX_TICKED])


@actions("compare")
def compare(context: Context, session: BenchmarkSession, click: Click) -> str:
    tick(session, click.value)
    if len(session.ticked) != 2:
        raise PageError("bench.compare.two")
    older, newer = sorted((context.benchmarks.history.get(uid) for uid in session.ticked), key=lambda run: run.at)
    session.panel, session.panel_uids = "compare", (older.uid, newer.uid)
    return ""


@actions("report")
def report(context: Context, session: BenchmarkSession, click: Click) -> str:
    tick(session, click.value)
    session.panel, session.panel_uids = "report", _chosen(context, session)
    return ""


@actions("close")
def close(context: Context, session: BenchmarkSession, click: Click) -> str:
    session.panel, session.panel_uids = "", ()
    return ""


@actions(*EXPORTS)
def export(context: Context, session: BenchmarkSession, click: Click) -> str:
    tick(session, click.value)
    form, ending = EXPORTS[click.name]
    text = context.benchmarks.history.export(_chosen(context, session), form)
    return browser_message("download", name=f"mindcubes-benchmark.{ending}", text=text)


def _chosen(context: Context, session: BenchmarkSession) -> tuple[str, ...]:
    """The ticked runs, or all listed ones if none is ticked."""
    chosen = session.ticked or tuple(run.uid for run in context.benchmarks.history.list(session.wanted))
    if not chosen:
        raise PageError("bench.history.nothing")
    return chosen


@actions("delete")
def delete(context: Context, session: BenchmarkSession, click: Click) -> str:
    _require_editor(context)
    tick(session, click.value)
    context.benchmarks.history.delete(session.ticked)
    session.ticked, session.panel, session.panel_uids = (), "", ()
    return ""


def import_runs(context: Context, session: BenchmarkSession, path: str) -> int:
    """Import another machine's export under its file's name; returns how many runs it holds."""
    with problems_shown(session, "history"):
        _require_editor(context)
        return len(context.benchmarks.history.import_runs(read_file(Path(path)), Path(path).stem))
    return 0


def _require_editor(context: Context) -> None:
    if not may_edit(context):
        raise NotPermitted("On this public page only the operator can change the list of runs.")
