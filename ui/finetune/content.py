"""What the Fine-tune tab shows for a session: a value for each component that changes."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr

from engine import BUILTIN, EngineError
from engine.finetune import HEADED, ROLES, Run
from engine.models import Verdict

from ..shared.context import Context
from ..shared.html import problem_box
from ..shared.language import duration, number, text
from . import data_view, estimate_view, map_view, result_view, run_view
from .curves import curves_html
from .parts import METHODS, NUMBERS, ROLE_KEYS, TuneParts
from .session import STEPS, FineTuneSession, Step
from .start import refusal
from .stepper import stepper_html
from .uses_view import uses_html
from .words import base_name, escaped

MAX_CATALOG = 30
Values = dict[gr.blocks.Block, Any]


class TuneContent:
    """The current content of the tab for one session. Only the step that is shown has values."""

    def __init__(self, context: Context, session: FineTuneSession) -> None:
        self._context, self._session, self._language = context, session, context.language
        self._state_before = session.run_state
        self._run = self._shown_run()
        reason = refusal(context)
        self._refusal = text(self._language, "tune.refusal", why=text(self._language, reason)) if reason else ""
        limit_s = context.library.permissions.training_limit_s(context.visitor)
        limit = text(self._language, "tune.public", time=duration(self._language, limit_s)) if limit_s else ""
        self._note = self._refusal or limit

    def _shown_run(self) -> Run | None:
        """A run that was deleted on another page is shown no longer."""
        session = self._session
        if not session.run_id:
            return None
        try:
            run = self._context.fine_tunes.get(session.run_id, self._context.visitor)
        except EngineError as error:
            session.run_id = ""
            session.show("data")
            session.problems["data"] = error
            return None
        session.run_state = run.state
        return run

    def reachable(self) -> list[Step]:
        session, run = self._session, self._run
        is_mapped = session.report is not None and session.report.train > 1
        found: dict[Step, bool] = {"data": True, "map": session.table is not None, "model": session.table is not None and is_mapped,
                                   "run": run is not None, "result": run is not None and (run.has_result or run.after is not None)}
        return [step for step in STEPS if found[step]]

    def values(self, parts: TuneParts) -> Values:
        session, language = self._session, self._language
        reachable = self.reachable()
        if session.step not in reachable:
            session.step = reachable[-1] if session.step == "result" else "data"
        shown: dict[Step, Any] = {"data": self._data, "map": self._map, "model": self._model, "run": self._run_step, "result": self._result}
        values: Values = {
            parts.note: f'<p class="mc-tune-refusal">{html.escape(self._note)}</p>' if self._note else "",
            parts.steps: stepper_html(session.step, reachable, language),
            parts.timer: gr.Timer(active=self._run is not None and not self._run.is_over),
            **{box: gr.update(visible=step == session.step) for step, box in zip(STEPS, parts.boxes, strict=True)},
            **{place: self._problem(step) for step, place in zip(STEPS, parts.problems, strict=True)}}
        values |= shown[session.step](parts)
        session.is_fresh = False
        return values

    def progress(self, parts: TuneParts) -> Values:
        """Only what changes while a run is in progress, unless it has ended or another step is shown."""
        if self._run is None or self._run.state != self._state_before or self._session.step != "run":
            return self.values(parts)
        return self._run_step(parts)

    def _problem(self, step: Step) -> str:
        error = self._session.problems.get(step)
        return problem_box(error, self._language) if error else ""

    # --- each step ---

    def _data(self, parts: TuneParts) -> Values:
        table, language, context = self._session.table, self._language, self._context
        empty = data_view.empty_html(language, context.tables.max_bytes, is_public=context.engine.settings.is_public)
        runs = run_view.runs_html(self._context.fine_tunes.list(self._context.visitor), self._context.zone, language)
        return {parts.data.shown: data_view.table_html(table, language) if table else empty,
                parts.data.example: gr.update(visible=table is None),
                parts.data.upload: gr.update(label=text(language, "tune.upload.other" if table else "tune.upload")),
                parts.data.next: gr.update(visible=table is not None), parts.data.runs: runs}

    def _map(self, parts: TuneParts) -> Values:
        session, language, report = self._session, self._language, self._session.report
        values: Values = {parts.map.check: map_view.report_html(report, language) if report else "", parts.map.example: self._example(),
                          parts.map.spread: map_view.spread_html(report, language) if report else "",
                          parts.map.second: map_view.second_html(session.validation, language) if session.validation else "",
                          parts.map.upload: gr.update(visible=session.validation is None),
                          parts.map.next: gr.update(interactive=report is not None and report.train > 1)}
        return {**values, **self._chosen_columns(parts)} if session.is_fresh else values

    def _chosen_columns(self, parts: TuneParts) -> Values:
        session = self._session
        columns = session.table.columns if session.table else ()
        none = (text(self._language, "tune.role.none"), "")
        wanted = [role.key for role in ROLES[session.task]]
        roles = {role: gr.update(choices=[none, *((name, name) for name in columns)], value=session.columns.get(key, ""),
                                 visible=key in wanted) for key, role in zip(ROLE_KEYS, parts.map.roles, strict=True)}
        held_back = gr.update(value=session.held_back, visible=session.validation is None)
        return {parts.map.task: session.task, parts.map.held_back: held_back, **roles}

    def _example(self) -> str:
        session = self._session
        if not session.usable:
            return ""
        try:
            preview = self._context.examiner.preview(session.plan(), session.at, self._context.visitor.owner)
        except EngineError as error:
            return problem_box(error, self._language)
        return map_view.example_html(preview, session.at, session.usable, self._language)

    def _model(self, parts: TuneParts) -> Values:
        session, language, estimate = self._session, self._language, self._session.estimate
        shown = estimate_view.estimate_html(estimate, language) if estimate else ""
        values: Values = {parts.model.estimate: shown, parts.model.start: self._start()}
        if not session.is_fresh:
            return values
        methods = [(text(language, f"tune.method.{each}.why"), each) for each in METHODS if each != "qlora" or session.task not in HEADED]
        numbers = {part: getattr(session.options, key) for key, part in zip(NUMBERS, parts.model.numbers, strict=True)}
        return {**values, parts.model.base: gr.update(choices=self._bases(), value=session.base), parts.model.name: session.name,
                parts.model.method: gr.update(choices=methods, value=session.method), **numbers}

    def _start(self) -> Any:
        """The button says what it does; where nobody can train it gives the script."""
        session, language, estimate = self._session, self._language, self._session.estimate
        if self._refusal:
            return gr.update(value=text(language, "tune.script"), interactive=True)
        examples = number(language, session.report.train) if session.report else ""
        label = text(language, "tune.start") if estimate is None else text(
            language, "tune.start.about", count=examples, time=duration(language, estimate.seconds))
        return gr.update(value=label, interactive=estimate is not None and estimate.can_start)

    def _bases(self) -> list[tuple[str, str]]:
        """The loaded model, the built-in one, those on disk, and the catalog's that fit this machine."""
        context = self._context
        spec = context.engine.spec
        loaded = [spec.model] if spec and not spec.is_remote and not spec.adapter else []
        disk = [stored.repo for stored in context.library.on_disk() if stored.is_complete]
        catalog = [each.entry.repo for each in context.library.recommended(language=self._language)
                   if each.fit is None or each.fit.verdict is not Verdict.TOO_LARGE][:MAX_CATALOG]
        named = {model: text(self._language, "tune.base.loaded", name=base_name(model)) for model in loaded}
        return [(named.get(model, base_name(model)), model) for model in dict.fromkeys([*loaded, BUILTIN, *disk, *catalog])]

    def _run_step(self, parts: TuneParts) -> Values:
        run, language = self._run, self._language
        if run is None:
            return {}
        return {parts.run.now: run_view.run_html(run, language), parts.run.numbers: run_view.numbers_html(run, language),
                parts.run.curves: curves_html(run, language), parts.run.log: run_view.log_html(run, language),
                parts.run.stop: gr.update(visible=not run.is_over, interactive=not run.is_stopping or run.can_kill,
                                           value=text(language, "tune.stop.now" if run.can_kill else "tune.stop"))}

    def _result(self, parts: TuneParts) -> Values:
        run, language, result = self._run, self._language, parts.result
        if run is None:
            return {}
        details = result_view.details_html(run, language) + result_view.measured_html(run, language)
        push = escaped(language, "tune.push.ask")
        uses = uses_html(run, self._session.ready, language, may_load=not self._context.engine.settings.is_public)
        return {result.shown: result_view.result_html(run, language), result.uses: uses,
                result.details: details, result.curves: curves_html(run, language),
                result.push: f'<button type="button" class="mc-do" data-do="push" data-confirm="{push}">'
                             f'{escaped(language, "tune.push.act")}</button>'}
