"""What the Benchmark tab shows of a session, output by output."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import timezone
from typing import Any

import gradio as gr

from engine import EngineError, ModelSpec
from engine.background import Job
from engine.benchmark import BenchmarkRun, FailedCell, Published, benchmark_result, blind_comparison_of, published
from engine.errors import InvalidRequest, NotPermitted
from engine.models import QuantizationChoice

from ..shared.errors import PageError
from ..shared.html import action_button, problem_box, quantization_name
from ..shared.jobs import visible
from ..shared.language import text
from . import blind_comparison, history, plots, view
from .session import BenchmarkSession
from .start import Bench

KINDS = ("speed", "sweep", "quality", "cost", "duel")
PLACES = ("speed", "sweep", "quality", "duel", "history")
MOST_SHOWN = 200
ROW, NOW = 15, 8        # outputs, and which of them is the work in progress


def _published() -> tuple[Published, ...]:
    """Those that a run of ours has as well."""
    return tuple(each for each in published() if each.what == "write_rate")


class Worktop:
    """The tab as one session sees it now."""

    def __init__(self, bench: Bench, session: BenchmarkSession, zone: timezone, language: str) -> None:
        self.bench, self._session, self._zone, self._language = bench, session, zone, language
        self._history = bench.benchmarks.history
        jobs = [job for job in visible(bench.library.visible_jobs(bench.visitor)) if job.kind in KINDS]
        running = [job for job in jobs if not job.is_over]
        self._job = next(iter(running[::-1] or jobs), None)     # of several, the oldest is the one that is at work
        self._is_running = bool(running)
        self._stamp = " ".join(f"{job.id}{job.state}{job.done if job.unit == 'cells' else ''}" for job in jobs)

    def row(self) -> list[Any]:
        """In the order of `Parts.all`, without the bus."""
        session, language = self._session, self._language
        session.stamp = self._stamp
        try:
            runs = self._history.list(session.wanted, MOST_SHOWN)
            shown, ratings = self._shown(runs), self._ratings()
        except EngineError as error:
            session.problems["history"], runs, shown, ratings = error, (), None, ""
        return [
            view.note_html(language, may_measure=self.bench.may_edit), *(self._problem(place) for place in PLACES), self._file(),
            ratings, self._now(), self._cancel(), self._result(shown), self._plot(shown, runs), self._panel(),
            history.history_html(
                runs, _published() if session.has_published else (), session.ticked, shown.uid if shown else "", self._zone, language,
                may_edit=self.bench.may_edit, is_filtered=bool(session.text or session.kind)),
            gr.Timer(active=self._is_running)]

    def news(self) -> list[Any]:
        """Only how far the work is, unless something has ended."""
        if self._stamp != self._session.stamp:
            return self.row()
        row: list[Any] = [gr.skip()] * ROW
        row[NOW] = self._now()
        return row

    def models(self) -> list[tuple[str, str]]:
        return [(ModelSpec(model).name if "/" not in model or model.startswith("/") else model, model) for model in self.bench.models]

    def quantizations(self, choices: Sequence[QuantizationChoice]) -> list[tuple[str, str]]:
        return [(quantization_name(each.quantization, self._language), each.quantization.value) for each in choices if each.is_supported]

    def contenders(self, choices: Sequence[QuantizationChoice], *chosen: str) -> list[Any]:
        """For each dropdown: what may be compared here, and what stays chosen of it."""
        found = [(f"{name} · {way}", f"{quantization} {model}") for name, model in self.models()
                 for way, quantization in self.quantizations(choices)]
        values = [value for _, value in found]
        return [gr.update(choices=found, value=each if each in values else values[-1]) for each in chosen]

    def _shown(self, runs: Sequence[BenchmarkRun]) -> BenchmarkRun | None:
        try:
            return self._history.get(self._session.shown) if self._session.shown else next(iter(runs), None)
        except InvalidRequest:      # deleted on another page
            self._session.shown = ""
            return next(iter(runs), None)

    def _problem(self, place: str) -> str:
        error = self._session.problems.get(place)
        if isinstance(error, NotPermitted):
            error = PageError("bench.history.public" if place == "history" else "bench.note.public")
        return problem_box(error, self._language) if error else ""

    def _file(self) -> str:
        upload = self._session.upload
        if upload is None:
            return ""
        chip = action_button("×", "drop-file", kind="mc-drop", extra=f' aria-label="{text(self._language, "bench.file.drop")}"')
        return f'<div class="mc-tags"><span class="mc-tag"><span>{html.escape(upload.name)}</span>{chip}</span></div>'

    def _now(self) -> str:
        comparison = blind_comparison_of(self._job) if self._job else None
        if self._session.revealed is not None and not self._is_running:
            return blind_comparison.revealed_html(self._session.revealed, self._language)
        if self._job is not None and comparison is not None:
            return blind_comparison.comparison_html(self._job, comparison, self._language)
        return view.job_html(self._job, self._failed(self._job), self._language)

    def _ratings(self) -> str:
        return blind_comparison.ratings_html(self.bench.benchmarks.ratings(), self._language, may_clear=self.bench.may_edit)

    def _failed(self, job: Job | None) -> tuple[FailedCell, ...]:
        result = benchmark_result(job) if job else None
        return result.failed if result else ()

    def _cancel(self) -> Any:
        """A button of Gradio's: the line beside it is replaced at every step, and would take the focus with it."""
        return gr.update(visible=self._is_running)

    @property
    def running_id(self) -> str:
        return str(self._job.id) if self._job and self._is_running else ""

    def _result(self, shown: BenchmarkRun | None) -> str:
        if shown is None:
            return "" if self._is_running else view.empty_html(self._language)
        return view.result_html(shown, self._zone, self._language)

    def _plot(self, shown: BenchmarkRun | None, runs: Sequence[BenchmarkRun]) -> str:
        session, language = self._session, self._language
        laid = _published() if session.has_published else ()
        speeds = plots.history_plot(runs, laid, language)
        if session.kind == "quality" or (shown is not None and shown.kind == "quality"):
            return plots.quality_plot(runs, shown, session.metric, language) or speeds
        if shown is not None and len(shown.crowds) > 1:
            return plots.crowd_plot(shown.crowds, language) + (speeds if laid else "")
        return speeds

    def _panel(self) -> str:
        session = self._session
        runs = self._history.some(session.panel_uids)
        if session.panel == "compare" and len(runs) == 2:
            return history.comparison_html(self._history.compare(*session.panel_uids), self._zone, self._language)
        if session.panel == "report" and runs:
            return history.report_html(runs, self._language)
        return ""
