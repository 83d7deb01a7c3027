"""HTML of the Try it box: what the loaded model does, and its results as tables, marked text or text."""

from __future__ import annotations

import html
from collections.abc import Sequence

from engine.pipelines import Filling, Label, Row, Span, TaskInput, TaskResult, Written

from ..shared.html import problem_box
from ..shared.language import number, percent, text

NUM_COLOURS = 6


def _text(language: str, key: str, **values: object) -> str:
    return html.escape(text(language, key, **values))


def head_html(model: str, task: str, language: str) -> str:
    return (f'<h2>{_text(language, "try.title")}</h2><p class="mc-note">'
            f'{_text(language, "try.about", model=model, task=text(language, f"try.task.{task}"))}</p>')


def waiting_html(position: int, language: str) -> str:
    label = _text(language, "try.waiting", count=position) if position else _text(language, "try.working")
    return f'<div class="mc-stage" role="status"><progress aria-label="{label}"></progress><span>{label}</span></div>'


def stopped_html(language: str) -> str:
    return f'<p class="mc-note" role="status">{_text(language, "try.stopped")}</p>'


def problem_html(error: Exception, language: str) -> str:
    return problem_box(error, language)


def result_html(result: TaskResult, given: TaskInput, language: str) -> str:
    """The results of each text, below each other."""
    parts = [_of_text(rows, text_given, given, language) for rows, text_given in zip(result.rows, given.texts, strict=True)]
    cut = text(language, "try.cut", window=number(language, result.cut_at)) if result.cut_at else ""
    notes = f'<p class="mc-note">{html.escape(cut)}</p>' if cut else ""
    read, written = result.tokens
    facts = text(language, "try.facts", read=number(language, read), written=number(language, written),
                 seconds=number(language, result.seconds, 2))
    return f'<div class="mc-try-result" role="status">{"".join(parts)}{notes}<p class="mc-note">{html.escape(facts)}</p></div>'


def _of_text(rows: Sequence[Row], text_given: str, given: TaskInput, language: str) -> str:
    match rows:
        case [Label(), *_]:
            return _table([(row.label, row.score) for row in rows if isinstance(row, Label)], text(language, "try.label"), language)
        case [Filling(), *_]:
            return _fillings([row for row in rows if isinstance(row, Filling)], language)
        case [Written(text=written), *_]:
            return f'<blockquote class="mc-try-text">{html.escape(written)}</blockquote>'
        case [Span(label=""), *_]:
            return _answers([row for row in rows if isinstance(row, Span)], given.second, language)
        case [Span(), *_]:
            return _entities([row for row in rows if isinstance(row, Span)], text_given, language)
    return f'<p class="mc-empty">{_text(language, "try.nothing")}</p>'


def _fillings(rows: Sequence[Filling], language: str) -> str:
    masks = sorted({row.mask for row in rows})
    tables = []
    for mask in masks:
        title = f'<h3>{_text(language, "try.mask", number=mask + 1)}</h3>' if len(masks) > 1 else ""
        tables.append(title + _table([(row.token, row.score) for row in rows if row.mask == mask], text(language, "try.word"), language))
    return "".join(tables)


def _answers(rows: Sequence[Span], context: str, language: str) -> str:
    """The likeliest answer marked in its text, and all of them in a table."""
    best = rows[0]
    shown = _marked(context, [best], {"": 0}, language) if best.text else ""
    named = [(row.text or text(language, "try.no_answer"), row.score) for row in rows]
    return shown + _table(named, text(language, "try.answer"), language)


def _entities(rows: Sequence[Span], given: str, language: str) -> str:
    colours = {label: at % NUM_COLOURS for at, label in enumerate(dict.fromkeys(row.label for row in rows))}
    named = [(f"{row.text} · {row.label}", row.score) for row in rows]
    return _marked(given, rows, colours, language) + _table(named, text(language, "try.entity"), language)


def _marked(whole: str, spans: Sequence[Span], colours: dict[str, int], language: str) -> str:
    """A text with its spans marked: by a colour, and by their label in words."""
    parts, at = [], 0
    for span in spans:
        if span.begin < at:
            continue
        label = f"<small>{html.escape(span.label)}</small>" if span.label else ""
        parts.append(f'{html.escape(whole[at:span.begin])}<mark class="mc-span mc-span-{colours[span.label]}">'
                     f"{html.escape(whole[span.begin:span.end])}{label}</mark>")
        at = span.end
    parts.append(html.escape(whole[at:]))
    name = _text(language, "try.marked")
    return f'<div class="mc-try-text" role="region" tabindex="0" aria-label="{name}">{"".join(parts)}</div>'


def _table(rows: Sequence[tuple[str, float]], column: str, language: str) -> str:
    """Each name with its score: as a share between 0 and 1, with a bar; as a number otherwise."""
    cells = "".join(f'<tr><th scope="row">{html.escape(name)}</th><td>{_score(score, language)}</td></tr>' for name, score in rows)
    title = _text(language, "try.score")
    return (f'<div class="mc-scroll" tabindex="0" role="region" aria-label="{html.escape(column)}"><table class="mc-table mc-scores">'
            f'<thead><tr><th scope="col">{html.escape(column)}</th><th scope="col">{title}</th></tr></thead><tbody>{cells}</tbody>'
            "</table></div>")


def _score(score: float, language: str) -> str:
    if not 0 <= score <= 1:
        return number(language, score, 3)
    return (f'<span class="mc-score"><span class="mc-share" aria-hidden="true"><i style="width:{100 * score:.1f}%"></i></span>'
            f"{percent(language, score, 1)}</span>")
