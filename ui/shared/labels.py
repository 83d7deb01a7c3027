"""Names of metrics and tasks, and titles of measurements, in the visitor's language."""

from __future__ import annotations

from engine import Quantization
from engine.benchmark import Subject

from .html import quantization_name
from .language import number, text

METRICS = {"perplexity": "perplexity", "KL divergence": "divergence", "same likeliest token": "agreement", "exact_match": "exact",
           "pass@1 with repairs": "repaired"}
TASKS = ("text", "pasted")


def metric_text(metric: str, language: str) -> str:
    return text(language, f"bench.metric.{METRICS[metric]}") if metric in METRICS else metric


def task_text(task: str, language: str) -> str:
    return text(language, f"bench.task.{task}") if task in TASKS else task


def subject_text(subject: Subject, language: str) -> str:
    """The title of a measurement or of one of its cells. A quantization is named unless nothing is quantized."""
    quantizations = () if subject.quantizations == (Quantization.NONE,) else subject.quantizations
    contexts = ", ".join(number(language, each) for each in subject.contexts) if any(subject.contexts) else ""
    groups = (", ".join(subject.models), ", ".join(quantization_name(each, language) for each in quantizations),
              text(language, "usage.tokens", count=contexts) if contexts else "")
    title = (" x " if subject.has_combinations else ", ").join(filter(None, groups))
    title = ", ".join(filter(None, (title, " ".join(subject.tests))))
    return ": ".join(filter(None, (title, ", ".join(task_text(each, language) for each in subject.tasks))))
