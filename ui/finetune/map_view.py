"""The step Map as HTML: what is wrong with the examples, how they are spread, and one of them as the model will see it."""

from __future__ import annotations

import html
from collections.abc import Sequence

from engine.finetune import Piece, Problem, Report, Table

from ..shared.html import action_button
from ..shared.language import number, percent, text
from .words import escaped

MAX_ROWS = 3            # named of each kind of problem
MAX_BARS = 20


def report_html(report: Report, language: str) -> str:
    usable = text(language, "tune.usable", usable=number(language, report.train + report.validation), rows=number(language, report.rows),
                  train=number(language, report.train), held=number(language, report.validation))
    return f"<p>{html.escape(usable)}</p>{problems_html(report, language)}"


# --- problems ---

def problems_html(report: Report, language: str) -> str:
    """For each kind of problem how many there are, and the first of them with their rows. Errors come first."""
    kinds: dict[str, list[Problem]] = {}
    for problem in report.problems:
        kinds.setdefault(problem.kind, []).append(problem)
    if not kinds:
        return f'<p class="mc-note">{escaped(language, "tune.no_problems")}</p>'
    items = "".join(_kind(problems, report.totals.get(kind, len(problems)), language) for kind, problems in kinds.items())
    return f'<h3>{escaped(language, "tune.problems")}</h3><ul class="mc-tune-problems">{items}</ul>'


def _kind(problems: Sequence[Problem], count: int, language: str) -> str:
    is_error = problems[0].severity == "error"
    word = text(language, "tune.left_out" if is_error else "tune.warning", count=number(language, count))
    chip = f'<span class="mc-verdict {"is-bad" if is_error else "is-tight"}">{html.escape(word)}</span>'
    sentences = [problem_text(each, language) for each in problems[:MAX_ROWS]]
    rest = [text(language, "tune.more", count=number(language, count - len(sentences)))] if count > len(sentences) else []
    return f'<li>{chip}<div>{"".join(f"<p>{html.escape(each)}</p>" for each in (*sentences, *rest))}</div></li>'


def problem_text(problem: Problem, language: str) -> str:
    """What is wrong, with its row and column."""
    values = {name: number(language, value) if isinstance(value, int) else value for name, value in problem.values.items()}
    what = text(language, f"tune.problem.{problem.kind}", **values)
    place = place_text(problem.row, problem.column, language)
    if place and problem.is_validation:
        place = text(language, "tune.place.second", place=place)
    return f"{place}: {what}" if place else what


def place_text(row: int, column: str, language: str) -> str:
    """`row`: counted from 1, 0 for none."""
    shown = number(language, row)
    if row and column:
        return text(language, "tune.place", row=shown, column=column)
    return text(language, "tune.place.row", row=shown) if row else text(language, "tune.place.column", column=column) if column else ""


# --- how the examples are spread ---

def spread_html(report: Report, language: str) -> str:
    return _labels(report, language) + _lengths(report, language)


def _labels(report: Report, language: str) -> str:
    """A bar for each label: how many examples have it."""
    if not report.labels:
        return ""
    whole, total = max(report.labels.values()), sum(report.labels.values())
    rows = [(label, count, percent(language, count / total)) for label, count in list(report.labels.items())[:MAX_BARS]]
    more = len(report.labels) - MAX_BARS
    rest = f'<p class="mc-note">{escaped(language, "tune.more", count=number(language, more))}</p>' if more > 0 else ""
    return f'<h3>{escaped(language, "tune.labels")}</h3>{_bars(rows, whole, text(language, "tune.labels"), language)}{rest}'


def _lengths(report: Report, language: str) -> str:
    """A bar for each range of lengths."""
    if not report.lengths:
        return ""
    title = text(language, f"tune.lengths.{report.unit}", longest=number(language, report.longest))
    starts = (0, *(bound for bound, _ in report.lengths))
    bars = [(low, high - 1, count) for low, (high, count) in zip(starts, report.lengths, strict=False)]
    shortest = next((at for at, (_, _, count) in enumerate(bars) if count), 0)
    rows = [(f"{number(language, low)}–{number(language, high)}", count, "") for low, high, count in bars[shortest:]]
    return f'<h3>{html.escape(title)}</h3>{_bars(rows, max(count for _, count, _ in rows), title, language)}'


def _bars(rows: Sequence[tuple[str, int, str]], whole: int, label: str, language: str) -> str:
    drawn = "".join(f'<tr><th scope="row">{html.escape(name)}</th><td><i style="width:{100 * count / (whole or 1):.1f}%"></i></td>'
                    f"<td>{number(language, count)}</td><td>{html.escape(share)}</td></tr>" for name, count, share in rows)
    return f'<table class="mc-bars" aria-label="{html.escape(label)}"><tbody>{drawn}</tbody></table>'


# --- one example ---

def example_html(pieces: Sequence[Piece], at: int, count: int, language: str) -> str:
    """The example as the model reads it. What is trained is coloured and underlined; a label stands at its word, or below the text."""
    shown = "".join(map(_piece, pieces))
    title = text(language, "tune.preview", at=number(language, at + 1), count=number(language, count))
    buttons = "".join(action_button(text(language, f"tune.preview.{name}"), "look", name, extra=" disabled" if is_end else "")
                      for name, is_end in (("previous", at == 0), ("next", at + 1 >= count)))
    labels = [piece.tag for piece in pieces if piece.is_trained and not piece.text]
    target = f'<p><mark>{escaped(language, "tune.preview.target", target=", ".join(labels))}</mark></p>' if labels else ""
    legend = f'<p class="mc-note"><mark>{escaped(language, "tune.preview.trained")}</mark> {escaped(language, "tune.preview.read")}</p>'
    return (f'<section class="mc-preview" aria-label="{html.escape(title)}"><header><h3>{html.escape(title)}</h3>{buttons}</header>'
            f'<pre tabindex="0" role="region" aria-label="{html.escape(title)}">{shown}</pre>{target}{legend}</section>')


def _piece(piece: Piece) -> str:
    if not piece.is_trained or not piece.text:
        return f"<span>{html.escape(piece.text)}</span>"
    tag = f"<small>{html.escape(piece.tag)}</small>" if piece.tag else ""
    return f"<mark>{html.escape(piece.text)}{tag}</mark>"


def second_html(table: Table, language: str) -> str:
    """The table that is measured on instead of held-back examples."""
    chosen = escaped(language, "tune.second.chosen", name=table.name, count=number(language, table.count))
    return f'<p class="mc-note">{chosen} {action_button(text(language, "tune.second.drop"), "hold-back")}</p>'
