"""The list beside the message box from which a visitor chooses how much the model thinks."""

from __future__ import annotations

import html

from engine import Status
from engine.messages import Effort, Thinking

from ..shared.language import text


def asked_effort(status: Status, effort: Effort | None) -> Effort | None:
    """Return the effort that a reply is asked for; None is the model's default, if that is known.

    It is the one that the list shows. `effort`: what the visitor or the chat chose. While no model is loaded, that is kept.
    """
    if status.state != "ready" or (effort is None and status.thinking.default):
        return effort
    return _shown(status.thinking, effort)


def read_effort(thinking: Thinking, value: str) -> Effort | None:
    """Return the effort of a value of the list; None for any other text, as for the unset one."""
    return next((each for each in thinking.efforts if each == value), None)


def _shown(thinking: Thinking, effort: Effort | None) -> Effort | None:
    if not thinking.efforts:
        return None
    return thinking.nearest(effort) or thinking.default or (None if thinking.may_be_unset else thinking.efforts[-1])


def thinking_html(thinking: Thinking, effort: Effort | None, language: str) -> str:
    """Return the list; empty where nothing can be chosen. The hidden part tells the options panel that thoughts can have a budget."""
    limitable = '<span class="mc-thinks" hidden></span>' if thinking.has_thoughts else ""
    if not thinking.efforts:
        return limitable
    chosen, is_switch = _shown(thinking, effort), thinking.efforts == ("none", "medium")
    unset = f'<option value="">{html.escape(text(language, "thinking.unset"))}</option>' if thinking.may_be_unset else ""
    options = unset + "".join(
        f'<option value="{each}"{" selected" if each == chosen else ""}>{html.escape(_name(each, is_switch, language))}</option>'
        for each in thinking.efforts)
    label, info = (html.escape(text(language, key)) for key in ("thinking.title", "thinking.info"))
    return (f'<label class="mc-think" title="{info}"><span>{label}</span>'
            f'<select data-act="think" data-id="0" aria-label="{label}">{options}</select></label>{limitable}')


def _name(effort: Effort, is_switch: bool, language: str) -> str:
    return text(language, "thinking.on" if is_switch and effort != "none" else f"thinking.{effort}")
