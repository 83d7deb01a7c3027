"""Names that the engine gives in English, as the language says them; all others are names of their own."""

from __future__ import annotations

from .language import text

METRICS = {"perplexity": "perplexity", "KL divergence": "divergence", "same likeliest token": "agreement", "exact_match": "exact",
           "pass@1 with repairs": "repaired"}
TASKS = ("text", "pasted")


def metric_text(metric: str, language: str) -> str:
    return text(language, f"bench.metric.{METRICS[metric]}") if metric in METRICS else metric


def task_text(task: str, language: str) -> str:
    return text(language, f"bench.task.{task}") if task in TASKS else task
