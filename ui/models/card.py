"""A card of a list of models: a click shows the model in detail."""

from __future__ import annotations

import html


def card_html(value: str, title: str, facts: str, chip: str, is_selected: bool, reason: str = "") -> str:
    current = ' aria-current="true"' if is_selected else ""
    return (f'<button type="button" class="mc-card" data-do="choose" data-value="{html.escape(value)}"{current}>'
            f'<b>{html.escape(title)}</b><span>{html.escape(facts)}</span>{chip}'
            f'{f"<small>{html.escape(reason)}</small>" if reason else ""}</button>')
