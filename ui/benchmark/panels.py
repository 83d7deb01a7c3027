"""What the Benchmark tab shows for a session, one value per component."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import gradio as gr

from engine import EngineError, ModelSpec
from engine.background import Job
from engine.benchmark import BenchmarkRun, FailedCell, Published, benchmark_result, blind_comparison_of, published
from engine.errors import InvalidRequest, NotPermitted
from engine.models import QuantizationChoice

from ..shared.context import Context
from ..shared.errors import PageError
from ..shared.html import action_button, problem_box, quantization_name
from ..shared.jobs import visible
from ..shared.language import text
from . import blind_comparison, history, plots, view
from .session import BenchmarkSession, Place
from .start import loadable_models, may_edit

KINDS = ("speed", "sweep", "quality", "cost", "duel")
PLACES: tuple[Place, ...] = get_args(Place)
MOST_SHOWN = 200


@dataclass(frozen=True)
class BenchmarkParts:
    """The components that show a session. `problems`: one for each of PLACES."""

    note: gr.HTML
    problems: tuple[gr.HTML, ...]
    file: gr.HTML
    ratings: gr.HTML
    now: gr.HTML
    cancel: gr.Button
    result: gr.HTML
    plot: gr.HTML
    panel: gr.HTML
    history: gr.HTML
    timer: gr.Timer
    bus: gr.HTML                        # messages to the browser

    @property
    def all(self) -> list[gr.blocks.Block]:
        return [self.note, *self.problems, self.file, self.ratings, self.now, self.cancel, self.result, self.plot, self.panel,
                self.history, self.timer, self.bus]


def _published() -> tuple[Published, ...]:
    """Published results of a kind that our own runs have too."""
    return tuple(each for each in published() if each.what == "write_rate")


class BenchmarkPanels:
    """The current content of the tab for one session."""

    def __init__(self, context: Context, session: BenchmarkSession) -> None:
        self._context, self._session = context, session
        self._zone, self._language = context.zone, context.language
        self._history = context.benchmarks.history
        jobs = [job for job in visible(context.library.visible_jobs(context.visitor)) if job.kind in KINDS]
        running = [job for job in jobs if not job.is_over]
        self._job = next(iter(running[::-1] or jobs), None)     # of several, the oldest is running
        self._is_running = bool(running)
        self._stamp = " ".join(f"{job.id}{job.state}{job.done if job.unit == 'cells' else ''}" for job in jobs)

    def contents(self) -> dict[str, Any]:
        """What each of `BenchmarkParts` shows, by its name; of `problems`, one for each place."""
        session, language = self._session, self._language
        session.stamp = self._stamp
        try:
            runs = self._history.list(session.wanted, MOST_SHOWN)
            shown, ratings = self._shown(runs), self._ratings()
        except EngineError as error:
            session.problems["history"], runs, shown, ratings = error, (), None, ""
        return {
            "note": view.note_html(language, self._note()), "problems": [self._problem(place) for place in PLACES],
            "file": self._file(), "ratings": ratings, "now": self._now(), "cancel": self._cancel(), "result": self._result(shown),
            "plot": self._plot(shown, runs), "panel": self._panel(),
            "history": history.history_html(
                runs, _published() if session.has_published else (), session.ticked, shown.uid if shown else "", self._zone, language,
                may_edit=may_edit(self._context), is_filtered=bool(session.text or session.kind)),
            "timer": gr.Timer(active=self._is_running)}

    def values(self, parts: BenchmarkParts) -> dict[gr.blocks.Block, Any]:
        """Everything, by component."""
        contents = self.contents()
        problems = dict(zip(parts.problems, contents.pop("problems"), strict=True))
        return {**problems, **{getattr(parts, name): value for name, value in contents.items()}}

    def progress(self, parts: BenchmarkParts) -> dict[gr.blocks.Block, Any]:
        """Only the progress line, unless a job has started or ended."""
        return self.values(parts) if self._stamp != self._session.stamp else {parts.now: self._now()}

    def models(self) -> list[tuple[str, str]]:
        return [(ModelSpec(model).name if "/" not in model or model.startswith("/") else model, model)
                for model in loadable_models(self._context)]

    def quantizations(self, choices: Sequence[QuantizationChoice]) -> list[tuple[str, str]]:
        return [(quantization_name(each.quantization, self._language), each.quantization.value) for each in choices if each.is_supported]

    def contenders(self, choices: Sequence[QuantizationChoice], *chosen: str) -> list[Any]:
        """For each dropdown: the models that can be compared here, keeping the choice if it is still possible."""
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

    def _problem(self, place: Place) -> str:
        error = self._session.problems.get(place)
        if isinstance(error, NotPermitted):
            error = PageError("bench.history.public" if place == "history" else self._note(refused=True))
        return problem_box(error, self._language) if error else ""

    def _note(self, *, refused: bool = False) -> str:
        """The key of what a measurement does to others, or why it is off."""
        if self._context.engine.settings.is_zero_gpu:
            return "bench.note.zero_gpu"
        return "bench.note" if may_edit(self._context) and not refused else "bench.note.public"

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
        return blind_comparison.ratings_html(self._context.benchmarks.ratings(), self._language, may_clear=may_edit(self._context))

    def _failed(self, job: Job | None) -> tuple[FailedCell, ...]:
        result = benchmark_result(job) if job else None
        return result.failed if result else ()

    def _cancel(self) -> Any:
        """A Gradio button, because the progress line is replaced at every step and would lose the keyboard focus."""
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
