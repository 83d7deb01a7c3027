"""The step Data as HTML: what the tab is for, and the first rows of a table."""

from __future__ import annotations

import html

from engine.finetune import Table

from ..shared.html import action_button, measured_table, megabytes
from ..shared.language import gib, number, text
from .words import escaped

SHOWN_ROWS, SHOWN_CHARS = 8, 160


def empty_html(language: str, max_bytes: int, *, is_public: bool) -> str:
    kinds = "".join(f'<li>{escaped(language, f"tune.empty.{kind}")}</li>' for kind in ("chat", "classes", "answers"))
    formats = "tune.empty.formats.public" if is_public else "tune.empty.formats"
    return (f'<h2>{escaped(language, "tune.empty.title")}</h2><p>{escaped(language, "tune.empty.note")}</p><ul>{kinds}</ul>'
            f'<p class="mc-note">{escaped(language, formats, size=gib(language, max_bytes))}</p>')


def table_html(table: Table, language: str) -> str:
    """The table's name and size, and its first rows."""
    columns = text(language, "tune.columns", count=number(language, len(table.columns)))
    facts = (text(language, "tune.rows", count=number(language, table.count)), columns, megabytes(language, table.size_bytes), table.source)
    shown = "".join(f"<span>{html.escape(fact)}</span>" for fact in facts if fact)
    rows = [[number(language, at), *(_cell(cell) for cell in row)] for at, row in enumerate(table.rows(SHOWN_ROWS), 1)]
    head = [text(language, "tune.col.row"), *table.columns]
    more = escaped(language, "tune.rows.first", count=number(language, len(rows))) if table.count > len(rows) else ""
    return (f'<h2>{html.escape(table.name)}</h2><p class="mc-facts">{shown}</p>{_header(table, language)}'
            f'{measured_table(head, rows, table.name)}<p class="mc-note">{more}</p>')


def _header(table: Table, language: str) -> str:
    """Whether the first row names the columns, which is a guess in files of text, and a button to read it the other way."""
    if table.format != "csv":
        return ""
    now, other = ("none", "names") if table.is_headless else ("first", "row")
    button = action_button(text(language, f"tune.header.{other}"), "header")
    return f'<p class="mc-note">{escaped(language, f"tune.header.{now}")} {button}</p>'


def _cell(cell: str) -> str:
    shown = cell if len(cell) <= SHOWN_CHARS else f"{cell[:SHOWN_CHARS]}…"
    return f'<span class="mc-cut">{html.escape(shown)}</span>'
