"""HTML of the Models tab: this machine, recommended models and search results, one model in detail, and models on disk."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import UTC, datetime

from engine import ModelFit, Quantization, Released
from engine.hub import HubModel, StoredModel
from engine.library import FoundModel, Machine, Remedy
from engine.models import CatalogEntry, QuantizationFit, Recommendation, SavedModel

from ..shared.html import action_button, disk_size, freed, megabytes, parameters, quantization_name, verdict_chip
from ..shared.language import gib, number, text
from .adapters_view import kind_html
from .card import card_html
from .session import USES

HUB_PAGE = "https://huggingface.co"


def _text(language: str, key: str, **values: object) -> str:
    return html.escape(text(language, key, **values))


def machine_html(machine: Machine, language: str) -> str:
    facts = text(language, "models.machine", name=machine.name, total=gib(language, machine.total_bytes),
                 free=gib(language, machine.free_bytes), bandwidth=number(language, machine.bandwidth / 1e9))
    return f'<p class="mc-machine">{html.escape(facts)}</p>'


def recommended_html(recommended: Sequence[Recommendation], use: str, shown: int, selected: str, language: str) -> str:
    """`use`: what the list is for; the buttons above it change that."""
    cards = "".join(_card(each, selected, language) for each in recommended[:shown])
    more = action_button(text(language, "models.all", count=len(recommended)), "all") if len(recommended) > shown else ""
    return f'{uses_html(use, language)}<div class="mc-cards">{cards}</div>{more}'


def uses_html(use: str, language: str) -> str:
    """The title of the list, and the buttons above it."""
    uses = "".join(action_button(text(language, f"good.{each}"), "use", each, extra=f' aria-pressed="{str(each == use).lower()}"')
                   for each in USES)
    label = _text(language, "models.use")
    return f'<h2>{_text(language, "models.recommended")}</h2><div class="mc-uses" role="group" aria-label="{label}">{uses}</div>'


def _card(each: Recommendation, selected: str, language: str) -> str:
    entry = each.entry
    tags = " · ".join(filter(None, (parameters(language, entry.parameters), *(text(language, f"good.{use}") for use in entry.good_for),
                                    text(language, "models.gated") if entry.gated else "")))
    chip = verdict_chip(each.fit.verdict, each.fit.needed_bytes, language, each.quantization) if each.fit else ""
    return card_html(entry.repo, entry.name, tags, chip, entry.repo == selected, why(each, language))


def why(each: Recommendation, language: str) -> str:
    """The sentence that says why a model stands where it stands."""
    return text(language, f"why.{each.reason}", active=parameters(language, each.entry.active_parameters),
                all=parameters(language, each.entry.parameters))


def found_html(found: Sequence[HubModel], has_more: bool, selected: str, language: str) -> str:
    if not found:
        body = f'<p class="mc-empty">{_text(language, "models.nothing")}</p>'
    else:
        body = f'<div class="mc-cards">{"".join(_found(model, selected, language) for model in found)}</div>'
    more = action_button(text(language, "models.more"), "more") if has_more else ""
    return f'<h2>{_text(language, "models.found")}</h2>{action_button(text(language, "models.back"), "recommended")}{body}{more}'


def _found(model: HubModel, selected: str, language: str) -> str:
    facts = " · ".join(filter(None, (
        parameters(language, model.parameters), text(language, "models.downloads", count=_short(language, model.downloads)),
        text(language, "models.likes", count=_short(language, model.likes)), model.licence, model.updated[:10],
        text(language, "models.gated") if model.is_gated else "")))
    return card_html(model.repo, model.repo, facts, "", model.repo == selected)


def _short(language: str, count: int) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{number(language, count / size, 1)} {unit}"
    return str(count)


# --- one model ---

def nothing_chosen_html(language: str) -> str:
    return f'<div class="mc-model-empty"><h2>{_text(language, "models.choose")}</h2><p>{_text(language, "models.choose.note")}</p></div>'


def loading_html(name: str, language: str) -> str:
    label = _text(language, "models.looking", name=name)
    return f'<div class="mc-stage" role="status"><progress aria-label="{label}"></progress><span>{label}</span></div>'


def model_html(model: FoundModel, fit: ModelFit | None, chosen: Quantization, is_loaded: bool, language: str,
               released: Released | None = None) -> str:
    """`released`: the memory that unloading the previous model freed; shown with the loaded model."""
    title = model.name if model.adapter or model.where in ("builtin", "folder") else model.spec_model
    state = f' <span class="mc-verdict is-good">{_text(language, "models.loaded")}</span>' if is_loaded else ""
    parts = [f"<h2>{html.escape(title)}{state}</h2>"]
    if model.where == "folder":
        parts.append(f'<p class="mc-path">{html.escape(model.source)}</p>')
    parts.append(f'<p class="mc-facts">{_facts(model, language)}</p>')
    if model.adapter or model.tasks:
        parts.append(kind_html(model, language))
    if is_loaded and released is not None and released.expected_bytes:
        parts.append(f'<p class="mc-note">{html.escape(freed(released, language))}</p>')
    if model.listing and model.listing.renamed_to:
        parts.append(f'<p class="mc-note">{_text(language, "models.renamed", name=model.listing.renamed_to)}</p>')
    if model.entry and model.entry.note:
        parts.append(f'<p class="mc-note">{html.escape(model.entry.note)}</p>')
    if model.shape and model.shape.stored_method:
        key = "models.stored.kept" if fit and fit.choices[0].held is not Quantization.NONE else "models.stored.expanded"
        parts.append(f'<p class="mc-note">{_text(language, key, kind=model.shape.stored_method)}</p>')
    if len(model.gguf_files) > 1:
        parts.append(_gguf_files(model, language))
    if fit is not None and model.tasks:
        parts.append(f"<p>{verdict_chip(fit.choices[0].fit.verdict, fit.choices[0].fit.needed_bytes, language)}</p>")
    elif fit is not None:
        parts.append(_fit_table(fit, chosen, language))
    if model.listing:
        parts.append(_files(model, language))
    return "".join(parts)


def _facts(model: FoundModel, language: str) -> str:
    listing, entry, shape = model.listing, model.entry, model.shape
    count = shape.parameters if shape else entry.parameters if entry else listing.parameters if listing else None
    window = shape.max_window if shape else entry.context if entry else 0
    licence = listing.licence if listing else entry.licence if entry else ""
    facts = [parameters(language, count), text(language, "models.window", count=number(language, window)) if 0 < window < 1_000_000 else "",
             licence, text(language, "models.gated") if _is_gated(listing, entry) else "",
             text(language, "models.no_template") if listing and not listing.has_chat_template else "",
             ", ".join(entry.languages[:6]) if entry else "", f"{listing.sha[:7]}" if listing else ""]
    shown = [f"<span>{html.escape(fact)}</span>" for fact in facts if fact]
    if model.where in ("hub", "disk", "catalog"):
        address = html.escape(f"{HUB_PAGE}/{model.repo}")
        shown.append(f'<span><a href="{address}" target="_blank" rel="noopener noreferrer">{_text(language, "models.page")}</a></span>')
    return "".join(shown)


def _is_gated(listing: object, entry: CatalogEntry | None) -> bool:
    return bool(getattr(listing, "is_gated", False) or (entry is not None and entry.gated))


def distinct(fit: ModelFit, chosen: Quantization) -> list[QuantizationFit]:
    """The choices without the one that is the same as "as stored", unless it is chosen."""
    kept = fit.choices[0].held
    return [choice for choice in fit.choices if choice.quantization in (Quantization.NONE, chosen) or choice.quantization is not kept]


def _fit_table(fit: ModelFit, chosen: Quantization, language: str) -> str:
    keys = ("verdict", "weights", "cache", "peak", "longest", "speed")
    head = "".join(f'<th scope="col">{_text(language, f"fit.{key}")}</th>' for key in ("quantization", *keys))
    rows = "".join(_fit_row(choice, choice.quantization is chosen, language) for choice in distinct(fit, chosen))
    note = _text(language, "fit.note", context=number(language, fit.context_tokens), visitors=fit.visitors,
                free=gib(language, fit.free_bytes))
    return (f'<div class="mc-scroll" tabindex="0" role="region" aria-label="{_text(language, "fit.title")}"><table class="mc-table">'
            f'<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div><p class="mc-note">{note}</p>')


def _fit_row(choice: QuantizationFit, is_chosen: bool, language: str) -> str:
    name = html.escape(quantization_name(choice.quantization, language, choice.held))
    if not choice.is_supported:
        return f'<tr><th scope="row">{name}</th><td colspan="6">{_text(language, "fit.unsupported")}</td></tr>'
    fit = choice.fit
    peak = gib(language, choice.load_peak_bytes)
    if choice.measured_peak_bytes is not None:
        peak += f"\n{text(language, 'fit.measured', size=gib(language, choice.measured_peak_bytes))}"
    speed = number(language, choice.tokens_per_second, 0 if choice.tokens_per_second >= 10 else 1)
    cells = (gib(language, fit.weight_bytes), gib(language, fit.kv_bytes), peak,
             number(language, choice.largest_context) if choice.largest_context else "–", text(language, "fit.speed.value", speed=speed))
    current = ' class="is-chosen"' if is_chosen else ""
    return (f'<tr{current}><th scope="row">{name}</th><td>{verdict_chip(fit.verdict, fit.needed_bytes, language)}</td>'
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")


def _gguf_files(model: FoundModel, language: str) -> str:
    """A button for each GGUF file; the one that is shown is pressed."""
    buttons = "".join(action_button(f"{file.name} · {disk_size(language, file.size_bytes)}", "choose", file.model,
                                    extra=f' aria-pressed="{str(file.name == model.gguf).lower()}"') for file in model.gguf_files)
    return f'<div class="mc-uses" role="group" aria-label="{_text(language, "models.gguf")}">{buttons}</div>'


def _files(model: FoundModel, language: str) -> str:
    assert model.listing is not None
    files = tuple(file for listing in model.listings or (model.listing,) for file in listing.needed_files)
    rows = "".join(f'<li><span>{html.escape(file.path)}</span><span>{megabytes(language, file.size_bytes)}</span></li>' for file in files)
    label = _text(language, "models.files", count=len(files), size=disk_size(language, model.download_bytes))
    return f'<details class="mc-files-list"><summary>{label}</summary><ul>{rows}</ul></details>'


def problem_html(sentence: str, remedies: Sequence[Remedy], language: str, licence_url: str = "") -> str:
    """`licence_url`: the page where a visitor requests access. The remedy "token" has no button: a token has its own field."""
    buttons = [_remedy(remedy, language) for remedy in remedies if remedy.kind != "token"]
    if licence_url.startswith(("https://", "http://")):
        buttons.append(f'<a class="mc-do" href="{html.escape(licence_url)}" target="_blank" rel="noopener noreferrer">'
                       f'{_text(language, "remedy.licence")}</a>')
    row = f'<div class="mc-remedies">{"".join(buttons)}</div>' if buttons else ""
    return f'<div class="mc-problem" role="alert">{html.escape(sentence)}</div>{row}' if sentence else row


def _remedy(remedy: Remedy, language: str) -> str:
    if remedy.kind == "disk":
        return f'<a class="mc-do" href="#mc-disk-title">{_text(language, "remedy.disk")}</a>'
    return action_button(_remedy_label(remedy, language), "remedy", f"{remedy.kind} {remedy.value}".strip())


def _remedy_label(remedy: Remedy, language: str) -> str:
    shown = {"quantize": remedy.value.upper(), "context": number(language, int(remedy.value)) if remedy.kind == "context" else ""}
    if remedy.kind == "quantize" and remedy.value == Quantization.NONE.value:
        return text(language, "remedy.unquantized")
    return text(language, f"remedy.{remedy.kind}", value=shown.get(remedy.kind, remedy.value))


# --- on disk ---

def disk_html(stored: Sequence[StoredModel], saved: Sequence[SavedModel], loaded: str, *, may_delete: bool, language: str) -> str:
    total = sum(each.size_bytes for each in stored) + sum(each.size_bytes for each in saved)
    rows = [_stored(each, each.repo == loaded, may_delete, language) for each in stored]
    rows += [_saved(each, each.model == loaded, may_delete, language) for each in saved]
    title = _text(language, "disk.title", size=disk_size(language, total))
    title = title if rows else _text(language, "disk.title.empty")
    body = f'<ul class="mc-disk">{"".join(rows)}</ul>' if rows else f'<p class="mc-empty">{_text(language, "disk.empty")}</p>'
    return f'<h2 id="mc-disk-title" tabindex="-1">{title}</h2>{body}'


def _stored(each: StoredModel, is_loaded: bool, may_delete: bool, language: str) -> str:
    used = datetime.fromtimestamp(each.last_used, UTC).date().isoformat() if each.last_used else ""
    facts = " · ".join(filter(None, (disk_size(language, each.size_bytes), text(language, "disk.used", day=used) if used else "",
                                     "" if each.is_complete else text(language, "disk.partial"))))
    size = disk_size(language, each.size_bytes)
    delete = _delete(each.repo, each.repo, size, is_loaded, language) if may_delete else ""
    return _disk_row(each.repo, each.repo, facts, delete)


def _saved(each: SavedModel, is_loaded: bool, may_delete: bool, language: str) -> str:
    kind = each.quantization.value.upper()
    size = disk_size(language, each.size_bytes)
    delete = _delete(f"{each.quantization.value} {each.model}", f"{each.model} {kind}", size, is_loaded, language, "delete-saved")
    return _disk_row(each.model, f"{each.model} · {kind}", f"{size} · {text(language, 'disk.saved')}", delete if may_delete else "")


def _disk_row(value: str, title: str, facts: str, delete: str) -> str:
    return (f'<li><button type="button" class="mc-card" data-do="choose" data-value="{html.escape(value)}"><b>{html.escape(title)}</b>'
            f'<span>{html.escape(facts)}</span></button>{delete}</li>')


def _delete(value: str, name: str, size: str, is_loaded: bool, language: str, action: str = "delete") -> str:
    if is_loaded:
        return f'<span class="mc-note">{_text(language, "models.loaded")}</span>'
    question, label = _text(language, "disk.confirm", name=name, size=size), _text(language, "disk.delete.of", name=name)
    return action_button(text(language, "disk.delete"), action, value, extra=f' data-confirm="{question}" aria-label="{label}"')
