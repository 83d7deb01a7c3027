"""HTML that more than one tab uses: buttons, error boxes, sizes, and messages to page.js."""

from __future__ import annotations

import html
import json
import secrets
from typing import Any

from engine import Quantization, Released

from .errors import sentence
from .language import gib, number, text

# Turns a click on an `action_button` inside a gr.HTML into an event of that component.
ACTION_JS = """
element.addEventListener('click', event => {
  const button = event.target.closest('[data-do]');
  const name = button?.dataset.tab === 'bench' ? 'bench' : 'act';
  if (button) mindcubes.confirmed(button).then(isSure => isSure && trigger(name, {do: button.dataset.do, value: button.dataset.value}));
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
