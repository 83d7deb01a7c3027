"""The result of a run as HTML: metrics before and after, the confusion matrix, the worst mistakes, estimate beside measured."""

from __future__ import annotations

import html
from collections.abc import Sequence

from engine.finetune import LabelScore, Metrics, Mistake, Run

from ..shared.html import disk_size, measured_table
from ..shared.language import duration, gib, number, percent, text
from .run_view import state_chip
from .words import base_name, escaped, metric_name, metric_value

CELL = 44               # of the confusion matrix, in the units of its drawing
MAX_CLASSES = 30        # drawn; the table has all
MAX_NAME = 14           # characters of a class beside the matrix
LOWER_IS_BETTER = ("perplexity", "loss")


def result_html(run: Run, language: str) -> str:
    facts = (base_name(run.plan.base.model), text(language, f"tune.method.{run.plan.method}"), text(language, f"tune.task.{run.plan.task}"),
             text(language, "tune.best_step", step=number(language, run.best_step)) if run.best_step else "",
             text(language, f"tune.ended.{run.stop_kind}") if run.stop_kind in ("early", "person", "time") else "")
    shown = "".join(f"<span>{html.escape(fact)}</span>" for fact in facts if fact)
    return f'<h2>{html.escape(run.name)} {state_chip(run, language)}</h2><p class="mc-facts">{shown}</p>{_metrics(run, language)}'


def _metrics(run: Run, language: str) -> str:
    after = run.after or run.before
    if after is None:
        return f'<p class="mc-note">{escaped(language, "tune.unmeasured")}</p>'
    rows = [_metric_row(value.name, run.before, run.after, language) for value in after.values]
    head = [text(language, f"tune.col.{each}") for each in ("metric", "before", "after", "change")]
    second, first = run.plan.validation_table, run.plan.table
    kind = "same" if second == first else "second" if second else "held_back"
    note = escaped(language, f"tune.{kind}.note", count=number(language, after.examples))
    return measured_table(head, rows, text(language, "tune.metrics")) + f'<p class="mc-note">{note}</p>'


def _metric_row(name: str, before: Metrics | None, after: Metrics | None, language: str) -> list[str]:
    was, now = before.value(name) if before else None, after.value(name) if after else None
    shown = [html.escape(metric_value(name, value, language)) if value is not None else "–" for value in (was, now)]
    return [html.escape(metric_name(name, language)), shown[0], f"<b>{shown[1]}</b>", _change(name, was, now, language)]


def _change(name: str, was: float | None, now: float | None, language: str) -> str:
    if was is None or now is None or was == now:
        return "–"
    is_better = (now < was) is (name in LOWER_IS_BETTER)
    word = text(language, "tune.better" if is_better else "tune.worse")
    return f'<span class="mc-verdict {"is-good" if is_better else "is-bad"}">{html.escape(word)}</span>'


def details_html(run: Run, language: str) -> str:
    """What a task with classes or tags has beside its metrics."""
    after = run.after
    if after is None:
        return ""
    return "".join((confusion_html(after, language), _labels(after.per_label, language), _mistakes(after.mistakes, language)))


# --- the confusion matrix ---

def confusion_html(metrics: Metrics, language: str) -> str:
    """A picture of the matrix, rows expected and columns predicted, and the same numbers as a table for screen readers."""
    if not metrics.confusion:
        return ""
    title = text(language, "tune.confusion")
    shown = _matrix(metrics, language) if len(metrics.labels) <= MAX_CLASSES else ""
    head = [text(language, "tune.expected"), *metrics.labels]
    rows = [[html.escape(label), *(number(language, count) for count in counts)]
            for label, counts in zip(metrics.labels, metrics.confusion, strict=True)]
    table = measured_table(head, rows, title)
    hidden = f'<div class="mc-unseen">{table}</div>' if shown else table
    return f'<h3>{html.escape(title)}</h3><p class="mc-note">{escaped(language, "tune.confusion.note")}</p>{shown}{hidden}'


def _matrix(metrics: Metrics, language: str) -> str:
    """A cell is the darker the larger its share of the expected class."""
    size, side = len(metrics.labels) * CELL, 120
    cells = "".join(_cell(metrics, row, column, language) for row in range(len(metrics.labels)) for column in range(len(metrics.labels)))
    names = [_short(label) for label in metrics.labels]
    left = "".join(f'<text x="-8" y="{(at + 0.5) * CELL}" text-anchor="end" dominant-baseline="central">{name}</text>'
                   for at, name in enumerate(names))
    below = "".join(f'<text transform="translate({(at + 0.5) * CELL} {size + 10}) rotate(-45)" text-anchor="end" '
                    f'dominant-baseline="central">{name}</text>' for at, name in enumerate(names))
    axes = (f'<text class="mc-axis" x="{size / 2}" y="{size + 112}" text-anchor="middle">{escaped(language, "tune.predicted")}</text>'
            f'<text class="mc-axis" transform="translate(-112 {size / 2}) rotate(-90)" text-anchor="middle">'
            f'{escaped(language, "tune.expected")}</text>')
    box = f"{-side - 8} -2 {size + side + 16} {size + side + 4}"
    return (f'<svg class="mc-confusion" viewBox="{box}" style="max-width: {size + side + 16}px" aria-hidden="true">'
            f"{cells}{left}{below}{axes}</svg>")


def _cell(metrics: Metrics, row: int, column: int, language: str) -> str:
    count, total = metrics.confusion[row][column], sum(metrics.confusion[row]) or 1
    share = count / total
    title = escaped(language, "tune.confusion.cell", expected=metrics.labels[row], predicted=metrics.labels[column],
                    count=number(language, count), share=percent(language, share))
    x, y = column * CELL, row * CELL
    return (f'<g><title>{title}</title><rect class="{"is-right" if row == column else "is-wrong"}" x="{x + 1}" y="{y + 1}" '
            f'width="{CELL - 2}" height="{CELL - 2}" rx="4" fill-opacity="{0.04 + 0.46 * share:.2f}"/><text x="{x + CELL / 2}" '
            f'y="{y + CELL / 2}" text-anchor="middle" dominant-baseline="central">{number(language, count)}</text></g>')


def _short(label: str) -> str:
    return html.escape(label if len(label) <= MAX_NAME else f"{label[:MAX_NAME - 1]}…")


# --- classes and mistakes ---

def _labels(scores: Sequence[LabelScore], language: str) -> str:
    if not scores:
        return ""
    head = [text(language, f"tune.col.{each}") for each in ("label", "precision", "recall", "f1", "support")]
    rows = [[html.escape(score.label), *(percent(language, value, 1) for value in (score.precision, score.recall)),
             f"<b>{percent(language, score.f1, 1)}</b>", number(language, score.support)] for score in scores]
    title = text(language, "tune.per_label")
    return f"<h3>{html.escape(title)}</h3>{measured_table(head, rows, title)}"


def _mistakes(mistakes: Sequence[Mistake], language: str) -> str:
    if not mistakes:
        return ""
    head = [text(language, f"tune.col.{each}") for each in ("row", "text", "expected", "predicted", "sure")]
    rows = [[number(language, each.row), f'<span class="mc-cut" title="{html.escape(each.text)}">{html.escape(each.text)}</span>',
             html.escape(each.expected), html.escape(each.predicted), percent(language, each.probability)] for each in mistakes]
    title = text(language, "tune.mistakes")
    return f'<h3>{html.escape(title)}</h3>{measured_table(head, rows, title)}'


# --- estimate and measured ---

def measured_html(run: Run, language: str) -> str:
    """The estimate beside what was measured."""
    estimate, measured = run.estimate, run.measured
    if estimate is None or measured is None or not measured.peak_bytes:
        return ""
    rows = [_compared("memory", estimate.needed_bytes, measured.peak_bytes, gib, language)]
    if measured.total_s:
        rows.append(_compared("time", estimate.seconds, measured.total_s, duration, language))
    if measured.disk_bytes:
        rows.append(_compared("disk", estimate.disk_bytes, measured.disk_bytes, disk_size, language))
    head = ["", *(text(language, f"tune.col.{each}") for each in ("estimated", "measured", "ratio"))]
    title = text(language, "tune.compared")
    return f"<h3>{html.escape(title)}</h3>{measured_table(head, rows, title)}"


def _compared(key: str, estimated: float, measured: float, written: object, language: str) -> list[str]:
    assert callable(written)
    ratio = percent(language, measured / estimated) if estimated else "–"
    return [escaped(language, f"tune.{key}"), html.escape(written(language, estimated)), html.escape(written(language, measured)), ratio]
