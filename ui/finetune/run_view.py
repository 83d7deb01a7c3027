"""A run in progress as HTML, and the list of runs."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import timezone

from engine.finetune import Run

from ..shared.html import action_button
from ..shared.language import duration, gib, has_text, number, text
from .curves import newest
from .words import base_name, escaped, metric_name, metric_value, when

STATE_CLASS = {"done": "is-good", "stopped": "is-tight", "failed": "is-bad"}


def run_html(run: Run, language: str) -> str:
    """What the run is, and how far it is."""
    facts = (base_name(run.plan.base.model), text(language, f"tune.method.{run.plan.method}"), text(language, f"tune.task.{run.plan.task}"),
             text(language, "tune.split", train=number(language, run.num_train), held=number(language, run.num_validation))
             if run.num_train else "")
    shown = "".join(f"<span>{html.escape(fact)}</span>" for fact in facts if fact)
    return f'<h2>{html.escape(run.name)} {state_chip(run, language)}</h2><p class="mc-facts">{shown}</p>{progress_html(run, language)}'


def state_chip(run: Run, language: str) -> str:
    return f'<span class="mc-verdict {STATE_CLASS.get(run.state, "")}">{escaped(language, f"tune.state.{run.state}")}</span>'


def progress_html(run: Run, language: str) -> str:
    """The progress of a run that is in progress; why another one ended, with the buttons that help."""
    if run.is_over:
        return _ended(run, language)
    label = text(language, "tune.stopping") if run.is_stopping else phase_text(run, language)
    is_counted = run.total and run.phase in ("train", "evaluate", "save")
    numbers = f' max="{run.total}" value="{run.step}"' if is_counted else ""
    left = text(language, "jobs.left", time=duration(language, run.seconds_left)) if run.seconds_left is not None and is_counted else ""
    steps = text(language, "tune.steps", step=number(language, run.step), total=number(language, run.total)) if is_counted else run.note
    return (f'<div class="mc-now"><b>{html.escape(label)}</b><progress aria-label="{html.escape(label)}"{numbers}></progress>'
            f'<span>{html.escape(" · ".join(filter(None, (steps, left))))}</span></div>')


def phase_text(run: Run, language: str) -> str:
    key = f"tune.phase.{run.phase}"
    return text(language, key if run.phase and has_text(key) else "tune.phase.start")


def _ended(run: Run, language: str) -> str:
    """`reason` is the engine's own sentence; how a run ended otherwise is a text of the page."""
    has_reason = run.state == "failed" and run.reason
    reason = html.escape(run.reason) if has_reason else escaped(language, f"tune.ended.{run.stop_kind or run.state}")
    kept = f'<p>{escaped(language, "tune.checkpoint", step=number(language, run.checkpoint))}</p>' if run.checkpoint is not None else ""
    resume = action_button(text(language, "tune.resume"), "resume", run.id, "mc-do mc-primary") if run.can_resume else ""
    see = action_button(text(language, "tune.see"), "step", "result", "mc-do" if resume else "mc-do mc-primary") if run.has_result else ""
    acts = f'<div class="mc-remedies">{resume}{see}</div>' if resume or see else ""
    kind = ' class="is-bad" role="alert"' if run.state == "failed" else ""
    return f'<div class="mc-now"><span{kind}>{reason}</span>{kept}{acts}</div>'


def numbers_html(run: Run, language: str) -> str:
    """The newest values, and the memory that the run holds beside its estimate."""
    values = {name: newest(run.points, name) for name in ("loss", "eval_loss", "metric", "tokens_per_second", "memory_bytes")}
    metrics = run.after or run.before
    found: list[tuple[str, str]] = []
    for name in ("loss", "eval_loss"):
        if (value := values[name]) is not None:
            found.append((text(language, f"tune.curve.{'train' if name == 'loss' else 'eval'}"), number(language, value, 3)))
    if metrics and metrics.main != "loss" and (value := values["metric"]) is not None:
        found.append((metric_name(metrics.main, language), metric_value(metrics.main, value, language)))
    if (value := values["tokens_per_second"]) is not None:
        found.append((text(language, "tune.curve.speed"), number(language, value)))
    if (value := values["memory_bytes"]) is not None:
        estimate = text(language, "tune.of_estimate", size=gib(language, run.estimate.needed_bytes)) if run.estimate else ""
        found.append((text(language, "tune.memory"), " ".join(filter(None, (gib(language, value), estimate)))))
    cells = "".join(f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(shown)}</dd></div>" for name, shown in found)
    return f'<dl class="mc-numbers">{cells}</dl>' if cells else ""


def log_html(run: Run, language: str) -> str:
    log = run.log or text(language, "tune.log.empty")
    return f'<pre class="mc-log" tabindex="0" role="region" aria-label="{escaped(language, "tune.log")}">{html.escape(log)}</pre>'


# --- all runs ---

def runs_html(runs: Sequence[Run], zone: timezone, language: str) -> str:
    """The visitor's runs, newest first; "" without any."""
    if not runs:
        return ""
    items = "".join(_item(run, zone, language) for run in runs)
    return f'<h2>{escaped(language, "tune.runs")}</h2><ul class="mc-tune-list">{items}</ul>'


def _item(run: Run, zone: timezone, language: str) -> str:
    facts = " · ".join(filter(None, (base_name(run.plan.base.model), text(language, f"tune.method.{run.plan.method}"), _gain(run, language),
                                     when(run.created, zone))))
    name = f' aria-label="{escaped(language, "tune.delete.name", name=run.name)}"'
    ask = f' data-confirm="{escaped(language, "tune.delete.ask", name=run.name)}"'
    delete = action_button(text(language, "tune.delete"), "delete", run.id, extra=name + ask) if run.is_over else ""
    opener = action_button(run.name, "open", run.id, "mc-link")
    return f"<li>{opener}{state_chip(run, language)}<span>{html.escape(facts)}</span>{delete}</li>"


def _gain(run: Run, language: str) -> str:
    """The main metric before and after."""
    if run.before is None or run.after is None:
        return ""
    name = run.after.main
    before, after = run.before.value(name), run.after.value(name)
    return "" if before is None or after is None else \
        f"{metric_name(name, language)} {metric_value(name, before, language)} → {metric_value(name, after, language)}"
