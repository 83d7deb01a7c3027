"""Translates the fixed English words in the engine's titles and metrics; names stay as they are."""

from __future__ import annotations

import re

from engine import Quantization

from .html import quantization_name
from .language import number, text

METRICS = {"perplexity": "perplexity", "KL divergence": "divergence", "same likeliest token": "agreement", "exact_match": "exact",
           "pass@1 with repairs": "repaired"}
TASKS = ("text", "pasted")
# Titles of measurements are lists: "Built-in guide x none, nf4 x 0, 2,048 tokens, pp512 tg128", "Built-in guide, nf4: text".
QUANTIZATION = re.compile(r"(?<=(?:,|x) )(none|int8|int4|nf4)(?=,|:| x |$)")
COUNT = re.compile(r"\b\d{1,3}(?:,\d{3})+\b")
TOKENS = re.compile(r"(\d) tokens\b")
CORPUS = re.compile(r"(?<=[:,] )(text|pasted)(?=,|$)")


def metric_text(metric: str, language: str) -> str:
    return text(language, f"bench.metric.{METRICS[metric]}") if metric in METRICS else metric


def task_text(task: str, language: str) -> str:
    return text(language, f"bench.task.{task}") if task in TASKS else task


def title_text(title: str, language: str) -> str:
    """The translated title of a measurement or of one of its parts; unchanged in English."""
    if language == "en":
        return title
    title = QUANTIZATION.sub(lambda found: quantization_name(Quantization(found[1]), language), title)
    title = CORPUS.sub(lambda found: task_text(found[1], language), title)
    title = TOKENS.sub(lambda found: f"{found[1]} {text(language, 'bench.tokens')}", title)
    return COUNT.sub(lambda found: number(language, int(found[0].replace(",", ""))), title)
