"""HTML that more than one tab uses: buttons, error boxes, sizes, and messages to page.js."""

from __future__ import annotations

import html
import json
import secrets
from collections.abc import Sequence
from typing import Any

from engine import Quantization, Released
from engine.models import Verdict

from .errors import sentence
from .language import gib, number, text

VERDICT_CLASS = {Verdict.FITS: "is-good", Verdict.TIGHT: "is-tight", Verdict.TEXT_ONLY: "is-tight", Verdict.TOO_LARGE: "is-bad"}
# Turns a click on an `action_button` inside a gr.HTML into an event of that component.
ACTION_JS = """
element.addEventListener('click', event => {
  const button = event.target.closest('[data-do]');
  const name = ['bench', 'tune'].find(tab => tab === button?.dataset.tab) || 'act';
  if (!button) return;
  const send = value => value && trigger(name, {do: button.dataset.do, value});
  if (button.dataset.ask) mindcubes.ask(button.dataset.ask, button.dataset.value).then(send);
  else mindcubes.confirmed(button).then(isSure => isSure && trigger(name, {do: button.dataset.do, value: button.dataset.value}));
});
"""


def action_button(label: str, name: str, value: str = "", kind: str = "", extra: str = "") -> str:
    """Return a button whose click is an event of the tab. `label` is plain text."""
    return (f'<button type="button" class="{kind or "mc-do"}" data-do="{name}" data-value="{html.escape(value)}"{extra}>'
            f'{html.escape(label)}</button>')


def browser_message(kind: str, **content: Any) -> str:
    """Return a message to page.js, which acts on it once: it starts a download, opens a dialog, and the like."""
    message = html.escape(json.dumps({"id": secrets.token_hex(4), "kind": kind, **content}))
    return f'<div hidden data-message="{message}"></div>'


def problem_box(error: Exception, language: str) -> str:
    return f'<div class="mc-problem" role="alert">{html.escape(sentence(error, language))}</div>'


def quantization_name(quantization: Quantization, language: str, held: Quantization = Quantization.NONE) -> str:
    """`held`: of the weights in memory, where a model without quantization keeps the codes that its repository stores."""
    if quantization is Quantization.NONE and held is not Quantization.NONE:
        return text(language, "models.as_stored", kind=held.value.upper())
    return text(language, "models.unquantized") if quantization is Quantization.NONE else quantization.value.upper()


def freed(released: Released, language: str) -> str:
    return text(language, "models.freed", freed=gib(language, released.returned_bytes), size=gib(language, released.expected_bytes),
                seconds=number(language, released.seconds, 1))


def disk_size(language: str, num_bytes: int) -> str:
    """Return a size on disk. The units are decimal, as for the capacity of disks."""
    return f"{number(language, num_bytes / 1e9, 1)} GB" if num_bytes >= 0.95e9 else megabytes(language, num_bytes)


def megabytes(language: str, num_bytes: int) -> str:
    if num_bytes >= 0.95e9:
        return disk_size(language, num_bytes)
    if num_bytes < 0.1e6:
        return f"{number(language, max(num_bytes / 1e3, 1 if num_bytes else 0))} kB"
    return f"{number(language, num_bytes / 1e6, 1 if num_bytes < 10e6 else 0)} MB"


def parameters(language: str, count: int | None) -> str:
    if not count:
        return ""
    if count >= 0.95e9:
        return f"{number(language, count / 1e9, 0 if count >= 99.5e9 else 1)} B"
    return f"{number(language, count / 1e6, 0 if count >= 9.5e6 else 1)} M"


def verdict_chip(verdict: Verdict, num_bytes: int, language: str, quantization: Quantization | None = None) -> str:
    """The verdict as a coloured word, with the memory that is needed."""
    parts = [text(language, f"verdict.{verdict.name.lower()}"), gib(language, num_bytes)]
    if quantization is not None:
        parts.append(quantization_name(quantization, language))
    return f'<span class="mc-verdict {VERDICT_CLASS[verdict]}">{html.escape(" · ".join(parts))}</span>'


def measured_table(head: Sequence[str], rows: Sequence[Sequence[str]], label: str) -> str:
    """A table that scrolls sideways. `rows` are HTML; the first cell of each names it. `label`: its accessible name."""
    top = "".join(f'<th scope="col">{html.escape(each)}</th>' for each in head)
    body = "".join(f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>' for first, *cells in rows)
    return (f'<div class="mc-scroll" tabindex="0" role="region" aria-label="{html.escape(label)}"><table class="mc-table mc-measured">'
            f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>")
