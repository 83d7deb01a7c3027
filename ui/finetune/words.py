"""How the Fine-tune tab writes metrics, dates and escaped texts."""

from __future__ import annotations

import html
from datetime import datetime, timezone

from engine import ModelSpec

from ..shared.language import has_text, number, percent, text

SHARES = ("accuracy", "precision", "recall", "f1", "exact_match")


def escaped(language: str, key: str, **values: object) -> str:
    return html.escape(text(language, key, **values))


def metric_name(name: str, language: str) -> str:
    key = f"tune.metric.{name}"
    return text(language, key) if has_text(key) else name


def metric_value(name: str, value: float, language: str) -> str:
    return percent(language, value, 1) if name in SHARES else number(language, value, 2 if abs(value) >= 10 else 3)


def base_name(model: str) -> str:
    """A model as people know it: a folder by its last part."""
    return ModelSpec(model).name if "/" not in model or model.startswith("/") else model


def when(seconds: float, zone: timezone) -> str:
    return f"{datetime.fromtimestamp(seconds, zone):%Y-%m-%d %H:%M}"
