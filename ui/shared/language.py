"""The texts of the page in the visitor's language.

The language that the visitor chooses in the status bar is kept in a cookie; without one the browser's first language is used. The
browser translates the labels of components (I18N); after a choice they are updated. Sentences and numbers are made here.
"""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr

LANGUAGES = {"en": "English", "tr": "Türkçe", "zh": "中文"}
COOKIE = "mindcubes_language"
_FOLDER = Path(__file__).parents[1] / "locales"
_TEXTS: dict[str, dict[str, str]] = {
    language: json.loads((_FOLDER / f"{language}.json").read_text("utf-8")) for language in LANGUAGES}

I18N = gr.I18n(**_TEXTS)


def text(language: str, key: str, **values: object) -> str:
    """Return the text of `key` with its `{name}` placeholders filled in. An unknown key is a bug and raises KeyError."""
    found = _TEXTS[language][key]
    return found.format(**values) if values else found


def has_text(key: str) -> bool:
    return key in _TEXTS["en"]


def language_of(request: gr.Request | None) -> str:
    """Return the visitor's choice, else the browser's first language if it is one of LANGUAGES, else English."""
    chosen = (request.cookies or {}).get(COOKIE, "") if request else ""
    return chosen if chosen in LANGUAGES else browser_language(request)


def browser_language(request: gr.Request | None) -> str:
    """Return the language that I18N shows if the visitor has not chosen one."""
    accepted = (request.headers or {}).get("accept-language", "") if request else ""
    first = accepted.split(",")[0].split(";")[0].split("-")[0].strip().lower()
    return first if first in LANGUAGES else "en"


def number(language: str, value: float, decimals: int = 0) -> str:
    """Return a number as the language writes it: 1,204.5, in Turkish 1.204,5."""
    plain = f"{value:,.{decimals}f}"
    return plain.translate(str.maketrans(",.", ".,")) if language == "tr" else plain


def percent(language: str, share: float, decimals: int = 0) -> str:
    """Return a fraction as a percentage as the language writes it: 25%, in Turkish %25."""
    shown = number(language, 100 * share, decimals)
    return f"%{shown}" if language == "tr" else f"{shown}%"


def rate(language: str, value: float) -> str:
    """Return tokens per second with about three digits."""
    return number(language, value, 0 if value >= 100 else 1 if value >= 10 else 2)


def gib(language: str, num_bytes: float) -> str:
    """Return an amount of memory in GiB with one decimal; below 0.1 GiB in MiB."""
    if num_bytes < 0.1 * 2**30:
        return f"{number(language, num_bytes / 2**20)} MiB"
    return f"{number(language, num_bytes / 2**30, 1)} GiB"


def duration(language: str, seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return text(language, "time.seconds", count=whole)
    minutes = round(whole / 60)
    if minutes < 60:
        return text(language, "time.minutes", count=minutes)
    return text(language, "time.hours", hours=minutes // 60, minutes=minutes % 60)
