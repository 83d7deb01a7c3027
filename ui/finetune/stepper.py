"""The five steps at the top of the tab, as buttons. A step that cannot be shown yet is disabled."""

from __future__ import annotations

import html
from collections.abc import Collection

from .session import STEPS, Step
from .words import escaped


def stepper_html(current: Step, reachable: Collection[Step], language: str) -> str:
    items = "".join(_item(at, step, current, step in reachable, language) for at, step in enumerate(STEPS, 1))
    return f'<nav aria-label="{escaped(language, "tune.steps.name")}"><ol class="mc-stepper">{items}</ol></nav>'


def _item(at: int, step: Step, current: Step, is_reachable: bool, language: str) -> str:
    state = ' aria-current="step"' if step == current else "" if is_reachable else " disabled"
    label = html.escape(f"{at}. ") + escaped(language, f"tune.step.{step}")
    return f'<li><button type="button" data-do="step" data-value="{step}"{state}>{label}</button></li>'
