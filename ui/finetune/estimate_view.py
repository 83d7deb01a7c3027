"""What a run will take, as HTML: the verdict, memory by its parts beside what is free, time, disk, and what to do if it does not fit."""

from __future__ import annotations

import html

from engine.finetune import Estimate
from engine.models import Verdict

from ..shared.html import action_button, disk_size, parameters, verdict_chip
from ..shared.language import duration, gib, number, percent, text
from .words import escaped

APPLIED = ("smaller_batch", "qlora", "lora", "shorter_examples")      # remedies that a button applies


def estimate_html(estimate: Estimate, language: str) -> str:
    return "".join((
        f'<h3>{escaped(language, "tune.estimate")} {verdict_chip(estimate.verdict, estimate.needed_bytes, language)}</h3>',
        _stack(estimate, language), _numbers(estimate, language), _remedy(estimate, language), _notes(estimate, language)))


def _stack(estimate: Estimate, language: str) -> str:
    """Memory by its parts, one after the other, with a line where the free memory ends."""
    whole = max(estimate.needed_bytes, estimate.free_bytes, 1)
    parts = [part for part in estimate.parts if part.bytes]
    names = [f'{text(language, f"tune.part.{part.key}")} {gib(language, part.bytes)}' for part in parts]
    bars = "".join(f'<i class="is-{part.key}" style="width:{100 * part.bytes / whole:.2f}%" title="{html.escape(name)}"></i>'
                   for part, name in zip(parts, names, strict=True))
    items = "".join(f'<li><i class="is-{part.key}"></i>{html.escape(name)}</li>' for part, name in zip(parts, names, strict=True))
    free = text(language, "tune.free", size=gib(language, estimate.free_bytes))
    return (f'<div class="mc-stack" aria-hidden="true">{bars}<b style="left:{100 * estimate.free_bytes / whole:.2f}%"></b></div>'
            f'<p class="mc-note">{html.escape(free)}</p><ul class="mc-stack-parts">{items}</ul>')


def _numbers(estimate: Estimate, language: str) -> str:
    share = percent(language, estimate.trained_parameters / estimate.parameters, 1) if estimate.parameters else ""
    trained = f"{parameters(language, estimate.trained_parameters)} ({share})" if share and estimate.trained_parameters else ""
    disk = text(language, "tune.of_free", size=disk_size(language, estimate.disk_bytes), free=disk_size(language, estimate.free_disk_bytes))
    found = (("time", text(language, "tune.about", time=duration(language, estimate.seconds))), ("steps", number(language, estimate.steps)),
             ("disk", disk), ("trained", trained))
    cells = "".join(f'<div><dt>{escaped(language, f"tune.number.{name}")}</dt><dd>{html.escape(value)}</dd></div>'
                    for name, value in found if value)
    return f'<dl class="mc-numbers">{cells}</dl>'


def _remedy(estimate: Estimate, language: str) -> str:
    if estimate.verdict is Verdict.FITS and estimate.can_start:
        return ""
    key = estimate.remedy or "none"
    button = action_button(text(language, f"tune.remedy.{key}.act"), "remedy", key, "mc-do mc-primary") if key in APPLIED else ""
    kind = 'class="mc-note"' if estimate.can_start else 'class="mc-problem" role="alert"'
    acts = f'<div class="mc-remedies">{button}</div>' if button else ""
    return f'<div {kind}>{escaped(language, f"tune.remedy.{key}")}{acts}</div>'


def _notes(estimate: Estimate, language: str) -> str:
    keys = (("tune.unloads", estimate.must_unload), ("tune.checkpointing", estimate.has_checkpointing))
    notes = [text(language, key) for key, is_true in keys if is_true]
    if estimate.micro_batch and estimate.remedy == "smaller_batch":
        notes.append(text(language, "tune.micro_batch", count=number(language, estimate.micro_batch)))
    return "".join(f'<p class="mc-note">{html.escape(note)}</p>' for note in notes)
