"""The status bar: the loaded model, its precision and device, memory, running and waiting replies, theme and language."""

from __future__ import annotations

import html
from dataclasses import dataclass

import gradio as gr

from engine import LoadEvent, Quantization, Status

from .language import LANGUAGES, gib, number, text

QUICK_S, CALM_S = 0.5, 2.0      # how often a page polls while a model is loading, and otherwise

TOOLS_JS = """
element.addEventListener('change', event => {
  if (event.target.id !== 'mc-language') return;
  mindcubes.rememberLanguage(event.target.value);
  trigger('language');
});
mindcubes.translate = () => mindcubes.isAllEnglish() || trigger('translate');
"""


@dataclass(frozen=True)
class StatusBar:
    status: gr.HTML
    tools: gr.HTML


def build_status_bar() -> StatusBar:
    with gr.Row(elem_id="mc-bar", elem_classes="mc-bar"):
        gr.HTML('<h1 class="mc-brand">MindCubes</h1>', apply_default_css=False, elem_classes="mc-brand-box")
        status = gr.HTML("", elem_id="mc-status", apply_default_css=False, elem_classes="mc-status-box")
        tools = gr.HTML(tools_html("en"), apply_default_css=False, elem_classes="mc-tools-box", js_on_load=TOOLS_JS)
    return StatusBar(status, tools)


def tools_html(language: str) -> str:
    options = "".join(
        f'<option value="{code}" title="{name}" lang="{code}"{" selected" if code == language else ""}>{code.upper()}</option>'
        for code, name in LANGUAGES.items())
    theme, choice = (html.escape(text(language, key)) for key in ("bar.theme", "bar.language"))
    return (f'<div class="mc-tools"><button type="button" id="mc-theme" aria-label="{theme}" title="{theme}"></button>'
            f'<select id="mc-language" aria-label="{choice}" title="{choice}">{options}</select></div>')


def status_html(status: Status, asked_model: str, language: str) -> str:
    """The part of the bar that changes. `asked_model`: the name of the model that is being loaded, or that the settings ask for."""
    parts = [_model(status, asked_model, language)]
    if status.total_bytes:
        parts.append(_memory(status, language))
    if status.state == "ready":
        parts.append(_lane(status, language))
    return f'<div class="mc-status">{"".join(parts)}</div>'


def _model(status: Status, asked_model: str, language: str) -> str:
    if status.state == "ready":
        details = " · ".join(filter(None, (_quantization(status, language), status.stored, status.device)))
        return _chip("is-ready", status.model, details, " ".join((status.hardware, *status.notes)))
    if status.state in ("loading", "unloading"):
        return _chip("is-loading", text(language, "bar.loading", model=asked_model), stage_text(status.stage, language))
    if status.state == "asleep":
        return _chip("is-loading", text(language, "bar.asleep", model=status.model), "", text(language, "bar.asleep.note"))
    return _chip("is-bad", text(language, "bar.failed" if status.error else "bar.no_model"), "", status.error)


def _chip(kind: str, name: str, details: str, title: str = "") -> str:
    name, details, title = html.escape(name), html.escape(details), html.escape(title)
    role = "" if kind == "is-ready" else 'role="status"'
    return f'<span class="mc-chip {kind}" {role} title="{title}"><b>{name}</b><span class="mc-wide">{details}</span></span>'


def _quantization(status: Status, language: str) -> str:
    if status.lane == "remote":
        return ""
    if status.quantization is Quantization.NONE:
        return status.dtype or text(language, "quantization.none")
    return status.quantization.value.upper()


def _memory(status: Status, language: str) -> str:
    used, total = gib(language, status.used_bytes), gib(language, status.total_bytes)
    short = used.removesuffix(" GiB") if total.endswith("GiB") else used
    share = min(100, round(100 * status.used_bytes / status.total_bytes))
    name = html.escape(f"{text(language, 'bar.memory')}: {used} / {total}")
    kind = "mc-meter is-full" if share > 90 else "mc-meter"
    return (f'<span class="mc-memory" title="{name}"><span class="{kind}" role="meter" aria-label="{name}" '
            f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{share}"><i style="width:{share}%"></i></span>'
            f'<span>{short} / {total}</span></span>')


def _lane(status: Status, language: str) -> str:
    known = status.lane in ("batched", "single", "remote", "task")
    label = text(language, f"bar.lane.{status.lane}") if known else status.lane
    why = status.lane_reason if language == "en" or not known else text(language, f"bar.lane.{status.lane}.why")
    people = [text(language, key, count=number(language, count))
              for key, count in (("bar.running", status.running), ("bar.waiting", status.waiting)) if count]
    shown = " · ".join((label, *people))
    return (f'<span class="mc-lane mc-wide" tabindex="0" role="note" aria-label="{html.escape(f"{shown}. {why}")}" '
            f'title="{html.escape(why)}">{html.escape(shown)}</span>')


def stage_text(stage: LoadEvent | None, language: str) -> str:
    """One step of loading as text, with its numbers if they are known."""
    if stage is None:
        return text(language, "stage.start")
    label = text(language, f"stage.{stage.stage}")
    return f"{label} {number(language, stage.done)} / {number(language, stage.total)}" if stage.total else label
